"""How a picture lies inside a frame of another size, and back.

Belongs here: the letterbox transform, for stored frames and for the inputs of models, one for training and for service:
a network must see in both the same. Does not belong here: decoding, colour.

Coordinates are pixel edges: a picture of width w spans 0 to w, so the centre of its first pixel is 0.5.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field

FloatArray = npt.NDArray[np.float64]
Image = npt.NDArray[np.uint8]

QUARTER_TURNS_DEG = (0, 90, 180, 270)
SIDEWAYS_DEG = (90, 270)


class FrameGeometry(BaseModel):
    """A source picture, upright, scaled and centred on a black frame.

    Whole pixel counts are stored and scales derived from them, so that the map is exact after rounding
    and the record survives JSON unchanged.

    Attributes:
        source_width_px: width of the source picture after rotation.
        source_height_px: height of the source picture after rotation.
        rotation_deg: clockwise turn that was applied to the stored picture to stand it upright.
        width_px: width of the frame, padding included.
        height_px: height of the frame, padding included.
        inner_width_px: width of the picture inside the frame.
        inner_height_px: height of the picture inside the frame.
        pad_left_px: columns of padding left of the picture.
        pad_top_px: rows of padding above the picture.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    source_width_px: int = Field(ge=1)
    source_height_px: int = Field(ge=1)
    rotation_deg: int = 0
    width_px: int = Field(ge=1)
    height_px: int = Field(ge=1)
    inner_width_px: int = Field(ge=1)
    inner_height_px: int = Field(ge=1)
    pad_left_px: int = Field(ge=0)
    pad_top_px: int = Field(ge=0)

    @classmethod
    def fit(
        cls,
        stored_width_px: int,
        stored_height_px: int,
        width_px: int,
        height_px: int,
        *,
        rotation_deg: int = 0,
        pixel_aspect: float = 1.0,
    ) -> FrameGeometry:
        """Fit a stored picture into a frame, keeping its aspect.

        Args:
            stored_width_px: width of the picture as it is coded, before rotation.
            stored_height_px: height of the picture as it is coded, before rotation.
            width_px: width of the frame.
            height_px: height of the frame.
            rotation_deg: clockwise turn that stands the picture upright: 0, 90, 180 or 270.
            pixel_aspect: width of a coded pixel over its height (PAL and NTSC recorders do not write squares).
        """
        if rotation_deg not in QUARTER_TURNS_DEG:
            raise ValueError(f"rotation_deg must be one of {QUARTER_TURNS_DEG}, not {rotation_deg}")
        sideways = rotation_deg in SIDEWAYS_DEG
        source = (stored_height_px, stored_width_px) if sideways else (stored_width_px, stored_height_px)
        shape = (float(stored_width_px) * pixel_aspect, float(stored_height_px))
        shown_width, shown_height = shape[::-1] if sideways else shape
        scale = min(width_px / shown_width, height_px / shown_height)
        inner_width = min(width_px, max(1, round(shown_width * scale)))
        inner_height = min(height_px, max(1, round(shown_height * scale)))
        return cls(
            source_width_px=source[0],
            source_height_px=source[1],
            rotation_deg=rotation_deg,
            width_px=width_px,
            height_px=height_px,
            inner_width_px=inner_width,
            inner_height_px=inner_height,
            pad_left_px=(width_px - inner_width) // 2,
            pad_top_px=(height_px - inner_height) // 2,
        )

    @property
    def is_sideways(self) -> bool:
        """Whether the stored picture is turned by a quarter, so that its width is the source's height."""
        return self.rotation_deg in SIDEWAYS_DEG

    @property
    def scale_x(self) -> float:
        """Frame pixels a source pixel, along x."""
        return self.inner_width_px / self.source_width_px

    @property
    def scale_y(self) -> float:
        """Frame pixels a source pixel, along y."""
        return self.inner_height_px / self.source_height_px

    @property
    def inner(self) -> tuple[slice, slice]:
        """Rows and columns of the picture inside the frame: `frame[geometry.inner]` has no padding."""
        rows = slice(self.pad_top_px, self.pad_top_px + self.inner_height_px)
        columns = slice(self.pad_left_px, self.pad_left_px + self.inner_width_px)
        return rows, columns

    def to_source_box(self, boxes: npt.ArrayLike) -> FloatArray:
        """Map boxes from frame pixels to source pixels, clipped to the picture.

        Args:
            boxes: [4] or [n, 4], (x_min, y_min, x_max, y_max) in frame pixels.

        Returns:
            The same shape, float64, in source pixels.
        """
        frame = _as_boxes(boxes)
        source = (frame - self._offset()) / self._scale()
        return np.clip(source, 0.0, self._limit())

    def to_frame_box(self, boxes: npt.ArrayLike) -> FloatArray:
        """Map boxes from source pixels to frame pixels, clipped to the picture inside the frame.

        Args:
            boxes: [4] or [n, 4], (x_min, y_min, x_max, y_max) in source pixels.

        Returns:
            The same shape, float64, in frame pixels.
        """
        source = _as_boxes(boxes)
        return np.clip(source, 0.0, self._limit()) * self._scale() + self._offset()

    def _limit(self) -> FloatArray:
        return np.array([self.source_width_px, self.source_height_px] * 2, dtype=np.float64)

    def _offset(self) -> FloatArray:
        return np.array([self.pad_left_px, self.pad_top_px] * 2, dtype=np.float64)

    def _scale(self) -> FloatArray:
        return np.array([self.scale_x, self.scale_y] * 2, dtype=np.float64)


