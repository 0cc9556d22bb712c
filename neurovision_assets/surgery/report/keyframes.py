"""Which pictures are worth a reader's time.

Belongs here: choosing frames for phases and events, and what was found on them. Does not belong here: drawing
(`overlay`, `pictures`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from neurovision_assets.surgery.report.config import ReportConfig
from neurovision_assets.surgery.report.inputs import Array, ReportTables, column, rows_of_frames, share
from neurovision_assets.surgery.report.model import Box, Caption, KeyFrame, Mask

MIDDLE_SHARE = 0.6
"""Only the middle of a segment is searched: near its ends the phase is least certain, for people too."""

PHASE_SHARE = 0.6
"""Share of the key frames that phases may take when there are many events too."""


@dataclass(frozen=True)
class Choice:
    """The chosen pictures: frame_index by segment_index, and by event_index."""

    of_segment: dict[int, int]
    of_event: dict[int, int]

    def captions(self) -> dict[int, tuple[Caption, ...]]:
        """Why each frame was chosen, frames in order."""
        wanted: dict[int, list[Caption]] = {}
        for index, frame in self.of_segment.items():
            wanted.setdefault(frame, []).append(Caption(kind="phase", index=index))
        for index, frame in self.of_event.items():
            wanted.setdefault(frame, []).append(Caption(kind="event", index=index))
        return {frame: tuple(wanted[frame]) for frame in sorted(wanted)}


@dataclass(frozen=True)
class FrameFigures:
    """What is known of every stored frame, in time's order; all arrays have one length."""

    frame_index: Array
    timestamp_ms: Array
    merit: Array

    @classmethod
    def of(cls, tables: ReportTables, config: ReportConfig) -> FrameFigures:
        """Merit, 0 to 1: sharp in comparison with its fellows, neither dark nor frozen, its phase confident."""
        frames = tables.frames.sort_by("timestamp_ms")
        indexes = column(frames, "frame_index")
        sharpness = column(frames, "sharpness").astype(np.float64)
        usual = max(float(np.median(sharpness)) if len(sharpness) else 0.0, config.blurred_sharpness)
        merit = np.clip(sharpness / usual, 0.0, 1.0)
        merit[column(frames, "frozen").astype(bool)] *= 0.5
        merit[column(frames, "brightness") < config.dark_brightness] *= 0.25
        if tables.phases is not None:
            confidences = dict(
                zip(column(tables.phases, "frame_index"), column(tables.phases, "confidence"), strict=True)
            )
            merit = merit * np.array([confidences.get(index, 0.0) for index in indexes], dtype=np.float64)
        return cls(frame_index=indexes, timestamp_ms=column(frames, "timestamp_ms"), merit=merit)

    def best_within(self, start_ms: int, end_ms: int) -> int | None:
        """The frame of most merit in the middle of a span, the nearest to its centre among equals; None if empty."""
        middle, reach = (start_ms + end_ms) / 2, (end_ms - start_ms) * MIDDLE_SHARE / 2
        inside = np.flatnonzero((self.timestamp_ms >= start_ms) & (self.timestamp_ms < end_ms))
        if not len(inside):
            return None
        away = np.abs(self.timestamp_ms[inside] - middle)
        central = inside[away <= reach] if (away <= reach).any() else inside[[int(away.argmin())]]
        distance = np.abs(self.timestamp_ms[central] - middle) / max(1, end_ms - start_ms)
        return int(self.frame_index[central[int(np.lexsort((distance, -np.round(self.merit[central], 2)))[0])]])


def choose(tables: ReportTables, config: ReportConfig) -> Choice:
    """Pictures of the phases, then of the surest events of every kind, at most ``config.max_key_frames`` in all."""
    figures = FrameFigures.of(tables, config)
    events = _ranked_events(tables.events, figures)
    reserved = min(len(events), config.max_key_frames - int(config.max_key_frames * PHASE_SHARE))
    of_segment: dict[int, int] = {}
    for row in _ranked_segments(tables.phase_segments)[: config.max_key_frames - reserved]:
        frame = figures.best_within(row["start_ms"], row["end_ms"])
        if frame is not None:
            of_segment[row["segment_index"]] = frame
    left = config.max_key_frames - len(set(of_segment.values()))
    return Choice(dict(sorted(of_segment.items())), dict(sorted(events[:left])))


def _ranked_segments(table: pa.Table | None) -> list[dict[str, Any]]:
    """The longest segment of every phase first, then the others by length."""
    if table is None:
        return []
    rows = sorted(table.to_pylist(), key=lambda row: (-row["duration_ms"], row["segment_index"]))
    return _one_of_each_first(rows, "phase")


def _ranked_events(table: pa.Table | None, figures: FrameFigures) -> list[tuple[int, int]]:
    """(event_index, evidence frame) of the events that have a stored one, the surest of every kind first."""
    if table is None:
        return []
    merit = dict(zip(figures.frame_index.tolist(), figures.merit.tolist(), strict=True))
    rows = sorted(table.to_pylist(), key=lambda row: (-row["score"], row["start_ms"], row["event_index"]))
    ranked = []
    for row in _one_of_each_first(rows, "kind"):
        evidence = [frame for frame in row["evidence_frames"] if frame in merit]
        if evidence:
            ranked.append((row["event_index"], max(evidence, key=lambda frame: (merit[frame], -frame))))
    return ranked


def _one_of_each_first(rows: list[dict[str, Any]], kind: str) -> list[dict[str, Any]]:
    """The first row of every kind, then the others; both in the order given."""
    firsts = {row[kind]: place for place, row in reversed(list(enumerate(rows)))}
    order = sorted(range(len(rows)), key=lambda place: (firsts[rows[place][kind]] != place, place))
    return [rows[place] for place in order]


def key_frames(choice: Choice, tables: ReportTables) -> tuple[KeyFrame, ...]:
    """The chosen frames in order, each with what was found on it."""
    captions = choice.captions()
    indexes = list(captions)
    times = rows_of_frames(tables.frames.select(["frame_index", "timestamp_ms"]), indexes)
    detections = rows_of_frames(tables.detections, indexes)
    tissues = rows_of_frames(None if tables.masks is None else tables.masks(indexes), indexes)
    return tuple(
        KeyFrame(
            frame_index=index,
            timestamp_ms=times[index][0]["timestamp_ms"],
            captions=captions[index],
            boxes=tuple(_box(row) for row in sorted(detections[index], key=lambda row: -row["score"])),
            masks=tuple(_mask(row) for row in sorted(tissues[index], key=lambda row: -row["area_px"])),
        )
        for index in indexes
    )


def _box(row: dict[str, Any]) -> Box:
    sides = {side: round(float(row[side]), 1) for side in ("x_min_px", "y_min_px", "x_max_px", "y_max_px")}
    return Box(instrument=row["instrument"], score=share(row["score"]), **sides)


def _mask(row: dict[str, Any]) -> Mask:
    return Mask(
        structure=row["structure"],
        confidence=share(row["confidence"]),
        area_fraction=share(row["area_fraction"]),
        rle=row["rle"],
    )
