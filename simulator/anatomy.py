"""The organs of a moment as layers, from back to front.

Belongs here: outlines in the scene, what they are made of, how they deform. Does not belong here: light and
colour (`tissue`), blood, instruments, things that are not tissue (`props`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from simulator.body import Body, gallbladder_axis, gallbladder_outline
from simulator.operation import OperationPlan
from simulator.progress import State, smoothstep
from simulator.view import Point, Points, sway, xy
from simulator.vocabulary import anatomy_id

ADHESIONS = 5
PACKED = 0.85
"""Progress of packaging at which nothing of the gallbladder is seen any more."""


@dataclass(frozen=True)
class Layer:
    """One piece of tissue.

    `outline` [n,2] in the scene; `rounding` is the width over which its edge curves away and `bulge` how high it
    stands, in scene units; `brightness` is 1.0 for what is near the light; `moved` is how far its surface has
    moved with it; `gloss` 1.0 is usually wet.
    """

    material: str
    label: int
    outline: Points
    rounding: float
    bulge: float
    brightness: float
    moved: tuple[float, float] = (0.0, 0.0)
    gloss: float = 1.0


def smooth(corners: list[tuple[float, float]] | Points, rounds: int = 3) -> Points:
    """A closed curve through Chaikin's corner cutting (1974) of a polygon [n,2]; each round doubles the points."""
    points = np.asarray(corners, dtype=float)
    for _ in range(rounds):
        following = np.roll(points, -1, axis=0)
        points = np.stack([0.75 * points + 0.25 * following, 0.25 * points + 0.75 * following], axis=1).reshape(-1, 2)
    return points


def blob(centre: Point, radius: float, lumps: tuple[float, ...], unevenness: float = 0.25, flat: float = 1.0) -> Points:
    """An uneven round outline; `flat` below 1 squeezes it in y."""
    count = 14
    angles = np.linspace(0, 2 * np.pi, count, endpoint=False)
    radii = radius * (1 + unevenness * np.array(lumps[:count]))
    corners = centre + np.stack([np.cos(angles) * radii, np.sin(angles) * radii * flat], axis=1)
    return smooth(corners, 2)


def splat(centre: Point, radius: float, lumps: tuple[float, ...]) -> Points:
    """A ragged outline with three tails downwards: torn connective tissue."""
    angles = np.linspace(0, 2 * np.pi, 56, endpoint=False)
    ragged = np.interp(angles, np.linspace(0, 2 * np.pi, 15), [*lumps[:14], lumps[0]])
    radii = radius * (0.8 + 0.28 * ragged)
    for number in range(3):
        off = np.angle(np.exp(1j * (angles - np.pi / 2 - 0.9 * lumps[14 + number])))
        radii += radius * (0.8 + 0.5 * lumps[17 + number]) * np.exp(-((off / 0.16) ** 2))
    return smooth(centre + np.stack([np.cos(angles) * radii, 0.85 * np.sin(angles) * radii], axis=1), 1)


def tube(line: Points, width: float) -> Points:
    """Outline of a tube of that width along a line [n,2]."""
    direction = np.gradient(line, axis=0)
    direction /= np.linalg.norm(direction, axis=1, keepdims=True) + 1e-9
    normal = np.stack([direction[:, 1], -direction[:, 0]], axis=1) * width / 2
    return np.concatenate([line + normal, (line - normal)[::-1]])


def curve(start: Point, end: Point, bend: float, count: int = 9) -> Points:
    """A bent line [count,2] from start to end; `bend` is the bow's height relative to the length."""
    along = np.linspace(0, 1, count)[:, None]
    chord = end - start
    bow: Points = bend * np.sin(np.pi * along) * np.array([chord[1], -chord[0]])
    return start + chord * along + bow


