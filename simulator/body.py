"""The patient's body of one operation: where the organs lie, a little different for every seed.

Belongs here: anchor points in the scene (see `view` for its units) and the shape of the gallbladder. Does not
belong here: outlines of the other organs (`anatomy`), instruments.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from simulator.progress import State, smoothstep
from simulator.view import Point, Points, xy

PORTS: Points = np.array([(-0.62, -1.86), (0.06, -1.72), (0.66, -1.98)])
"""Where the trocars come through the abdominal wall."""

GRASPED_AT = 0.24
"""Where along the gallbladder, from neck to fundus, the retracting grasper holds it."""

FOLDED_RAD = np.deg2rad(112)
"""How far the detached gallbladder is turned about its fundus, onto the liver."""


@dataclass(frozen=True)
class Body:
    """Anchor points: `neck` and `fundus` of the gallbladder, `hilum` where its duct ends; `girth` is its radius."""

    neck: tuple[float, float]
    fundus: tuple[float, float]
    hilum: tuple[float, float]
    girth: float
    lumps: tuple[float, ...]


@lru_cache(maxsize=64)
def body_of(seed: int) -> Body:
    """The body of an operation."""
    rng = np.random.default_rng([seed, 300])
    dx = rng.uniform(-0.06, 0.06, 6)
    return Body(
        neck=(0.05 + dx[0], 0.10 + dx[1]),
        fundus=(-0.36 + 1.5 * dx[2], -0.60 + dx[3]),
        hilum=(0.44 + dx[4], 0.46 + dx[5]),
        girth=float(rng.uniform(0.22, 0.30)),
        lumps=tuple(rng.uniform(-1, 1, 64).tolist()),
    )


def gallbladder_axis(body: Body, state: State, pull: Point) -> Points:
    """The centre line [9,2] of the gallbladder from neck to fundus: attached, folded up as it is detached, packed.

    `pull` is how far the retracting grasper has moved the place it holds, in scene units.
    """
    neck, fundus = np.array(body.neck), np.array(body.fundus)
    angle = FOLDED_RAD * smoothstep(state.detached)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    neck = fundus + turn @ (neck - fundus)
    along = np.linspace(0, 1, 9)[:, None]
    bend = 0.12 * np.sin(np.pi * along) * np.array([(neck - fundus)[1], -(neck - fundus)[0]])
    line = neck + (fundus - neck) * along + bend
    line = line + pull * np.exp(-(((along - GRASPED_AT) / 0.42) ** 2))
    packed = smoothstep((state.bagged - 0.2) * 2.2)
    into_bag = bag_place(state) + 0.55 * (line - line.mean(axis=0)) + xy(0.0, 0.12)
    return np.asarray(line + (into_bag - line) * packed)


def gallbladder_outline(body: Body, axis: Points, swelling: float = 1.0) -> Points:
    """Outline [n,2] of the sac around its axis: narrow neck, round fundus."""
    along = np.linspace(0, 1, len(axis))
    scale = np.linalg.norm(axis[-1] - axis[0]) / np.linalg.norm(np.subtract(body.fundus, body.neck))
    profile = (
        body.girth * (0.30 + 0.80 * np.sin(np.pi * (0.06 + 0.60 * along)) ** 1.3) * min(float(scale), 1.1) * swelling
    )
    direction = np.gradient(axis, axis=0)
    direction /= np.linalg.norm(direction, axis=1, keepdims=True) + 1e-9
    normal = np.stack([direction[:, 1], -direction[:, 0]], axis=1)
    arc = np.linspace(-np.pi / 2, np.pi / 2, 9)[1:-1, None]
    cap = axis[-1] + profile[-1] * (np.cos(arc) * direction[-1] - np.sin(arc) * normal[-1])
    left, right = axis + normal * profile[:, None], axis - normal * profile[:, None]
    return np.concatenate([left, cap, right[::-1]])


def bag_place(state: State) -> Point:
    """Centre of the specimen bag: beside the liver, then on its way out through the middle port."""
    way = smoothstep(state.extracted * 1.25)
    start, end = np.array([0.30, 0.22]), PORTS[1] + xy(0.0, 0.16)
    place: Point = start + (end - start) * way
    return place
