"""How much of a video's findings would change: two results of the same stage, told apart for people.

Belongs here: counting changed phases and detections. Does not belong here: which of the two is better (that needs
truth: ``models.scoring``), making the second result (``reprocessing.sample``).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from models.scoring.tracks import iou_of
from neurovision_assets.surgery.pipeline import INSTRUMENTS, PHASES

if TYPE_CHECKING:
    import pyarrow as pa
    from numpy.typing import NDArray

SAME_PLACE_IOU = 0.5
"""Boxes of one class that overlap at least so much are one detection, as in mAP@0.5 (Pascal VOC)."""
BOX = ("x_min_px", "y_min_px", "x_max_px", "y_max_px")

Figures = Mapping[str, int]


def phase_changes(before: pa.Table, after: pa.Table) -> dict[str, int]:
    """Frames whose phase changes, of the frames that both results have (by time); tables of ``schemas.PHASES``."""
    old = dict(zip(before["timestamp_ms"].to_pylist(), before["phase"].to_pylist(), strict=True))
    new = dict(zip(after["timestamp_ms"].to_pylist(), after["phase"].to_pylist(), strict=True))
    common = old.keys() & new.keys()
    return {
        "frames": len(common),
        "changed_frames": sum(old[time] != new[time] for time in common),
        "frames_of_one_only": len(old.keys() ^ new.keys()),
    }


def detection_changes(before: pa.Table, after: pa.Table) -> dict[str, int]:
    """Detections that go and that come; tables of ``schemas.DETECTIONS``.

    A detection stays where the other result has one of the same class, at the same time, with an IoU of 0.5 or more.
    """
    kept = 0
    old, new = _by_time_and_class(before), _by_time_and_class(after)
    for key in old.keys() & new.keys():
        kept += _pairs(iou_of(old[key], new[key]))
    return {
        "detections": before.num_rows,
        "gone": before.num_rows - kept,
        "new": after.num_rows - kept,
    }


COMPARED = {PHASES.name: phase_changes, INSTRUMENTS.name: detection_changes}
"""By stage name: how two of its results are told apart."""


def _by_time_and_class(table: pa.Table) -> dict[tuple[int, str], NDArray[np.float64]]:
    """Boxes float64 [k, 4] by time and class."""
    boxes = np.stack([table[name].to_numpy().astype(np.float64) for name in BOX], axis=1)
    rows: dict[tuple[int, str], list[int]] = {}
    keys = zip(table["timestamp_ms"].to_pylist(), table["instrument"].to_pylist(), strict=True)
    for row, key in enumerate(keys):
        rows.setdefault(key, []).append(row)
    return {key: boxes[places] for key, places in rows.items()}


def _pairs(overlap: NDArray[np.float64]) -> int:
    """How many boxes find a partner, the most alike first."""
    count = 0
    while overlap.size and overlap.max() >= SAME_PLACE_IOU:
        row, column = np.unravel_index(int(overlap.argmax()), overlap.shape)
        overlap = np.delete(np.delete(overlap, row, axis=0), column, axis=1)
        count += 1
    return count
