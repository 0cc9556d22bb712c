"""What training reads of a version of the data: the operations of one split.

Belongs here: joining pictures with annotations by time. Does not belong here: making versions, the networks' inputs.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from models.data import HEIGHT_PX, WIDTH_PX, Operation
from models.labels import INSTRUMENTS, PHASES
from models.letterbox import FrameGeometry, pad
from neurovision_assets.training.dataset.folder import DatasetFolder
from neurovision_assets.training.dataset.masks import read_mask
from neurovision_assets.training.dataset.schemas import (
    BOXES,
    BOXES_KIND,
    FRAMES,
    MASKS,
    OPERATIONS,
    PHASE_SPANS,
    SEEN_MOMENTS,
    SPLIT_NAMES,
    SPLITS,
)
from resources.errors import PermanentFailure

KINDS: Final = ("phases", "boxes", "masks")
SAME_MOMENT_MS: Final = 42
"""A picture belongs to an annotation at most so far from it: a source frame at 24 a second."""
MASK_STRIDE_PX: Final = 4

Row = dict[str, Any]


def load_split(folder: Path, split: str, kinds: Collection[str] | None = None) -> list[Operation]:
    """The operations of a split that have pictures, in order of their names.

    An operation gives the pictures that have every one of the kinds, so that its arrays belong together: phases are
    known at all pictures, boxes and masks often at fewer. Ask for what the model learns from. An operation that lacks
    a kind that was asked for is left out.

    Args:
        folder: a version of the data.
        split: ``train``, ``val`` or ``test``.
        kinds: some of ``KINDS``; None for all that the operation has.

    Raises:
        PermanentFailure: there is no such split.
    """
    data = DatasetFolder(folder)
    names = {row["operation"] for row in data.rows(SPLITS) if row["split"] == split}
    if split not in SPLIT_NAMES or not names:
        raise PermanentFailure(
            f"The version has no split '{split}'.", subject=str(folder), remedy="Materialize surgery/dataset/splits."
        )
    index = _Index(data)
    found = (index.operation(row, kinds) for row in data.rows(OPERATIONS) if row["operation"] in names)
    return [operation for operation in found if operation is not None and len(operation)]


class _Index:
    """All annotations of a version by operation."""

    def __init__(self, data: DatasetFolder) -> None:
        self._data = data
        self._phases = _by_operation(data.rows(PHASE_SPANS))
        self._boxes = _by_operation(data.rows(BOXES))
        self._masks = _by_operation(data.rows(MASKS))
        self._moments = _by_operation([row for row in data.rows(SEEN_MOMENTS) if row["kind"] == BOXES_KIND])

    def operation(self, row: Row, kinds: Collection[str] | None) -> Operation | None:
        """One operation, None where it lacks a kind."""
        name = row["operation"]
        has = {"phases": self._phases[name], "boxes": self._moments[name], "masks": self._masks[name]}
        wanted = set(kinds) if kinds is not None else {kind for kind in KINDS if has[kind]}
        if not wanted or not all(has[kind] for kind in wanted):
            return None
        frames = list(self._data.pictures(FRAMES, name))
        times = np.array([frame["timestamp_ms"] for frame in frames], dtype=np.int64)
        of_phase = phase_ids(times, self._phases[name]) if "phases" in wanted else None
        boxes_at = (
            _nearest(times, [each["timestamp_ms"] for each in self._moments[name]]) if "boxes" in wanted else None
        )
        masks_at = _nearest(times, [each["timestamp_ms"] for each in self._masks[name]]) if "masks" in wanted else None
        known = [place >= 0 for place in (of_phase, boxes_at, masks_at) if place is not None]
        chosen = np.flatnonzero(np.logical_and.reduce(known)) if len(times) else np.empty(0, dtype=np.int64)
        boxes = None if boxes_at is None else self._box_arrays(row, boxes_at[chosen])
        return Operation(
            name=name,
            operation_type=row["operation_type"],
            jpegs=tuple(frames[place]["jpeg"] for place in chosen),
            phases=None if of_phase is None else of_phase[chosen],
            anatomy=None if masks_at is None else self._anatomy(name, masks_at[chosen]),
            boxes_px=None if boxes is None else boxes[:, 2:],
            box_frames=None if boxes is None else boxes[:, 0].astype(np.int64),
            box_classes=None if boxes is None else boxes[:, 1].astype(np.int64),
        )

    def _box_arrays(self, row: Row, moments: NDArray[np.int64]) -> NDArray[np.float32]:
        """Rows of frame, class and corners in the stored picture, float32 [M,6]."""
        name = row["operation"]
        geometry = FrameGeometry.fit(row["width_px"], row["height_px"], WIDTH_PX, HEIGHT_PX)
        by_time: dict[int, list[Row]] = defaultdict(list)
        for box in self._boxes[name]:
            by_time[box["timestamp_ms"]].append(box)
        found = [
            (frame, INSTRUMENTS.index(box["instrument"]), *geometry.to_frame_box(_corners(box)))
            for frame, moment in enumerate(moments)
            for box in by_time[self._moments[name][moment]["timestamp_ms"]]
        ]
        return np.array(found, dtype=np.float32).reshape(-1, 6)

    def _anatomy(self, name: str, masks: NDArray[np.int64]) -> NDArray[np.uint8]:
        """Class of the pixel in the middle of every 4x4 square of the stored picture, uint8 [T,120,160]."""
        fitted = [_fitted(read_mask(self._masks[name][place]["png"])) for place in masks]
        shape = (0, HEIGHT_PX // MASK_STRIDE_PX, WIDTH_PX // MASK_STRIDE_PX)
        return np.stack(fitted) if fitted else np.empty(shape, dtype=np.uint8)


def _by_operation(rows: list[Row]) -> dict[str, list[Row]]:
    found: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        found[row["operation"]].append(row)
    return found


def phase_ids(times: NDArray[np.int64], spans: list[Row]) -> NDArray[np.int64]:
    """Phase at each moment, -1 where none is known; spans are in order and do not overlap."""
    starts = np.array([span["start_ms"] for span in spans], dtype=np.int64)
    ends = np.array([span["end_ms"] for span in spans], dtype=np.int64)
    names = np.array([PHASES.index(span["phase"]) for span in spans], dtype=np.int64)
    place = np.searchsorted(starts, times, side="right") - 1
    inside = (place >= 0) & (times < ends[np.maximum(place, 0)])
    return np.where(inside, names[np.maximum(place, 0)], -1)


def _nearest(times: NDArray[np.int64], moments: list[int]) -> NDArray[np.int64]:
    """For each picture the place of its annotation, -1 for none; every annotation belongs to one picture at most."""
    found = np.full(len(times), -1, dtype=np.int64)
    if len(times):
        for place, moment in enumerate(moments):
            picture = int(np.abs(times - moment).argmin())
            if abs(int(times[picture]) - moment) <= SAME_MOMENT_MS:
                found[picture] = place
    return found


def _corners(box: Row) -> NDArray[np.float32]:
    return np.array([box[f"{side}_px"] for side in ("x_min", "y_min", "x_max", "y_max")], dtype=np.float32)


def _fitted(mask: NDArray[np.uint8]) -> NDArray[np.uint8]:
    import cv2

    height_px, width_px = mask.shape
    geometry = FrameGeometry.fit(width_px, height_px, WIDTH_PX, HEIGHT_PX)
    size_px = (geometry.inner_width_px, geometry.inner_height_px)
    fitted = pad(np.asarray(cv2.resize(mask, size_px, interpolation=cv2.INTER_NEAREST), dtype=np.uint8), geometry)
    middle = MASK_STRIDE_PX // 2
    return np.ascontiguousarray(fitted[middle::MASK_STRIDE_PX, middle::MASK_STRIDE_PX])