LIVER: Points = smooth(
    [
        *[(-2.4, -0.5), (-1.8, -0.95), (-0.9, -1.08), (0.1, -1.05), (1.1, -0.98), (1.9, -0.7), (2.5, -0.2)],
        *[(2.4, 0.3), (1.5, 0.22), (0.9, 0.02), (0.5, -0.05), (0.2, 0.16), (-0.25, 0.36), (-0.8, 0.52)],
        *[(-1.5, 0.6), (-2.4, 0.5)],
    ]
)
LOBE: Points = smooth([(0.55, -1.1), (1.3, -1.15), (2.2, -0.6), (2.3, 0.2), (1.5, 0.1), (1.0, -0.2), (0.7, -0.6)])
OMENTUM: Points = smooth([(-3.0, 0.1), (-1.0, 0.28), (0.3, 0.2), (1.2, 0.0), (3.0, 0.0), (3.0, 2.8), (-3.0, 2.8)])
STOMACH: Points = smooth([(-0.1, 0.78), (0.5, 0.62), (1.2, 0.66), (2.0, 0.9), (2.3, 1.6), (1.0, 2.0), (0.1, 1.5)])
WALL: Points = np.array([(-5.0, -5.0), (5.0, -5.0), (5.0, 4.0), (-5.0, 4.0)])


def layers(plan: OperationPlan, body: Body, state: State, pull: Point, timestamp_ms: float) -> list[Layer]:
    """Every organ at the moment, from back to front."""
    axis = gallbladder_axis(body, state, pull)
    return [
        *_behind(body, timestamp_ms),
        *_bed(body, state),
        *_pedicle(body, state, axis),
        *_gallbladder(body, state, axis),
        *_in_front(plan, body, state, timestamp_ms),
        *_adhesions(body, state, axis),
    ]


def _behind(body: Body, timestamp_ms: float) -> Iterator[Layer]:
    """Abdominal wall, omentum behind, liver with its second lobe, ligament; the liver moves with the breath."""
    breath = 0.025 * np.sin(2 * np.pi * timestamp_ms / 4200.0)
    shift, moved = np.array([0.0, breath]), (0.0, float(breath))
    yield Layer("wall", anatomy_id("abdominal-wall"), WALL, 0.5, 0.0, 0.72, gloss=0.35)
    yield Layer("fat", anatomy_id("fat"), OMENTUM, 0.25, 0.10, 0.62)
    x = 0.75 + 0.2 * body.lumps[20]
    band = np.array([(x - 0.05, -1.75), (x + 0.16, -1.75), (x + 0.26, -0.8), (x + 0.1, -0.62), (x, -0.95)])
    yield Layer("liver", anatomy_id("liver"), _liver(body.lumps) + shift, 0.45, 0.30, 0.92, moved)
    yield Layer("liver", anatomy_id("liver"), LOBE + 1.6 * shift + xy(0.1 * body.lumps[21], 0), 0.35, 0.26, 1.0, moved)
    yield Layer("ligament", anatomy_id("hepatic-vessels"), smooth(band) + shift, 0.08, 0.05, 0.9, moved)


@lru_cache(maxsize=64)
def _liver(lumps: tuple[float, ...]) -> Points:
    wave = np.interp(np.linspace(0, 16, len(LIVER)), np.arange(17), np.resize(np.array(lumps[24:40]), 17))
    return LIVER + np.stack([np.zeros(len(LIVER)), 0.05 * wave], axis=1)


def _bed(body: Body, state: State) -> Iterator[Layer]:
    """The raw liver where the gallbladder was; seen from the neck upwards as it is detached."""
    if state.detached <= 0.02:
        return
    start, end = np.array(body.neck), np.array(body.fundus)
    reached = start + (end - start) * max(0.12, smoothstep(state.detached))
    axis = curve(start + (end - start) * 0.04, reached, 0.05)
    outline = smooth(gallbladder_outline(body, axis, 0.86)[::2], 2)
    yield Layer("bed", anatomy_id("liver"), outline, 0.06, -0.04, 0.95, gloss=1.0 - 0.5 * state.cleaned)


def _pedicle(body: Body, state: State, axis: Points) -> Iterator[Layer]:
    """Vein, artery and cystic duct below the neck, with the web of connective tissue that hides them first."""
    neck, hilum = np.array(body.neck), np.array(body.hilum)
    vein = curve(hilum + xy(-1.00, 0.34), hilum + xy(0.55, 0.12), 0.15, 13)
    yield Layer("vein", anatomy_id("hepatic-vessels"), smooth(tube(vein, 0.09), 2), 0.06, 0.035, 0.80)
    for material, label, start, end, width, bend in (
        ("artery", "hepatic-vessels", axis[0] + xy(-0.07, 0.02), hilum + xy(-0.30, -0.02), 0.040, -0.10),
        ("duct", "connective-tissue", axis[0], hilum, 0.074, 0.10),
    ):
        pieces = _divided(start, end, neck + (hilum - neck) * 0.4, bend, state.cut)
        for piece in pieces if state.bagged < PACKED else pieces[-1:]:
            yield Layer(material, anatomy_id(label), smooth(tube(piece, width), 1), 0.45 * width, 0.03, 1.02, gloss=1.4)
    web = 0.30 * (1.0 - 0.72 * smoothstep(state.dissected)) * (1.0 - 0.4 * state.cut)
    centre = neck + (hilum - neck) * 0.32 + xy(0.02, -0.02)
    yield Layer("connective", anatomy_id("connective-tissue"), splat(centre, web, body.lumps), 0.08, 0.06, 1.0)


