"""Draws instruments and the specimen bag over the tissue and says where they are seen.

Belongs here: drawing of parts with their shading, the map of who is seen where, boxes. Does not belong here:
shapes (`instruments`), places (`handling`).
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from simulator.handling import Hand
from simulator.instruments import SHAPES, Colour
from simulator.view import SUBPIXEL_BITS, Picture, Points, View, fixed_point, xy

ROD_PROFILE = (0.26, 0.42, 0.62, 0.84, 1.16, 0.98, 0.76, 0.56, 0.40, 0.26)
"""Brightness across a rod lit from beside the optics."""
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
    """Who is seen where: maps [h,w], drawn in the same order as the picture, so that what lies behind is cut out.

    `whole` holds the number of the instrument that is seen, `PROP` on other things, 0 on tissue; `tips` the number on
    the instrument's tip alone. The instrument of number n is `seen[n - 1]`, its name and track.
    """

    PROP = 255

    def __init__(self, view: View) -> None:
        self.view = view
        width, height = view.drawn_size
        self.tips = np.zeros((height, width), np.uint8)
        self.whole = np.zeros((height, width), np.uint8)
        self.seen: list[tuple[str, int]] = []

    def add(self, instrument: str, track: int) -> int:
        """A number for an instrument that is about to be drawn."""
        self.seen.append((instrument, track))
        return len(self.seen)

    def cover(self, outline: Points, number: int | None = None, *, tip: bool = True) -> None:
        """Mark an outline in pixels as covered by an instrument, or without a number by something else."""
        corners = fixed_point(outline)
        on_tips, on_whole = (0, self.PROP) if number is None else (number if tip else 0, number)
        cv2.fillPoly(self.tips, [corners], on_tips, cv2.LINE_8, SUBPIXEL_BITS)
        cv2.fillPoly(self.whole, [corners], on_whole, cv2.LINE_8, SUBPIXEL_BITS)

    def truths(self) -> tuple[InstrumentTruth, ...]:
        """What is seen within the round view, in pixels of the whole picture."""
        found = []
        left, area = self.view.columns[0], self.view.size[0] * self.view.size[1]
        for number, (instrument, track) in enumerate(self.seen, start=1):
            mask = cv2.bitwise_and(cv2.inRange(self.tips, number, number), self.view.inside)
            if cv2.countNonZero(mask) < SHORTEST_VISIBLE_SHARE * area:
                continue
            x, y, w, h = cv2.boundingRect(mask)
            found.append(InstrumentTruth(instrument, (left + x, y, left + x + w, y + h), track))
        return tuple(found)


def to_picture(points: Points, hand: Hand) -> Points:
    """Points of an instrument's own measure in pixels, wider towards the entry."""
    axis = hand.tip_px - hand.entry_px
    length = float(np.linalg.norm(axis)) + 1e-6
    along = axis / length
    across = np.array([-along[1], along[0]])
    wide = 1.0 + hand.widening * np.clip(-points[:, :1] * hand.radius_px / length, 0, 1.3)
    moved: Points = hand.tip_px + hand.radius_px * (points[:, :1] * along + points[:, 1:] * wide * across)
    return moved


def draw(picture: Picture, layout: Layout, hand: Hand) -> None:
    """Draw one instrument into the picture and the layout."""
    number = layout.add(hand.span.instrument, hand.span.track)
    parts = SHAPES[hand.span.instrument](hand.opening)
    for part, outline in zip(parts, _placed([part.outline for part in parts], hand), strict=True):
        if part.round:
            _draw_rod(picture, outline, part.colour)
        else:
            _draw_face(picture, outline, part.colour)
        layout.cover(outline, number, tip=part.tip)


def _placed(outlines: list[Points], hand: Hand) -> list[Points]:
    """Outlines [n,2] of an instrument's own measure in pixels."""
    ends = np.cumsum([len(outline) for outline in outlines])[:-1]
    return np.split(to_picture(np.concatenate(outlines), hand), ends)


def shadow(hand: Hand) -> Points:
    """The outline of the shaft's shadow in pixels."""
    radius = 1.1
    corners = np.array([(-60.0, -radius), (0.0, -radius), (0.0, radius), (-60.0, radius)])
    return to_picture(corners, hand) + xy(0.8 * hand.radius_px, 1.6 * hand.radius_px)


def _draw_face(picture: Picture, outline: Points, colour: Colour) -> None:
    """A flat piece with a darker edge."""
    corners = fixed_point(outline)
    cv2.fillPoly(picture, [corners], colour, cv2.LINE_AA, SUBPIXEL_BITS)
    edge = tuple(int(0.55 * value) for value in colour)
    cv2.polylines(picture, [corners], True, edge, 1, cv2.LINE_AA, SUBPIXEL_BITS)


def _draw_rod(picture: Picture, corners: Points, colour: Colour) -> None:
    """A rod between its four corners, in bands of light along it."""
    start_low, end_low, end_high, start_high = corners
    across = np.linspace(0.0, 1.0, len(ROD_PROFILE) + 1)[:, None]
    at_start = fixed_point(start_low + across * (start_high - start_low))
    at_end = fixed_point(end_low + across * (end_high - end_low))
    bands = np.stack([at_start[:-1], at_end[:-1], at_end[1:], at_start[1:]], axis=1)
    for light, band in zip(ROD_PROFILE, bands, strict=True):
        shaded = tuple(int(min(255, light * value)) for value in colour)
        cv2.fillPoly(picture, [band], shaded, cv2.LINE_AA, SUBPIXEL_BITS)


def fill(picture: Picture, outline: Points, colour: Colour) -> None:
    """Fill an outline in pixels with a colour, smooth at its edge."""
    cv2.fillPoly(picture, [fixed_point(outline)], colour, cv2.LINE_AA, SUBPIXEL_BITS)
