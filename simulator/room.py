"""What the endoscope sees outside of the body: the operating room, bright and out of focus.

Belongs here: drawing of the room, drapes, lamp and people-like shapes; a caller may hang real faces on them. Does not
belong here: when the endoscope is outside (`happenings`), any face of our own.
"""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from simulator.view import Picture, bytes_of, sway

Box = tuple[int, int, int, int]
"""x_min, y_min, x_max, y_max; maxima are excluded."""

CANVAS = (800, 600)
MARGIN = 280
"""Empty room around the canvas, for pictures wider than it: only there may walls be mirrored, never people."""
OUT_OF_FOCUS_PX, WITH_FACES_PX = 2.6, 1.0
"""Blur at 480 lines: an endoscope is focused for a few centimetres; with faces that a test looks for, less of it."""
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
    return bytes_of(cv2.copyMakeBorder(room, MARGIN, MARGIN, MARGIN, MARGIN, cv2.BORDER_REFLECT))


def _person(room: Picture, rng: np.random.Generator, x: float, y: float, size: float, face: Picture | None) -> None:
    """Gown, head, cap and mask; with a face the head is that face, bare."""
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
    if face is not None:
        _hang(room, face, _head(x, y, size))
        return
    for side in (-1, 1):
        eye = (int(x + 0.28 * side * size), int(y + 0.05 * size))
        cv2.circle(room, eye, max(2, int(0.09 * size)), (40, 34, 34), -1, cv2.LINE_AA)


def _head(x: float, y: float, size: float) -> Box:
    """The box around a head with its cap, in pixels of the canvas."""
    return int(x - 0.8 * size), int(y - 1.05 * size), int(x + 0.8 * size), int(y + 0.95 * size)


def _hang(room: Picture, face: Picture, head: Box) -> None:
    """The face [h,w,3] into the ellipse of a head, as large as it gets there without being stretched."""
    left, top, right, bottom = head
    across, high = right - left, bottom - top
    scale = max(across / face.shape[1], high / face.shape[0])
    large = cv2.resize(face, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    y, x = (large.shape[0] - high) // 2, (large.shape[1] - across) // 2
    inside = np.zeros((high, across), np.uint8)
    cv2.ellipse(inside, (across // 2, high // 2), (across // 2, high // 2), 0, 0, 360, 255, -1)
    cv2.copyTo(large[y : y + high, x : x + across], inside, room[top:bottom, left:right])


def room(
    seed: int, timestamp_ms: float, width: int, height: int, faces: tuple[Picture, ...] = ()
) -> tuple[Picture, tuple[Box, ...]]:
    """The room as the hand-held endoscope sees it at a moment.

    Args:
        seed: of the operation.
        timestamp_ms: when.
        width: of the picture.
        height: of the picture.
        faces: uint8 [h,w,3] each, RGB, hung on the people in turn; without any, people wear drawn caps and masks.

    Returns:
        The picture uint8 [height,width,3], and the boxes in pixels around the heads that are in it.
    """
    canvas = _background(seed).copy()
    rng = np.random.default_rng([seed, 601])
    heads = []
    for number in range(int(rng.integers(2, 4))):
        dx, dy = sway(seed, 610 + number, timestamp_ms, 5.0)
        x = (number + rng.uniform(0.3, 0.8)) * CANVAS[0] / 3 + 18 * dx + MARGIN
        y, size = rng.uniform(190, 290) + 10 * dy + MARGIN, rng.uniform(52, 78)
        _person(canvas, rng, x, y, size, faces[number % len(faces)] if faces else None)
        heads.append(_head(x, y, size))
    drape = tuple(int(v) for v in rng.uniform((40, 90, 110), (80, 140, 170)))
    cv2.rectangle(canvas, (0, 490 + MARGIN), (canvas.shape[1], canvas.shape[0]), drape, -1)
    middle = (CANVAS[0] // 2 + MARGIN, 520 + MARGIN)
    cv2.ellipse(canvas, middle, (520, 60), 0, 0, 360, drape, -1, cv2.LINE_AA)
    (dx, dy), (roll, zoom) = sway(seed, 620, timestamp_ms, 2.4), sway(seed, 621, timestamp_ms, 3.0)
    x, y = CANVAS[0] / 2 + MARGIN, CANVAS[1] / 2 + MARGIN
    scale = height / CANVAS[1] * (1.15 + 0.15 * zoom)
    matrix = np.asarray(cv2.getRotationMatrix2D((x, y), 14 * roll, scale), np.float64)
    matrix[:, 2] += (width / 2 - x + 70 * dx * scale, height / 2 - y + 40 * dy * scale)
    seen = cv2.warpAffine(canvas, matrix, (width, height), None, cv2.INTER_LINEAR, cv2.BORDER_REFLECT)
    softness = WITH_FACES_PX if faces else OUT_OF_FOCUS_PX
    boxes = (_seen(head, matrix, width, height) for head in heads)
    soft = cv2.GaussianBlur(seen, (0, 0), softness * height / 480)
    return bytes_of(soft), tuple(box for box in boxes if box is not None)


def _seen(head: Box, matrix: NDArray[np.float64], width: int, height: int) -> Box | None:
    """A head's box in the picture after the canvas was moved by the 2x3 matrix, None when it is out of it."""
    left, top, right, bottom = head
    corners = np.array([(left, top), (right, top), (right, bottom), (left, bottom)]) @ matrix[:, :2].T + matrix[:, 2]
    (x_min, y_min), (x_max, y_max) = np.floor(corners.min(axis=0)), np.ceil(corners.max(axis=0))
    box = max(0, int(x_min)), max(0, int(y_min)), min(width, int(x_max)), min(height, int(y_max))
    return box if box[0] < box[2] and box[1] < box[3] else None
