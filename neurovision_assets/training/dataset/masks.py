"""Masks of tissue as PNG.

Belongs here: decoding and what a mask may hold. Does not belong here: whether it fits its picture.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from neurovision_assets.training.dataset.schemas import ANATOMY


def read_mask(png: bytes) -> NDArray[np.uint8]:
    """Class ids of a mask: uint8 [h,w].

    Raises:
        ValueError: it is no PNG of one byte a pixel, or holds ids that are no class.
    """
    import cv2

    mask = cv2.imdecode(np.frombuffer(png, dtype=np.uint8), cv2.IMREAD_UNCHANGED) if png else None
    if mask is None or mask.ndim != 2 or mask.dtype != np.uint8:
        raise ValueError("it is no PNG of one byte a pixel")
    if int(mask.max()) >= len(ANATOMY):
        raise ValueError(f"{int(mask.max())} is no class; the highest is {len(ANATOMY) - 1}")
    return np.asarray(mask, dtype=np.uint8)
