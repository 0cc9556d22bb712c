"""How good a stored frame is: sharp, bright, coloured, moving.

Belongs here: cheap figures of one picture and its difference to the one before. Does not belong here: what
follows from them (events, warnings in a report).

Everything is measured on the picture inside the frame (no padding), reduced to at most 320 pixels of width by area
averaging, so that figures of different source sizes can be compared and cost well under a millisecond.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Image = npt.NDArray[np.uint8]

MEASURED_WIDTH_PX = 320


@dataclass(frozen=True)
class PictureFigures:
    """Figures of one picture by itself.

    Attributes:
        sharpness: variance of the Laplacian of grey levels (Pech-Pacheco et al., ICPR 2000).
        brightness: mean luma (BT.601), 0 to 255.
        saturation: mean S of HSV, 0 to 255.
        grey: the reduced grey picture, kept for the difference to the next one.
    """

    sharpness: float
    brightness: float
    saturation: float
    grey: Image


def measure(inner_bgr: Image) -> PictureFigures:
    """Measure one picture without padding.

    Args:
        inner_bgr: [h, w, 3] uint8, BGR.
    """
    import cv2

    height, width = inner_bgr.shape[:2]
    small: Image = inner_bgr
    if width > MEASURED_WIDTH_PX:
        size = (MEASURED_WIDTH_PX, max(1, round(height * MEASURED_WIDTH_PX / width)))
        small = cv2.resize(inner_bgr, size, interpolation=cv2.INTER_AREA).astype(np.uint8, copy=False)
    grey = cv2.cvtColor(small, cv2.COLOR_BGR2GRAY).astype(np.uint8, copy=False)
    saturation = cv2.cvtColor(small, cv2.COLOR_BGR2HSV)[:, :, 1]
    return PictureFigures(
        sharpness=float(cv2.Laplacian(grey, cv2.CV_32F).var()),
        brightness=float(grey.mean()),
        saturation=float(saturation.mean()),
        grey=grey,
    )


def difference(before: Image, after: Image) -> float:
    """Mean absolute difference of two reduced grey pictures of one size, in grey levels (0 to 255)."""
    import cv2

    return float(cv2.absdiff(before, after).mean())
