"""The shapes of the instruments, in their own measure.

An instrument lies along x: its tip is at 0, the shaft goes towards negative x; the unit is the radius of a usual
shaft. Belongs here: outlines and colours of the parts, jaws opened by an angle. Does not belong here: where the
instrument is (`handling`) and how parts reach the picture (`metalwork`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from simulator.view import Points

SHAFT_END = -60.0
WRIST = -7.0
"""From here forward the shaft belongs to the tip: what a box of the instrument goes around."""

SHAFT_STEPS = (SHAFT_END, -30.0, -23.0, -17.0, -12.0, WRIST)
SHAFT_LIGHT = (1.25, 1.20, 1.15, 1.10, 1.05)
"""The shaft gets brighter from step to step towards the camera, where the light stands."""

Colour = tuple[int, int, int]
STEEL: Colour = (186, 188, 192)
DARK_STEEL: Colour = (112, 114, 120)
BLACK: Colour = (46, 46, 50)
IVORY: Colour = (232, 226, 212)
BLUE: Colour = (64, 104, 214)
PALE: Colour = (198, 196, 190)
GOLD: Colour = (214, 182, 96)
HOLE: Colour = (28, 22, 24)
BRIGHT: Colour = (226, 228, 232)


@dataclass(frozen=True)
class Part:
    """One piece: `outline` [n,2]; a round piece is shaded like a rod along x; `tip` parts make the box."""

    outline: Points
    colour: Colour
    round: bool = False
    tip: bool = True


def rod(start: float, end: float, radius: float, colour: Colour, *, tip: bool = True) -> Part:
    """A cylinder from start to end along x."""
    corners = np.array([(start, -radius), (end, -radius), (end, radius), (start, radius)])
    return Part(corners, colour, round=True, tip=tip)


def shaft(radius: float, colour: Colour, end: float) -> list[Part]:
    """The long shaft, its last stretch before `end` belonging to the tip."""
    lit = [
        rod(start, stop, radius, brighter(colour, light), tip=False)
        for start, stop, light in zip(SHAFT_STEPS, SHAFT_STEPS[1:], SHAFT_LIGHT, strict=False)
    ]
    return [*lit, rod(WRIST, end, radius, colour)]


def brighter(colour: Colour, light: float) -> Colour:
    """The colour in stronger light, white at most."""
    red, green, blue = (min(255, int(light * value)) for value in colour)
    return red, green, blue


def turned(corners: list[tuple[float, float]], angle: float, pivot: float) -> Points:
    """Corners rotated by an angle about (pivot, 0)."""
    points = np.array(corners) - (pivot, 0.0)
    cos, sin = np.cos(angle), np.sin(angle)
    rotated: Points = points @ np.array([[cos, sin], [-sin, cos]]) + (pivot, 0.0)
    return rotated


def mirrored(corners: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """The same corners on the other side of the axis."""
    return [(x, -y) for x, y in corners]


def grasper(opening: float) -> list[Part]:
    """Steel, slender shaft, two long fenestrated jaws with teeth."""
    jaw = [(-4.2, 0.05), (-3.6, 0.85), (-0.8, 0.95), (0.6, 0.62), (0.7, 0.12), (-3.8, 0.08)]
    window = [(-3.0, 0.36), (-3.0, 0.66), (-0.8, 0.70), (-0.2, 0.5), (-0.8, 0.34)]
    parts = [*shaft(0.95, STEEL, -5.0), rod(-5.0, -4.0, 0.72, DARK_STEEL)]
    for side, angle in ((jaw, opening), (mirrored(jaw), -opening)):
        parts.append(Part(turned(side, angle, -4.2), STEEL))
    for side, angle in ((window, opening), (mirrored(window), -opening)):
        parts.append(Part(turned(side, angle, -4.2), HOLE))
    for x in np.arange(-3.2, 0.4, 0.6):
        for sign in (1, -1):
            tooth = [(x, 0.0), (x + 0.3, 0.0), (x + 0.15, 0.26)]
            parts.append(Part(turned(tooth if sign > 0 else mirrored(tooth), sign * opening, -4.2), DARK_STEEL))
    return parts


def bipolar(opening: float) -> list[Part]:
    """Wide steel shaft, blue insulated neck, two slim jaws with blue backs and metal ends."""
    back = [(-3.6, 0.1), (-3.2, 1.0), (-1.4, 1.15), (-1.0, 0.95), (-1.0, 0.4), (-3.0, 0.3)]
    blade = [(-1.3, 0.45), (-1.2, 1.0), (0.5, 0.62), (0.75, 0.25), (0.4, 0.1), (-1.0, 0.3)]
    parts = [*shaft(1.25, STEEL, -5.6), rod(-5.6, -3.2, 1.0, BLUE)]
    for outline, colour in ((back, BLUE), (blade, BRIGHT)):
        parts.append(Part(turned(outline, opening, -3.6), colour))
        parts.append(Part(turned(mirrored(outline), -opening, -3.6), colour))
    return parts


def hook(_opening: float) -> list[Part]:
    """Black shaft, ivory collar, a bare wire bent like an L."""
    wire = [(-3.2, -0.26), (0.3, -0.26), (0.3, 1.9), (0.0, 2.1), (-0.3, 1.9), (-0.3, 0.26), (-3.2, 0.26)]
    return [
        *shaft(0.9, BLACK, -4.6),
        rod(-4.6, -3.0, 0.78, IVORY),
        Part(np.array(wire), BRIGHT),
        Part(np.array([(-3.0, -0.08), (0.1, -0.08), (0.1, 0.1), (-3.0, 0.1)]), STEEL),
    ]


def scissors(opening: float) -> list[Part]:
    """Black shaft, two pointed curved blades that cross at a screw."""
    blade = [(-4.0, -0.3), (-3.2, 0.55), (-1.6, 0.95), (0.2, 0.75), (1.3, 0.2), (0.2, 0.14), (-2.6, -0.1)]
    screw = [(-3.4 + 0.28 * np.cos(a), 0.28 * np.sin(a)) for a in np.linspace(0, 2 * np.pi, 9)[:-1]]
    angle = 0.08 + 1.2 * opening
    return [
        *shaft(0.9, BLACK, -4.8),
        rod(-4.8, -3.6, 0.7, DARK_STEEL),
        Part(turned(mirrored(blade), -angle, -3.4), STEEL),
        Part(turned(blade, angle, -3.4), BRIGHT),
        Part(np.array(screw), BLACK),
    ]


def clipper(opening: float) -> list[Part]:
    """Thick shaft, two heavy parallel jaws with square ends, a golden clip between them while they are open."""
    gap = 0.25 + 1.5 * opening
    jaw = [(-3.8, gap), (-3.0, gap + 0.75), (0.6, gap + 0.75), (0.6, gap), (-3.0, gap)]
    root = [(-4.6, 0.1), (-4.4, 1.2), (-2.8, gap + 0.75), (-2.8, gap)]
    parts = [*shaft(1.45, STEEL, -5.2), rod(-5.2, -4.0, 1.3, DARK_STEEL)]
    for outline in (root, jaw):
        parts += [Part(np.array(outline), STEEL), Part(np.array(mirrored(outline)), STEEL)]
    if opening > 0.1:
        clip = [(-2.2, gap), (0.4, gap), (0.4, gap - 0.26), (-1.9, gap - 0.26)]
        joint = [(-2.3, gap), (-1.9, gap), (-1.9, -gap), (-2.3, -gap)]
        parts += [Part(np.array(c), GOLD) for c in (clip, mirrored(clip), joint)]
    return parts


def irrigator(_opening: float) -> list[Part]:
    """A pale tube, open at the end, with small side holes."""
    ring = np.linspace(0, 2 * np.pi, 13)[:-1]
    mouth = np.stack([0.15 + 0.42 * np.cos(ring), 0.9 * np.sin(ring)], axis=1)
    parts = [*shaft(1.1, PALE, 0.2), Part(np.stack([0.1 + 0.5 * np.cos(ring), 1.1 * np.sin(ring)], axis=1), IVORY)]
    parts.append(Part(mouth, HOLE))
    for number, x in enumerate((-1.5, -2.5, -3.5, -4.5, -5.5)):
        y = 0.4 if number % 2 else -0.25
        parts.append(Part(np.stack([x + 0.28 * np.cos(ring), y + 0.2 * np.sin(ring)], axis=1), HOLE))
    return parts


SHAPES: dict[str, Callable[[float], list[Part]]] = {
    "grasper": grasper,
    "bipolar": bipolar,
    "hook": hook,
    "scissors": scissors,
    "clipper": clipper,
    "irrigator": irrigator,
}
"""Parts of an instrument for an opening of its jaws in radians, drawn in this order."""
