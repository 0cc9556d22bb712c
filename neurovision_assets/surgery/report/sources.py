"""Where every figure of a report comes from.

Belongs here: the map from a figure's id to stage, table, rows and frames. Does not belong here: the figures.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from neurovision_assets.surgery.report.inputs import ReportTables, column
from neurovision_assets.surgery.report.model import (
    Event,
    InstrumentTotal,
    InstrumentUse,
    PhaseSegment,
    Source,
    StructureVisibility,
)

QUALITY_FIGURES = {"frozen_share": "frozen", "dark_share": "brightness", "blurred_share": "sharpness"}
TRUST_FIGURES = {
    "mean_phase_confidence": ("phases", "phases", "confidence"),
    "low_confidence_share": ("phases", "phases", "confidence"),
    "novel_share": ("novelty", "features", "novelty"),
    "mean_detection_score": ("detections", "instruments", "score"),
}
SPAN_COLUMNS = ("start_ms", "end_ms", "duration_ms")


def build_sources(
    tables: ReportTables,
    segments: tuple[PhaseSegment, ...],
    totals: tuple[InstrumentTotal, ...],
    uses: tuple[InstrumentUse, ...],
    structures: tuple[StructureVisibility, ...],
    events: tuple[Event, ...],
) -> dict[str, Source]:
    """The whole map; ids as `Report` says."""
    clock = _Clock(tables.frames)
    found = {"video": Source(stage="surgery/video", table="video", columns=("upload_sha256",), row_count=1)}
    found |= _whole_table_figures(tables)
    for segment in segments:
        found[f"phase.{segment.index}"] = clock.source(
            "phases",
            "phase_segments",
            ("phase", *SPAN_COLUMNS, "mean_confidence"),
            {"segment_index": segment.index},
            (segment.start_ms, segment.end_ms),
        )
    for use in uses:
        found[f"use.{use.instrument}.{use.use_index}"] = clock.source(
            "instruments",
            "instrument_uses",
            (*SPAN_COLUMNS, "mean_score"),
            {"instrument": use.instrument, "use_index": use.use_index},
            (use.start_ms, use.end_ms),
        )
    for total in totals:
        own = [use for use in uses if use.instrument == total.instrument]
        span = (min(use.start_ms for use in own), max(use.end_ms for use in own))
        found[f"instrument.{total.instrument}"] = clock.source(
            "instruments",
            "instrument_uses",
            ("start_ms", "end_ms", "mean_score", "frame_count"),
            {"instrument": total.instrument},
            span,
            total.uses,
        )
    for structure in structures:
        found[f"structure.{structure.structure}"] = _of_structure(tables.anatomy, structure.structure)
    for event in events:
        found[f"event.{event.index}"] = _of_event(event)
    return found


class _Clock:
    """Finds the stored frames of a span of time."""

    def __init__(self, frames: pa.Table) -> None:
        ordered = frames.sort_by("timestamp_ms")
        self._times = column(ordered, "timestamp_ms")
        self._indexes = column(ordered, "frame_index")

    def source(
        self,
        stage: str,
        table: str,
        columns: tuple[str, ...],
        where: Mapping[str, str | int],
        span_ms: tuple[int, int],
        row_count: int = 1,
    ) -> Source:
        first, end = np.searchsorted(self._times, span_ms)
        inside = self._indexes[first:end]
        return Source(
            stage=f"surgery/{stage}",
            table=table,
            columns=columns,
            where=dict(where),
            row_count=row_count,
            first_frame=int(inside[0]) if len(inside) else None,
            last_frame=int(inside[-1]) if len(inside) else None,
        )


def _whole_table_figures(tables: ReportTables) -> dict[str, Source]:
    found = {
        f"quality.{figure}": _of_all_rows(tables.frames, "frames", "frames", name)
        for figure, name in QUALITY_FIGURES.items()
    }
    for figure in ("lost_packets", "lost_ms"):
        found[f"quality.{figure}"] = Source(stage="surgery/frames", table="decoding", columns=(figure,), row_count=1)
    for figure, (attribute, stage, name) in TRUST_FIGURES.items():
        table = getattr(tables, attribute)
        if table is not None:
            contract = "features" if attribute == "novelty" else attribute
            found[f"trust.{figure}"] = _of_all_rows(table, stage, contract, name)
    return found


def _of_all_rows(table: pa.Table, stage: str, name: str, read: str) -> Source:
    return Source(
        stage=f"surgery/{stage}", table=name, columns=(read,), row_count=table.num_rows, **_frame_range(table)
    )


def _of_structure(table: pa.Table, structure: str) -> Source:
    own = table.filter(pc.equal(table["structure"], structure))
    return Source(
        stage="surgery/anatomy",
        table="anatomy",
        columns=("area_fraction", "confidence"),
        where={"structure": structure},
        row_count=own.num_rows,
        **_frame_range(own),
    )


def _of_event(event: Event) -> Source:
    return Source(
        stage="surgery/events",
        table="events",
        columns=("kind", *SPAN_COLUMNS, "score", "rule", "detail", "evidence_frames"),
        where={"event_index": event.index},
        row_count=1,
        first_frame=min(event.evidence_frames, default=None),
        last_frame=max(event.evidence_frames, default=None),
    )


def _frame_range(table: pa.Table) -> dict[str, int | None]:
    limits = pc.min_max(table["frame_index"]).as_py()
    return {"first_frame": limits["min"], "last_frame": limits["max"]}
