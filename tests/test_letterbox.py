"""How a picture lies in a frame, and the way back to source pixels."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.letterbox import QUARTER_TURNS_DEG, FrameGeometry, letterbox, pad

edges = st.integers(1, 5000)
turns = st.sampled_from(QUARTER_TURNS_DEG)


@pytest.mark.parametrize(
    ("stored", "rotation_deg", "inner", "padding"),
    [
        ((1920, 1080), 0, (640, 360), (0, 60)),
        ((640, 360), 0, (640, 360), (0, 60)),
        ((720, 576), 0, (600, 480), (20, 0)),
        ((1920, 1080), 90, (270, 480), (185, 0)),
        ((1080, 1920), 270, (640, 360), (0, 60)),
        ((641, 479), 0, (640, 478), (0, 1)),
        ((100, 100), 180, (480, 480), (80, 0)),
        ((5000, 1), 0, (640, 1), (0, 239)),
    ],
)
def test_fit(stored: tuple[int, int], rotation_deg: int, inner: tuple[int, int], padding: tuple[int, int]) -> None:
    geometry = FrameGeometry.fit(*stored, 640, 480, rotation_deg=rotation_deg)
    assert (geometry.inner_width_px, geometry.inner_height_px) == inner
    assert (geometry.pad_left_px, geometry.pad_top_px) == padding
    shown = (geometry.source_width_px, geometry.source_height_px)
    assert shown == (stored[::-1] if rotation_deg in (90, 270) else stored)


def test_pixels_that_are_not_square() -> None:
    """PAL, 720 x 576 with pixels of 16:15, is a 4:3 picture and fills a 4:3 frame."""
    geometry = FrameGeometry.fit(720, 576, 640, 480, pixel_aspect=16 / 15)
    assert (geometry.inner_width_px, geometry.inner_height_px) == (640, 480)
    assert geometry.to_source_box([0, 0, 640, 480]).tolist() == [0, 0, 720, 576]
    turned = FrameGeometry.fit(720, 576, 480, 640, pixel_aspect=16 / 15, rotation_deg=90)
    assert (turned.inner_width_px, turned.inner_height_px) == (480, 640)


def test_known_box() -> None:
    geometry = FrameGeometry.fit(1920, 1080, 640, 480)
    assert geometry.to_source_box([0, 60, 640, 420]).tolist() == [0, 0, 1920, 1080]
    assert geometry.to_source_box([100, 160, 200, 260]).tolist() == [300, 300, 600, 600]
    assert geometry.to_frame_box([300, 300, 600, 600]).tolist() == [100, 160, 200, 260]


def test_boxes_are_clipped_to_the_picture() -> None:
    geometry = FrameGeometry.fit(1920, 1080, 640, 480)
    assert geometry.to_source_box([-50, 0, 700, 480]).tolist() == [0, 0, 1920, 1080]
    assert geometry.to_frame_box([-10, -10, 5000, 5000]).tolist() == [0, 60, 640, 420]


def test_shapes() -> None:
    geometry = FrameGeometry.fit(1920, 1080, 640, 480)
    assert geometry.to_source_box(np.zeros((3, 4))).shape == (3, 4)
    assert geometry.to_source_box([]).shape == (0, 4)
    with pytest.raises(ValueError, match=r"\[n, 4\]"):
        geometry.to_source_box([1, 2, 3])
    with pytest.raises(ValueError, match="rotation_deg"):
        FrameGeometry.fit(10, 10, 10, 10, rotation_deg=45)


@given(width=edges, height=edges, target=st.tuples(edges, edges), rotation_deg=turns)
def test_the_picture_lies_inside_and_fills_one_side(
    width: int, height: int, target: tuple[int, int], rotation_deg: int
) -> None:
    geometry = FrameGeometry.fit(width, height, *target, rotation_deg=rotation_deg)
    assert geometry.inner_width_px == target[0] or geometry.inner_height_px == target[1]
    right = target[0] - geometry.pad_left_px - geometry.inner_width_px
    below = target[1] - geometry.pad_top_px - geometry.inner_height_px
    assert 0 <= right - geometry.pad_left_px <= 1
    assert 0 <= below - geometry.pad_top_px <= 1
    assert FrameGeometry.model_validate(json.loads(geometry.model_dump_json())) == geometry


@given(width=edges, height=edges, rotation_deg=turns, corners=st.lists(st.floats(0, 1), min_size=4, max_size=4))
def test_there_and_back(width: int, height: int, rotation_deg: int, corners: list[float]) -> None:
    geometry = FrameGeometry.fit(width, height, 640, 480, rotation_deg=rotation_deg)
    x = sorted(corner * geometry.source_width_px for corner in corners[:2])
    y = sorted(corner * geometry.source_height_px for corner in corners[2:])
    box = np.array([x[0], y[0], x[1], y[1]])
    np.testing.assert_allclose(geometry.to_source_box(geometry.to_frame_box(box)), box, atol=1e-6)


def test_letterbox_agrees_with_its_geometry() -> None:
    """A bright patch, letterboxed, is found where the geometry says."""
    image = np.zeros((360, 640, 3), np.uint8)
    image[90:180, 160:480] = 255
    frame, geometry = letterbox(image, 320, 320)
    assert frame.shape == (320, 320, 3)
    left, top, right, bottom = geometry.to_frame_box([160, 90, 480, 180]).round().astype(int)
    assert frame[top + 1 : bottom - 1, left + 1 : right - 1].min() == 255
    frame[top - 1 : bottom + 1, left - 1 : right + 1] = 0
    assert frame.max() == 0


def test_letterbox_of_one_channel_and_of_a_fitting_picture() -> None:
    grey, _ = letterbox(np.full((10, 20), 7, np.uint8), 40, 40)
    assert grey.shape == (40, 40)
    fitting = np.full((40, 40, 3), 9, np.uint8)
    same, geometry = letterbox(fitting, 40, 40)
    assert same is fitting
    assert geometry.scale_x == geometry.scale_y == 1.0


def test_the_inner_part_has_no_padding() -> None:
    geometry = FrameGeometry.fit(1920, 1080, 640, 480)
    frame = pad(np.full((360, 640, 3), 5, np.uint8), geometry)
    assert frame[geometry.inner].min() == 5
    assert frame.sum() == 5 * 360 * 640 * 3
