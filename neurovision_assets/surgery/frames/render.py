"""From a decoded picture to a stored frame's pixels.

Belongs here: colour, scale, turn, padding. Does not belong here: decoding, compression, the geometry's mathematics.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from models.letterbox import FrameGeometry, pad

if TYPE_CHECKING:
    from av.video.frame import VideoFrame
    from av.video.reformatter import VideoReformatter

Image = npt.NDArray[np.uint8]

COLOUR_UNSPECIFIED = 2
"""AVCOL_SPC_UNSPECIFIED (ITU-T H.273, MatrixCoefficients 2)."""

HD_MIN_WIDTH_PX = 1280
HD_MIN_HEIGHT_PX = 577
"""Pictures of this size without a colour tag are BT.709, smaller ones BT.601, as players take them."""


class Renderer:
    """Renders decoded pictures; may be used by several threads at once.

    Scaling averages over the area of each target pixel, in libswscale straight from the decoder's planes: no
    aliasing whatever the factor, and no full-size RGB picture in between.
    """

    def __init__(self) -> None:
        self._of_thread = threading.local()

    def render(self, picture: VideoFrame, geometry: FrameGeometry, rotation_deg: int) -> Image:
        """Turn a decoded picture into a stored frame: upright, scaled, padded.

        A picture of another size or turn than the geometry's source (a recorder changed its settings) is fitted
        into the place that the geometry gives to pictures.

        Args:
            picture: as decoded.
            geometry: how the recording's pictures lie in its frames.
            rotation_deg: clockwise turn that stands this picture upright.

        Returns:
            [height_px, width_px, 3] uint8, BGR.
        """
        if _is_usual(picture, geometry, rotation_deg):
            return pad(self._scale(picture, geometry), geometry)
        place = FrameGeometry.fit(
            picture.width,
            picture.height,
            geometry.inner_width_px,
            geometry.inner_height_px,
            rotation_deg=rotation_deg,
        )
        return pad(pad(self._scale(picture, place), place), geometry)

    def _scale(self, picture: VideoFrame, geometry: FrameGeometry) -> Image:
        """The picture upright in the geometry's inner size, without padding."""
        from av.video.reformatter import ColorRange, Colorspace, Interpolation

        inner = (geometry.inner_width_px, geometry.inner_height_px)
        width, height = inner[::-1] if geometry.is_sideways else inner
        shrinks = width < picture.width or height < picture.height
        kernel = Interpolation.AREA if shrinks else Interpolation.BICUBIC
        is_hd = picture.width >= HD_MIN_WIDTH_PX or picture.height >= HD_MIN_HEIGHT_PX
        untagged = Colorspace.ITU709 if is_hd else Colorspace.ITU601
        scaled = self._reformatter().reformat(
            picture,
            width=width,
            height=height,
            format="bgr24",
            src_colorspace=untagged if picture.colorspace == COLOUR_UNSPECIFIED else None,
            dst_color_range=ColorRange.JPEG,
            interpolation=kernel | Interpolation.ACCURATE_RND,
            threads=1,
        )
        return _turned(scaled.to_ndarray().astype(np.uint8, copy=False), geometry.rotation_deg)

    def _reformatter(self) -> VideoReformatter:
        """One scaler a thread: it keeps its tables from picture to picture."""
        from av.video.reformatter import VideoReformatter

        if not hasattr(self._of_thread, "reformatter"):
            self._of_thread.reformatter = VideoReformatter()
        reformatter: VideoReformatter = self._of_thread.reformatter
        return reformatter


def _is_usual(picture: VideoFrame, geometry: FrameGeometry, rotation_deg: int) -> bool:
    source = (geometry.source_width_px, geometry.source_height_px)
    stored = source[::-1] if geometry.is_sideways else source
    return (picture.width, picture.height) == stored and rotation_deg == geometry.rotation_deg


def _turned(image: Image, clockwise_deg: int) -> Image:
    return np.ascontiguousarray(np.rot90(image, -(clockwise_deg // 90))) if clockwise_deg else image
