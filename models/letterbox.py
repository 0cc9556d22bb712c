"""How a frame is fitted into a network's input: aspect kept, black bars, centred.

Belongs here: the picture and the way back for boxes. Does not belong here: reading frames, the stages' own geometry.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True)
class Fit:
    """Scale and offset of a letterbox: `inside = outside * scale + offset`."""

    scale: float
    left_px: int
    top_px: int
    width_px: int
    height_px: int

    @classmethod
    def of(cls, width_px: int, height_px: int, *, into_width_px: int, into_height_px: int) -> Fit:
        """Fit a picture of the first size into a frame of the second."""
        scale = min(into_width_px / width_px, into_height_px / height_px)
        inner_width_px = round(width_px * scale)
        inner_height_px = round(height_px * scale)
        return cls(
            scale=scale,
            left_px=(into_width_px - inner_width_px) // 2,
            top_px=(into_height_px - inner_height_px) // 2,
            width_px=inner_width_px,
            height_px=inner_height_px,
        )

    def boxes_inside(self, boxes_px: NDArray[Any]) -> NDArray[np.float32]:
        """Map boxes [M,4] (x_min, y_min, x_max, y_max) from the picture into the frame."""
        offset = np.array([self.left_px, self.top_px] * 2, dtype=np.float32)
        return np.asarray(boxes_px, dtype=np.float32).reshape(-1, 4) * np.float32(self.scale) + offset


def letterbox(image: NDArray[np.uint8], *, height_px: int, width_px: int) -> NDArray[np.uint8]:
    """Fit an RGB picture [h,w,3] into [height_px,width_px,3] with black bars."""
    import cv2

    fit = Fit.of(image.shape[1], image.shape[0], into_width_px=width_px, into_height_px=height_px)
    shrinks = fit.scale < 1
    inner = cv2.resize(
        image, (fit.width_px, fit.height_px), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    )
    canvas = np.zeros((height_px, width_px, 3), dtype=np.uint8)
    canvas[fit.top_px : fit.top_px + fit.height_px, fit.left_px : fit.left_px + fit.width_px] = inner
    return canvas


def as_batch(images: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Turn pictures [N,H,W,3] of bytes into a network's input [N,3,H,W] in 0..1."""
    batch = np.ascontiguousarray(images.transpose(0, 3, 1, 2), dtype=np.float32)
    batch /= 255.0
    return batch
