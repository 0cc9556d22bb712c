"""What happens to the light on its way to the recording: smoke, fog, blur, exposure, the camera's colours, noise.

Belongs here: functions from picture to picture. Does not belong here: when they are on (`happenings`).
"""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from simulator.cast import Hospital
from simulator.progress import smoothstep
from simulator.spans import Span
from simulator.textures import noise
from simulator.view import Picture, bytes_of

SMOKE_RGB = (206, 204, 208)
FOG_RGB = (196, 204, 214)
GRAIN_TILES = 8
LUMA = np.array([0.299, 0.587, 0.114])
"""ITU-R BT.601 weights of red, green and blue."""


def strength(span: Span, timestamp_ms: float, ramp_ms: float) -> float:
    """How strong something is within its span: 0 at both ends, 1 after `ramp_ms`."""
    ramp = min(ramp_ms, span.duration_ms / 3)
    return smoothstep((timestamp_ms - span.start_ms) / ramp) * smoothstep((span.end_ms - timestamp_ms) / ramp)


@lru_cache(maxsize=8)
def _clouds(seed: int) -> NDArray[np.uint8]:
    rng = np.random.default_rng([seed, 500])
    return (255 * noise(rng, 3, 5)).astype(np.uint8)


def smoke(picture: Picture, seed: int, amount: float, timestamp_ms: float) -> Picture:
    """Drifting smoke; `amount` 0..1."""
    height, width = picture.shape[:2]
    drift = np.array([[height / 300, 0, -0.02 * timestamp_ms], [0, height / 300, -0.035 * timestamp_ms]], np.float64)
    drift[:, 2] *= height / 480
    veil = cv2.warpAffine(_clouds(seed), drift, (width, height), None, cv2.INTER_LINEAR, cv2.BORDER_REFLECT)
    return _veiled(picture, bytes_of(veil), 0.24 * amount, 0.50 * amount, SMOKE_RGB)


def fog(picture: Picture, amount: float) -> Picture:
    """A fogged lens: soft and pale; `amount` 0..1."""
    soft = cv2.GaussianBlur(picture, (0, 0), 0.5 + 3.0 * amount * picture.shape[0] / 480)
    flat = np.full(picture.shape, FOG_RGB, np.uint8)
    return bytes_of(cv2.addWeighted(soft, 1.0 - 0.42 * amount, flat, 0.42 * amount, 0))


def _veiled(
    picture: Picture, veil: NDArray[np.uint8], least: float, more: float, colour: tuple[int, int, int]
) -> Picture:
    """The picture behind a veil whose opacity is `least` + `more` times the veil's value."""
    opacity = cv2.convertScaleAbs(veil, alpha=more, beta=255 * least)
    kept = cv2.merge([255 - opacity] * 3)
    added = cv2.merge([cv2.convertScaleAbs(opacity, alpha=value / 255) for value in colour])
    return bytes_of(cv2.add(cv2.multiply(picture, kept, scale=1 / 255), added))


def blur(picture: Picture, amount: float) -> Picture:
    """Out of focus; `amount` 0..1."""
    return bytes_of(cv2.GaussianBlur(picture, (0, 0), (0.6 + 3.6 * amount) * picture.shape[0] / 480))


def smear(picture: Picture, motion_px: tuple[float, float]) -> Picture:
    """Motion blur along the way (x, y) that the picture moves during the exposure."""
    length = float(np.hypot(*motion_px))
    if length < 1.5:
        return picture
    size = min(2 * int(length) + 1, 31)
    kernel = np.zeros((size, size), np.float32)
    middle = size // 2
    dx, dy = (round(middle * part / length) for part in motion_px)
    cv2.line(kernel, (middle - dx, middle - dy), (middle + dx, middle + dy), 1.0, 1)
    return bytes_of(cv2.filter2D(picture, -1, kernel / kernel.sum()))


def exposed(picture: Picture, stops: float) -> Picture:
    """Brighter by a number of stops; what is over white is lost."""
    return bytes_of(cv2.convertScaleAbs(picture, alpha=2.0**stops, beta=0))


def colours(picture: Picture, hospital: Hospital) -> Picture:
    """The hospital's camera: saturation, white balance, gamma."""
    matrix, table = _grading(hospital)
    graded = picture if np.array_equal(matrix, np.eye(3)) else bytes_of(cv2.transform(picture, matrix))
    return graded if hospital.gamma == 1.0 else bytes_of(cv2.LUT(graded, table))


@lru_cache(maxsize=16)
def _grading(hospital: Hospital) -> tuple[NDArray[np.float64], NDArray[np.uint8]]:
    s = hospital.saturation
    matrix = np.diag(hospital.gain_rgb) @ (s * np.eye(3) + (1 - s) * np.tile(LUMA, (3, 1)))
    curve = 255 * (np.arange(256) / 255) ** hospital.gamma
    table = np.clip(np.round(curve), 0, 255).astype(np.uint8)
    return matrix, np.dstack([table] * 3)


def grain(picture: Picture, hospital: Hospital, timestamp_ms: int) -> Picture:
    """Sensor noise, one of a few fixed patterns chosen by the timestamp."""
    height, width = picture.shape[:2]
    pattern = _grain_tiles(hospital.grain, height, width)[(timestamp_ms * 7919 // 11) % GRAIN_TILES]
    return bytes_of(cv2.addWeighted(picture, 1.0, pattern, 1.0, -128.0))


@lru_cache(maxsize=8)
def _grain_tiles(level: float, height: int, width: int) -> list[Picture]:
    rng = np.random.default_rng(501)
    tiles = []
    for _ in range(GRAIN_TILES):
        grey = rng.normal(128, level, (height, width, 1))
        tinted = grey + rng.normal(0, 0.4 * level, (height, width, 3))
        tiles.append(np.clip(np.round(tinted), 0, 255).astype(np.uint8))
    return tiles
