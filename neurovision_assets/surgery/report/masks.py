"""Masks from COCO's compressed run lengths.

Belongs here: reading them, with a check. Does not belong here: writing them (the stage ``anatomy``).

``pycocotools`` leaves memory as it was behind the last run of a mask that is too short; a report must not show that.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from resources.errors import PermanentFailure

BITS, MORE, SIGN, OFFSET = 5, 0x20, 0x10, 48
"""A character holds five bits, a mark that more follow, and 48 to make it printable (COCO API, ``maskApi.c``)."""


def decode_mask(rle: str, frame_size_px: tuple[int, int]) -> npt.NDArray[np.uint8]:
    """A mask of 0 and 1.

    Args:
        rle: COCO's compressed run lengths.
        frame_size_px: width and height of the picture that the mask belongs to.

    Returns:
        uint8 [height, width].

    Raises:
        PermanentFailure: the runs do not fill the picture.
    """
    width, height = frame_size_px
    runs = np.array(_runs(rle), dtype=np.int64)
    if (runs < 0).any() or runs.sum() != width * height:
        raise PermanentFailure(
            f"A mask's runs fill {int(runs.sum())} pixels, not {width} × {height}.",
            subject="surgery/anatomy",
            remedy="Materialize surgery/frames and surgery/anatomy again for this video.",
        )
    values = np.arange(len(runs), dtype=np.uint8) % 2
    return np.repeat(values, runs).reshape(width, height).T.copy()


def _runs(rle: str) -> list[int]:
    """Lengths of runs of 0 and 1 in turn, down the columns; from the third on they are stored as differences."""
    runs: list[int] = []
    value = shift = 0
    for character in rle.encode():
        code = character - OFFSET
        value |= (code & (MORE - 1)) << shift
        shift += BITS
        if code & MORE:
            continue
        if code & SIGN:
            value -= 1 << shift
        runs.append(value + (runs[-2] if len(runs) > 2 else 0))
        value = shift = 0
    return runs
