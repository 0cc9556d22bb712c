"""Draws instruments and the specimen bag over the tissue and says where they are seen.

Belongs here: drawing of parts with their shading, the map of who is seen where, boxes. Does not belong here:
shapes (`instruments`), places (`handling`).
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from simulator.handling import Hand
from simulator.instruments import SHAPES, Colour, Part
from simulator.view import SUBPIXEL_BITS, Labels, Picture, Points, fixed_point, xy

ROD_PROFILE = (0.26, 0.42, 0.62, 0.84, 1.16, 0.98, 0.76, 0.56, 0.40, 0.26)
"""Brightness across a rod lit from beside the optics."""
WIDENING = 0.55
"""How much wider a shaft is at its entry than at its tip: it comes towards the camera."""
SHORTEST_VISIBLE_SHARE = 0.0006
"""A tip is in the picture when it covers at least this share of it (about 180 pixels of 640x480)."""


@dataclass(frozen=True)
class InstrumentTruth:
    """An instrument that is seen: `box_px` (x_min, y_min, x_max, y_max) goes around the visible part of its tip.

    The tip is jaws, wrist and a piece of shaft three to four diameters long, as in CholecT50; of the specimen
    bag it is the whole bag. Maxima are excluded: the box's width is x_max - x_min.
    """

    instrument: str
    box_px: tuple[int, int, int, int]
    track: int


class Layout:
    """Who is seen where: `tips` [h,w] holds one more than the instrument's number on its tip, `shafts` 1 on the rest.

    Drawn in the same order as the picture, so that what lies behind is cut out.
    """

    def __init__(self, size: tuple[int, int]) -> None:
        width, height = size
        self.tips = np.zeros((height, width), np.uint8)
        self.solid = np.zeros((height, width), np.uint8)
        self.seen: list[tuple[str, int]] = []

    def add(self, instrument: str, track: int) -> int:
        """A number for an instrument that is about to be drawn."""
        self.seen.append((instrument, track))
        return len(self.seen)

    def cover(self, outline: Points, number: int) -> None:
        """Mark an outline in pixels as covered by a tip, or by something else with number 0."""
        cv2.fillPoly(self.tips, [fixed_point(outline)], number, cv2.LINE_8, SUBPIXEL_BITS)
        cv2.fillPoly(self.solid, [fixed_point(outline)], 1, cv2.LINE_8, SUBPIXEL_BITS)

    def truths(self, inside: Labels) -> tuple[InstrumentTruth, ...]:
        """What is seen within the round view [h,w] (1 inside)."""
        found = []
        for number, (instrument, track) in enumerate(self.seen, start=1):
            mask = cv2.bitwise_and(cv2.inRange(self.tips, number, number), inside)
            if cv2.countNonZero(mask) < SHORTEST_VISIBLE_SHARE * mask.size:
                continue
            x, y, w, h = cv2.boundingRect(mask)
            found.append(InstrumentTruth(instrument, (x, y, x + w, y + h), track))
        return tuple(found)


def to_picture(points: Points, hand: Hand) -> Points:
    """Points of an instrument's own measure in pixels, wider towards the entry."""
    axis = hand.tip_px - hand.entry_px
    length = float(np.linalg.norm(axis)) + 1e-6
    along = axis / length
    across = np.array([-along[1], along[0]])
    wide = 1.0 + WIDENING * np.clip(-points[:, :1] * hand.radius_px / length, 0, 1.3)
    moved: Points = hand.tip_px + hand.radius_px * (points[:, :1] * along + points[:, 1:] * wide * across)
    return moved


def draw(picture: Picture, layout: Layout, hand: Hand) -> None:
    """Draw one instrument into the picture and the layout."""
    number = layout.add(hand.span.instrument, hand.span.track)
    for part in SHAPES[hand.span.instrument](hand.opening):
        _draw_part(picture, part, hand)
        layout.cover(to_picture(part.outline, hand), number if part.tip else 0)


def shadow(hand: Hand) -> Points:
    """The outline of the shaft's shadow in pixels."""
    radius = 1.1
    corners = np.array([(-60.0, -radius), (0.0, -radius), (0.0, radius), (-60.0, radius)])
    return to_picture(corners, hand) + xy(0.8 * hand.radius_px, 1.6 * hand.radius_px)


def _draw_part(picture: Picture, part: Part, hand: Hand) -> None:
    if not part.round:
        outline = to_picture(part.outline, hand)
        fill(picture, outline, part.colour)
        edge = tuple(int(0.55 * value) for value in part.colour)
        cv2.polylines(picture, [fixed_point(outline)], True, edge, 1, cv2.LINE_AA, SUBPIXEL_BITS)
        return
    (start, low), (end, _), (_, high), _ = part.outline
    steps = np.linspace(low, high, len(ROD_PROFILE) + 1)
    for light, near, far in zip(ROD_PROFILE, steps, steps[1:], strict=False):
        band = np.array([(start, near), (end, near), (end, far), (start, far)])
        shaded = tuple(int(min(255, light * value)) for value in part.colour)
        fill(picture, to_picture(band, hand), (shaded[0], shaded[1], shaded[2]))


def fill(picture: Picture, outline: Points, colour: Colour) -> None:
    """Fill an outline in pixels with a colour, smooth at its edge."""
    cv2.fillPoly(picture, [fixed_point(outline)], colour, cv2.LINE_AA, SUBPIXEL_BITS)
