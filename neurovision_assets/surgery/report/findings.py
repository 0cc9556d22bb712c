"""What was found: phases, instruments, tissues, events, as the report lists them.

Belongs here: rows and totals from the prediction tables. Does not belong here: how far they can be believed (`trust`).
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from neurovision_assets.surgery.report.inputs import Array, column, share
from neurovision_assets.surgery.report.model import (
    Event,
    InstrumentTotal,
    InstrumentUse,
    PhaseSegment,
    StructureVisibility,
)


def phase_segments(table: pa.Table | None, duration_ms: int, key_frames: dict[int, int]) -> tuple[PhaseSegment, ...]:
    """The segments in time's order; `key_frames` gives a segment's picture."""
    if table is None:
        return ()
    return tuple(
        PhaseSegment(
            index=row["segment_index"],
            phase=row["phase"],
            start_ms=row["start_ms"],
            end_ms=row["end_ms"],
            duration_ms=row["duration_ms"],
            share=_of(row["duration_ms"], duration_ms),
            mean_confidence=share(row["mean_confidence"]),
            key_frame=key_frames.get(row["segment_index"]),
        )
        for row in table.sort_by([("start_ms", "ascending"), ("segment_index", "ascending")]).to_pylist()
    )


def instrument_uses(table: pa.Table | None) -> tuple[InstrumentUse, ...]:
    """Every use, in time's order."""
    if table is None:
        return ()
    ordered = table.sort_by([("start_ms", "ascending"), ("instrument", "ascending"), ("use_index", "ascending")])
    return tuple(InstrumentUse(**{**row, "mean_score": share(row["mean_score"])}) for row in ordered.to_pylist())


def instrument_totals(uses: tuple[InstrumentUse, ...], duration_ms: int) -> tuple[InstrumentTotal, ...]:
    """One row an instrument, the longest used first."""
    totals = []
    for instrument in sorted({use.instrument for use in uses}):
        own = [use for use in uses if use.instrument == instrument]
        total_ms = union_ms([(use.start_ms, use.end_ms) for use in own])
        frames = sum(use.frame_count for use in own)
        totals.append(
            InstrumentTotal(
                instrument=instrument,
                total_ms=total_ms,
                uses=len(own),
                share=_of(total_ms, duration_ms),
                mean_score=share(sum(use.mean_score * use.frame_count for use in own) / frames),
            )
        )
    return tuple(sorted(totals, key=lambda total: (-total.total_ms, total.instrument)))


def union_ms(spans: list[tuple[int, int]]) -> int:
    """Length of the union of time spans [start, end), milliseconds."""
    total = reached = 0
    for start, end in sorted(spans):
        total += max(0, end - max(start, reached))
        reached = max(reached, end)
    return total


def structures(table: pa.Table | None, frame_count: int) -> tuple[StructureVisibility, ...]:
    """One row a tissue, the most often seen first."""
    if table is None:
        return ()
    groups = table.group_by("structure").aggregate(
        [("frame_index", "count_distinct"), ("area_fraction", "mean"), ("confidence", "mean")]
    )
    found = [
        StructureVisibility(
            structure=row["structure"],
            frame_count=row["frame_index_count_distinct"],
            visible_share=_of(row["frame_index_count_distinct"], frame_count),
            mean_area_fraction=share(row["area_fraction_mean"]),
            mean_confidence=share(row["confidence_mean"]),
        )
        for row in groups.to_pylist()
    ]
    return tuple(sorted(found, key=lambda item: (-item.frame_count, item.structure)))


def events(table: pa.Table | None, segments: tuple[PhaseSegment, ...], key_frames: dict[int, int]) -> tuple[Event, ...]:
    """The events in time's order, each with the phase at its start."""
    if table is None:
        return ()
    ordered = table.sort_by([("start_ms", "ascending"), ("event_index", "ascending")])
    return tuple(
        Event(
            index=row["event_index"],
            kind=row["kind"],
            start_ms=row["start_ms"],
            end_ms=row["end_ms"],
            duration_ms=row["duration_ms"],
            score=share(row["score"]),
            phase=phase_at(segments, row["start_ms"]),
            rule=row["rule"],
            rule_version=row["rule_version"],
            detail=row["detail"],
            evidence_frames=tuple(row["evidence_frames"]),
            key_frame=key_frames.get(row["event_index"]),
        )
        for row in ordered.to_pylist()
    )


def phase_at(segments: tuple[PhaseSegment, ...], time_ms: int) -> str | None:
    """The phase at a moment, None between segments."""
    return next((item.phase for item in segments if item.start_ms <= time_ms < item.end_ms), None)


def binned_mean(times_ms: Array, values: Array, step_ms: int, steps: int) -> tuple[float | None, ...]:
    """Mean of the values in each of `steps` equal steps of time; None where there is none."""
    known = ~np.isnan(values)
    bins = np.clip(times_ms[known] // step_ms, 0, steps - 1).astype(np.int64)
    counts = np.bincount(bins, minlength=steps)
    sums = np.bincount(bins, weights=values[known], minlength=steps)
    return tuple(share(total / count) if count else None for total, count in zip(sums, counts, strict=True))


def area_curves(table: pa.Table | None, step_ms: int, steps: int) -> dict[str, tuple[float | None, ...]]:
    """Mean area fraction of every tissue over time, over the frames in which it was seen."""
    if table is None:
        return {}
    names, times = column(table, "structure"), column(table, "timestamp_ms")
    areas = column(table, "area_fraction").astype(np.float64)
    return {
        str(name): binned_mean(times[names == name], areas[names == name], step_ms, steps)
        for name in sorted(set(names.tolist()))
    }


def _of(part: int, whole: int) -> float:
    return share(min(1.0, part / whole)) if whole else 0.0
