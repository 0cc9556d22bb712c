"""Quality figures tell sharp from blurred, bright from dark, coloured from grey, moving from frozen."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt
import pytest

from neurovision_assets.surgery.frames.config import FramesConfig
from neurovision_assets.surgery.frames.quality import MEASURED_WIDTH_PX, difference, measure

Image = npt.NDArray[np.uint8]


def flat(blue: int, green: int, red: int, size: tuple[int, int] = (360, 640)) -> Image:
    return np.full((*size, 3), (blue, green, red), np.uint8)


def textured(seed: int = 0) -> Image:
    noise = np.random.default_rng(seed).integers(0, 255, (90, 160, 3), dtype=np.uint8)
    return cv2.resize(noise, (640, 360), interpolation=cv2.INTER_NEAREST).astype(np.uint8)


def test_flat_pictures() -> None:
    black, white, red = measure(flat(0, 0, 0)), measure(flat(255, 255, 255)), measure(flat(0, 0, 255))
    assert (black.brightness, white.brightness) == (0.0, 255.0)
    assert red.brightness == pytest.approx(0.299 * 255, abs=1)
    assert (white.saturation, red.saturation) == (0.0, 255.0)
    assert (black.sharpness, white.sharpness) == (0.0, 0.0)


def test_blur_lowers_sharpness_and_little_else() -> None:
    picture = textured()
    before = measure(picture)
    figures = [measure(cv2.GaussianBlur(picture, (0, 0), sigma).astype(np.uint8)) for sigma in (2, 4, 8)]
    assert before.sharpness > figures[0].sharpness > figures[1].sharpness > figures[2].sharpness
    assert figures[-1].brightness == pytest.approx(before.brightness, abs=2)


def test_size_of_the_measured_picture() -> None:
    assert measure(textured()).grey.shape == (180, MEASURED_WIDTH_PX)
    assert measure(flat(1, 2, 3, (100, 100))).grey.shape == (100, 100)


def test_difference() -> None:
    a, b = measure(textured(1)).grey, measure(textured(2)).grey
    assert difference(a, a) == 0.0
    assert difference(a, b) == difference(b, a) > 10
    assert difference(measure(flat(0, 0, 0)).grey, measure(flat(255, 255, 255)).grey) == 255.0


def test_the_frozen_threshold_lies_between_compression_and_motion() -> None:
    """JPEG noise of a still picture is below it, a shift by one pixel of a textured one above."""
    picture = textured()
    threshold = FramesConfig().frozen_difference
    moved = np.roll(picture, 1, axis=1)
    assert difference(measure(picture).grey, measure(moved).grey) > threshold
    brighter = np.clip(picture.astype(np.int16) + (np.indices((360, 640)).sum(axis=0) % 2)[..., None], 0, 255)
    assert difference(measure(picture).grey, measure(brighter.astype(np.uint8)).grey) >= threshold
