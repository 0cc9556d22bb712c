"""What a report is built from: the other stages' tables, some of which may be missing.

Belongs here: the bundle of tables and reading columns of it. Does not belong here: computing figures.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from neurovision_assets.surgery.report.model import Component

QUALITY_COLUMNS = ("frame_index", "timestamp_ms", "sharpness", "brightness", "frozen")
"""What is read of the frames table; the pictures are not."""

NOVELTY_COLUMNS = ("frame_index", "timestamp_ms", "novelty")
"""What is read of the features table; the features are not."""

AREA_COLUMNS = ("frame_index", "timestamp_ms", "structure", "area_fraction", "confidence")
"""What is read of the anatomy table; the masks' run lengths, most of it, only for the frames that are shown."""

SHARE_DIGITS = 4
"""Digits that a share or score keeps: more would be noise of single precision."""

Array = npt.NDArray[Any]
MaskLoader = Callable[[list[int]], pa.Table]
"""From frames to their rows of the anatomy table, with `rle` and `area_px`."""


@dataclass(frozen=True)
class ReportTables:
    """The tables by the contracts of ``neurovision_assets.schemas``; None for a component that is missing.

    Attributes:
        frames: at least `QUALITY_COLUMNS`.
        novelty: at least `NOVELTY_COLUMNS` of the features table.
        phases: a row a frame.
        phase_segments: a row a segment.
        detections: a row a detected instrument.
        instrument_uses: a row a use.
        anatomy: at least `AREA_COLUMNS`, a row a tissue and frame.
        masks: where the same rows come from with their masks.
        events: a row an event.
    """

    frames: pa.Table
    novelty: pa.Table | None = None
    phases: pa.Table | None = None
    phase_segments: pa.Table | None = None
    detections: pa.Table | None = None
    instrument_uses: pa.Table | None = None
    anatomy: pa.Table | None = None
    masks: MaskLoader | None = None
    events: pa.Table | None = None

    def absent(self) -> tuple[Component, ...]:
        """Components of which a table is missing, in the order the data flows."""
        needed: tuple[tuple[Component, tuple[pa.Table | None, ...]], ...] = (
            ("features", (self.novelty,)),
            ("phases", (self.phases, self.phase_segments)),
            ("instruments", (self.detections, self.instrument_uses)),
            ("anatomy", (self.anatomy,)),
            ("events", (self.events,)),
        )
        return tuple(name for name, tables in needed if any(table is None for table in tables))


def column(table: pa.Table, name: str) -> Array:
    """A column as numpy; absent values become NaN."""
    return table[name].combine_chunks().to_numpy(zero_copy_only=False)  # type: ignore[no-any-return]


def rows_of_frames(table: pa.Table | None, frame_indexes: list[int]) -> dict[int, list[dict[str, Any]]]:
    """The rows of a frame table that belong to some frames, by frame."""
    found: dict[int, list[dict[str, Any]]] = {index: [] for index in frame_indexes}
    if table is not None and frame_indexes:
        wanted = table.filter(pc.is_in(table["frame_index"], value_set=pa.array(frame_indexes, pa.int32())))
        for row in wanted.to_pylist():
            found[row["frame_index"]].append(row)
    return found


def share(value: float) -> float:
    """A share or score, rounded."""
    return round(float(value), SHARE_DIGITS)


def mean(values: Array) -> float | None:
    """Rounded mean without NaN; None when nothing is left."""
    known = values[~np.isnan(values)] if values.dtype.kind == "f" else values
    return share(known.mean()) if len(known) else None