def _as_boxes(boxes: npt.ArrayLike) -> FloatArray:
    array: FloatArray = np.asarray(boxes, dtype=np.float64)
    if array.size == 0:
        return array.reshape(0, 4)
    if array.ndim not in (1, 2) or array.shape[-1] != 4:
        raise ValueError(f"boxes must have the shape [4] or [n, 4], not {list(array.shape)}")
    return array


def letterbox(image: Image, width_px: int, height_px: int) -> tuple[Image, FrameGeometry]:
    """Scale a picture into a black frame of the given size, keeping its aspect.

    Args:
        image: [h, w, 3] or [h, w], uint8.
        width_px: width of the result.
        height_px: height of the result.

    Returns:
        The frame, [height_px, width_px(, 3)] uint8, and the geometry that maps its boxes back to `image`.
    """
    height, width = image.shape[:2]
    geometry = FrameGeometry.fit(width, height, width_px, height_px)
    return pad(scale(image, geometry), geometry), geometry


def scale(image: Image, geometry: FrameGeometry) -> Image:
    """A picture in the geometry's inner size; no copy when it has that size."""
    import cv2

    height, width = image.shape[:2]
    inner = (geometry.inner_width_px, geometry.inner_height_px)
    if inner == (width, height):
        return image
    shrinks = inner[0] < width or inner[1] < height
    resized: Any = cv2.resize(image, inner, interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)
    return np.asarray(resized, dtype=np.uint8)


def pad(inner: Image, geometry: FrameGeometry) -> Image:
    """Lay a picture of the geometry's inner size on its black frame; no copy when there is no padding."""
    height, width = inner.shape[:2]
    if (width, height) == (geometry.width_px, geometry.height_px):
        return inner
    frame: Image = np.zeros((geometry.height_px, geometry.width_px, *inner.shape[2:]), dtype=np.uint8)
    frame[geometry.inner] = inner
    return frame


def as_batch(images: Image) -> npt.NDArray[np.float32]:
    """Turn pictures [N,H,W,3] of bytes into a network's input [N,3,H,W] in 0..1."""
    batch = np.ascontiguousarray(images.transpose(0, 3, 1, 2), dtype=np.float32)
    batch /= 255.0
    return batch
