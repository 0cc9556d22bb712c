"""What the endoscope sees outside of the body: the operating room, bright and out of focus.

Belongs here: drawing of the room, drapes, lamp and people-like shapes (no real faces). Does not belong here: when
the endoscope is outside (`happenings`).
"""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np

from simulator.view import Picture, bytes_of, sway

CANVAS = (800, 600)
GREENS = ((70, 130, 120), (60, 110, 150), (84, 140, 100), (70, 120, 165))
SKIN = ((222, 178, 150), (190, 140, 108), (140, 96, 70), (236, 196, 172))


@lru_cache(maxsize=8)
def _background(seed: int) -> Picture:
    rng = np.random.default_rng([seed, 600])
    width, height = CANVAS
    room = np.zeros((height, width, 3), np.uint8)
    wall = np.array(rng.uniform((178, 188, 186), (214, 222, 222)))
    room[:] = (wall * np.linspace(1.05, 0.85, height)[:, None, None]).clip(0, 255).astype(np.uint8)
    for _ in range(3):
        x, y = int(rng.uniform(0, 620)), int(rng.uniform(60, 260))
        tone = tuple(int(v) for v in rng.uniform(90, 200, 3))
        cv2.rectangle(room, (x, y), (x + int(rng.uniform(60, 160)), y + int(rng.uniform(60, 170))), tone, -1)
    lamp = (int(rng.uniform(150, 650)), int(rng.uniform(40, 140)))
    cv2.ellipse(room, lamp, (130, 74), float(rng.uniform(-20, 20)), 0, 360, (236, 238, 240), -1, cv2.LINE_AA)
    for angle in np.linspace(0, 2 * np.pi, 7)[:-1]:
        bulb = (int(lamp[0] + 74 * np.cos(angle)), int(lamp[1] + 40 * np.sin(angle)))
        cv2.circle(room, bulb, 24, (255, 255, 250), -1, cv2.LINE_AA)
    return room


def _person(room: Picture, rng: np.random.Generator, x: float, y: float, size: float) -> None:
    """Gown, head, cap and mask."""
    gown = tuple(int(v) for v in np.array(GREENS[int(rng.integers(4))]) + rng.uniform(-10, 10))
    skin = SKIN[int(rng.integers(4))]
    pieces = (
        (2.9, (1.7, 2.1), (0, 360), gown),
        (0.0, (0.72, 0.95), (0, 360), skin),
        (-0.3, (0.8, 0.75), (180, 360), gown),
        (0.42, (0.7, 0.5), (0, 180), (206, 224, 236)),
    )
    for down, (across, high), (start, end), colour in pieces:
        centre, axes = (int(x), int(y + down * size)), (int(across * size), int(high * size))
        cv2.ellipse(room, centre, axes, 0, start, end, colour, -1, cv2.LINE_AA)
    for side in (-1, 1):
        eye = (int(x + 0.28 * side * size), int(y + 0.05 * size))
        cv2.circle(room, eye, max(2, int(0.09 * size)), (40, 34, 34), -1, cv2.LINE_AA)


def room(seed: int, timestamp_ms: float, width: int, height: int) -> Picture:
    """The room as the hand-held endoscope sees it at a moment, uint8 [height,width,3]."""
    canvas = _background(seed).copy()
    rng = np.random.default_rng([seed, 601])
    for number in range(int(rng.integers(2, 4))):
        dx, dy = sway(seed, 610 + number, timestamp_ms, 5.0)
        x = (number + rng.uniform(0.3, 0.8)) * CANVAS[0] / 3
        _person(canvas, rng, x + 18 * dx, rng.uniform(190, 290) + 10 * dy, rng.uniform(52, 78))
    drape = tuple(int(v) for v in rng.uniform((40, 90, 110), (80, 140, 170)))
    cv2.rectangle(canvas, (0, 490), CANVAS, drape, -1)
    cv2.ellipse(canvas, (CANVAS[0] // 2, 520), (520, 60), 0, 0, 360, drape, -1, cv2.LINE_AA)
    (dx, dy), (roll, zoom) = sway(seed, 620, timestamp_ms, 2.4), sway(seed, 621, timestamp_ms, 3.0)
    scale = height / CANVAS[1] * (1.15 + 0.15 * zoom)
    matrix = np.asarray(cv2.getRotationMatrix2D((CANVAS[0] / 2, CANVAS[1] / 2), 14 * roll, scale), np.float64)
    matrix[:, 2] += (width / 2 - CANVAS[0] / 2 + 70 * dx * scale, height / 2 - CANVAS[1] / 2 + 40 * dy * scale)
    seen = cv2.warpAffine(canvas, matrix, (width, height), None, cv2.INTER_LINEAR, cv2.BORDER_REFLECT)
    return bytes_of(cv2.GaussianBlur(seen, (0, 0), 2.6 * height / 480))