def _divided(start: Point, end: Point, stump: Point, bend: float, cut: float) -> list[Points]:
    """The duct or artery in one piece, or in two with a gap once it is cut; the far stump stays where it is."""
    if cut <= 0.05:
        return [curve(start, end, bend)]
    near = start + 0.16 * (end - start) / max(1.0, float(np.linalg.norm(end - start)) * 1.5)
    far = stump + 0.12 * cut * (end - stump)
    return [curve(start, near, 0.0, 4), curve(far, end, bend)]


def _gallbladder(body: Body, state: State, axis: Points) -> Iterator[Layer]:
    if state.bagged > PACKED:
        return
    outline = gallbladder_outline(body, axis)
    mean = axis.mean(axis=0) - (np.array(body.neck) + body.fundus) / 2
    moved = (float(mean[0]), float(mean[1]))
    yield Layer("gallbladder", anatomy_id("gallbladder"), smooth(outline, 1), 0.20, 0.20, 1.06, moved, gloss=1.1)


def _in_front(plan: OperationPlan, body: Body, state: State, timestamp_ms: float) -> Iterator[Layer]:
    """Stomach and omentum below; at first the omentum lies over the gallbladder."""
    dx, dy = sway(plan.seed, 2, timestamp_ms, 7.0)
    slide = np.array([0.02 * dx, 0.02 * dy])
    lift = 0.34 * (1.0 - state.uncovered) + 0.16 * state.adhesions
    shift = (float(slide[0]), float(slide[1]))
    x = 0.15 * body.lumps[41]
    yield Layer("gut", anatomy_id("gastrointestinal-tract"), STOMACH + slide + xy(x, 0), 0.34, 0.24, 1.02, shift)
    top = [(-2.4, 0.75), (-1.5, 0.62), (-0.9, 0.66), (-0.45, 0.56), (-0.05, 0.66), (0.15, 0.9), (0.0, 1.6), (-2.4, 2.0)]
    corners = np.array(top) + np.outer([0.4, 0.7, 1.0, 1.2, 1.0, 0.5, 0.0, 0.0], [0.25 * lift, -lift])
    corners[:7, 1] += 0.06 * np.array(body.lumps[42:49])
    yield Layer("fat", anatomy_id("fat"), smooth(corners) + slide, 0.22, 0.16, 1.10, shift)
    right = np.array([(0.16, 0.60), (0.50, 0.30), (1.5, 0.22), (2.2, 0.5), (2.2, 0.9), (1.2, 0.74), (0.5, 0.72)])
    right[:, 1] += 0.05 * np.array(body.lumps[50:57])
    yield Layer("fat", anatomy_id("fat"), smooth(right) - slide, 0.14, 0.10, 1.0)


def _adhesions(body: Body, state: State, axis: Points) -> Iterator[Layer]:
    """Strands between gallbladder and omentum, divided one after another."""
    for number in range(ADHESIONS):
        left = np.clip(state.adhesions * ADHESIONS - number, 0.0, 1.0)
        if left <= 0.0:
            continue
        top = axis[1 + number] + xy(-0.05 - 0.03 * number, 0.10)
        foot = np.array([-0.75 + 0.2 * number, 0.62 + 0.05 * body.lumps[number]])
        foot = top + (foot - top) * (1.0 if left > 0.5 else 2.0 * left)
        width = 0.05 + 0.10 * left
        side, waist = xy(width, 0), (top + foot) / 2
        right, left_side = [top + side, waist + 0.3 * side, foot + side], [foot - side, waist - 0.3 * side, top - side]
        outline = np.array([*right, *left_side])
        yield Layer("connective", anatomy_id("connective-tissue"), smooth(outline, 2), 0.05, 0.04, 1.05, gloss=1.3)
