"""Spilt blood: where it lies, how much, and what it stains.

Belongs here: sites of bleedings, pools as layers of tissue, the red film around them. Does not belong here: when it
bleeds (`happenings`).
"""

from __future__ import annotations

from collections.abc import Iterator

import cv2
import numpy as np

from simulator.anatomy import Layer, smooth
from simulator.body import Body
from simulator.operation import OperationPlan
from simulator.progress import State, bleedings, smoothstep
from simulator.spans import EventSpan
from simulator.view import SUBPIXEL_BITS, Camera, Picture, Point, Points, fixed_point, xy
from simulator.vocabulary import anatomy_id

LEAST_SEEN = 0.06
"""Amount below which no blood is drawn."""
COARSE = 4
"""The film is drawn on every fourth pixel in each direction: it has no edges."""
STAIN_UNITS = 0.07
"""How far a pool reddens the tissue beyond its edge, in scene units."""
STAIN_RGB = (0.86, 0.42, 0.44)
"""Share of red, green and blue that is left under the thickest film."""


def blood(plan: OperationPlan, body: Body, state: State, timestamp_ms: float) -> list[Layer]:
    """The pools of the moment, in the order in which they sprang up."""
    return list(_pools(plan, body, state, timestamp_ms))


def _pools(plan: OperationPlan, body: Body, state: State, timestamp_ms: float) -> Iterator[Layer]:
    for number, event in bleedings(plan, timestamp_ms):
        amount = blood_amount(event, state.cleaned, timestamp_ms)
        if amount < LEAST_SEEN:
            continue
        site = bleeding_site(plan, body, number, event)
        lumps = body.lumps[number % 20 :]
        beat = 1.0 + (0.06 * np.sin(2 * np.pi * timestamp_ms / 850.0) if event.covers(timestamp_ms) else 0.0)
        outline = _pool(site + xy(0.02, 0.05 * amount), 0.17 * amount * beat + 0.02, lumps, amount)
        bright, bulge = 0.70 + 0.40 * amount, 0.012 + 0.045 * amount
        yield Layer("blood", anatomy_id("blood"), outline, 0.07, bulge, bright, gloss=0.5 + 0.6 * amount)


def bleeding_site(plan: OperationPlan, body: Body, number: int, event: EventSpan) -> Point:
    """Where a bleeding springs from: near the work of its phase."""
    rng = np.random.default_rng([plan.seed, 310, number])
    neck, fundus, hilum = np.array(body.neck), np.array(body.fundus), np.array(body.hilum)
    phase = plan.phase_at(event.start_ms).phase
    along = {"gallbladder-dissection": fundus - neck, "adhesiolysis": np.array([-0.6, 0.3])}.get(phase, hilum - neck)
    site: Point = neck + along * rng.uniform(0.25, 0.7) + rng.uniform(-0.06, 0.06, 2)
    return site


def blood_amount(event: EventSpan, cleaned: float, timestamp_ms: float) -> float:
    """How much blood lies at a site, 0..1: fills while it bleeds, a dark rest stays until the field is cleaned."""
    filling = smoothstep((timestamp_ms - event.start_ms) / min(4000.0, 0.6 * event.duration_ms))
    drained = smoothstep((timestamp_ms - event.end_ms) / 5000.0)
    return filling * (1.0 - 0.85 * drained) * (1.0 - 0.9 * cleaned)


def _pool(centre: Point, radius: float, lumps: tuple[float, ...], running: float) -> Points:
    """An outline of spilt blood: a lying pool with round edges and three streams that run down from it.

    `running` 0..1 is how far the streams have come.
    """
    angles = np.linspace(0, 2 * np.pi, 72, endpoint=False)
    uneven = np.ones_like(angles)
    for order in range(4):
        uneven += 0.22 * lumps[order] * np.cos((order + 1) * angles + 3.0 * lumps[order + 4]) / (order + 1)
    x, y = 1.15 * np.cos(angles) * uneven, 0.72 * np.sin(angles) * uneven
    below = np.maximum(np.sin(angles), 0.0) ** 0.5
    for number in range(3):
        middle = 0.55 * (number - 1) + 0.2 * lumps[14 + number]
        length = running * max(0.7 + 0.6 * lumps[17 + number], 0.0)
        y = y + below * length * np.exp(-(((x - middle) / 0.20) ** 4))
    return smooth(centre + radius * np.stack([x, y], axis=1), 1)


def stain(picture: Picture, pools: list[Layer], camera: Camera) -> None:
    """Redden the picture [h,w,3] around the pools: a thin film through which the tissue is seen, not blood itself."""
    reach = STAIN_UNITS * camera.scale
    height, width = picture.shape[:2]
    for layer in pools:
        outline = camera.to_px(layer.outline)
        (left, top), (right, bottom) = outline.min(axis=0) - 2 * reach, outline.max(axis=0) + 2 * reach
        left, top, right, bottom = max(0, int(left)), max(0, int(top)), min(width, int(right)), min(height, int(bottom))
        if left >= right or top >= bottom:
            continue
        film = np.zeros((-(-(bottom - top) // COARSE), -(-(right - left) // COARSE)), np.uint8)
        cv2.fillPoly(film, [fixed_point((outline - (left, top)) / COARSE)], 255, cv2.LINE_8, SUBPIXEL_BITS)
        film = cv2.resize(cv2.GaussianBlur(film, (0, 0), reach / 2 / COARSE), (right - left, bottom - top))
        kept = cv2.merge([cv2.convertScaleAbs(film, alpha=share - 1.0, beta=255) for share in STAIN_RGB])
        under = picture[top:bottom, left:right]
        cv2.multiply(under, kept, dst=under, scale=1 / 255)
