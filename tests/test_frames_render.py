"""Colours and scale of stored frames are those of the source."""

from __future__ import annotations

import av
import numpy as np
import pytest
from av.video.reformatter import ColorRange, Colorspace

from models.letterbox import FrameGeometry
from neurovision_assets.surgery.frames.render import Renderer
from tests import media

RED, GREEN, SKIN, GREY = (200, 30, 30), (30, 180, 40), (210, 150, 120), (128, 128, 128)

AVCOL_SPC = {Colorspace.ITU709: 1, Colorspace.ITU601: 6}


def coded(
    rgb: tuple[int, int, int], size: tuple[int, int], space: Colorspace, colour_range: ColorRange, *, tagged: bool
) -> av.VideoFrame:
    """A flat decoded picture of a known colour."""
    flat = av.VideoFrame.from_ndarray(np.full((size[1], size[0], 3), rgb, np.uint8), format="rgb24")
    frame = flat.reformat(
        format="yuv420p", dst_colorspace=space, src_color_range=ColorRange.JPEG, dst_color_range=colour_range
    )
    frame.colorspace = AVCOL_SPC[space] if tagged else 2
    frame.color_range = colour_range
    return frame


def rendered(frame: av.VideoFrame) -> tuple[int, ...]:
    geometry = FrameGeometry.fit(frame.width, frame.height, 640, 480)
    image = Renderer().render(frame, geometry, 0)
    blue, green, red = image[geometry.inner].reshape(-1, 3).mean(axis=0)
    return round(red), round(green), round(blue)


@pytest.mark.parametrize("rgb", [RED, GREEN, SKIN, GREY])
@pytest.mark.parametrize("space", [Colorspace.ITU709, Colorspace.ITU601])
@pytest.mark.parametrize("colour_range", [ColorRange.MPEG, ColorRange.JPEG])
def test_tagged_colours(rgb: tuple[int, int, int], space: Colorspace, colour_range: ColorRange) -> None:
    assert rendered(coded(rgb, (320, 240), space, colour_range, tagged=True)) == pytest.approx(rgb, abs=3)


@pytest.mark.parametrize(
    ("size", "space"),
    [((1920, 1080), Colorspace.ITU709), ((640, 480), Colorspace.ITU601), ((720, 576), Colorspace.ITU601)],
)
def test_colours_without_a_tag_are_taken_as_players_take_them(size: tuple[int, int], space: Colorspace) -> None:
    assert rendered(coded(RED, size, space, ColorRange.MPEG, tagged=False)) == pytest.approx(RED, abs=3)


def test_large_reductions_average_over_the_area() -> None:
    """A chessboard of single pixels becomes even grey; a scaler that skips pixels would show black or white."""
    board = (np.indices((1080, 1920)).sum(axis=0) % 2 * 255).astype(np.uint8)
    frame = av.VideoFrame.from_ndarray(np.repeat(board[..., None], 3, axis=2), format="rgb24")
    geometry = FrameGeometry.fit(1920, 1080, 640, 480)
    inner = Renderer().render(frame, geometry, 0)[geometry.inner].astype(int)
    assert abs(inner - 127).max() <= 16


def test_small_pictures_are_enlarged_to_the_frame() -> None:
    frame = av.VideoFrame.from_ndarray(media.numbered(341, 160, 120), format="rgb24")
    geometry = FrameGeometry.fit(160, 120, 640, 480)
    image = Renderer().render(frame, geometry, 0)
    assert image.shape == (480, 640, 3)
    assert media.read_number(image) == 341


def test_padding_is_black() -> None:
    frame = coded(GREEN, (1920, 1080), Colorspace.ITU709, ColorRange.MPEG, tagged=True)
    image = Renderer().render(frame, FrameGeometry.fit(1920, 1080, 640, 480), 0)
    assert image[:60].max() == image[420:].max() == 0
    assert image[60:420].min() > 0
