"""For how long and how often each instrument was used.

Belongs here: uses of a class of instrument. Does not belong here: single instruments in view (`track`), what a
change of instruments means (`events`).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from neurovision_assets.schemas import INSTRUMENT_USES
from neurovision_assets.surgery.instruments.config import InstrumentsConfig
from neurovision_assets.surgery.instruments.detect import Detections
from neurovision_assets.surgery.timeline import Times, frame_ends_ms


def instrument_uses_table(
    detections: Detections,
    frame_index: npt.NDArray[np.int32],
    timestamp_ms: Times,
    duration_ms: int,
    labels: tuple[str, ...],
    config: InstrumentsConfig,
) -> pa.Table:
    """Uses in order of their beginning; `schemas.INSTRUMENT_USES`.

    A use goes on while its class is out of view for at most `config.use_gap_ms`; its length includes such gaps.

    Args:
        detections: boxes in order of time.
        frame_index: int32 [n], all stored frames, rising.
        timestamp_ms: int64 [n], their times.
        duration_ms: length of the video.
        labels: class names of the detector.
        config: gap and least number of frames.
    """
    ends = frame_ends_ms(timestamp_ms, duration_ms)
    place = np.searchsorted(frame_index, detections.frame_index)
    rows = [
        (start, end, labels[class_id], number, score, frames)
        for class_id in np.unique(detections.class_id)
        for number, (start, end, score, frames) in enumerate(
            _uses(place, detections, detections.class_id == class_id, timestamp_ms, ends, config)
        )
    ]
    rows.sort()
    columns = {
        "instrument": [row[2] for row in rows],
        "use_index": [row[3] for row in rows],
        "start_ms": [row[0] for row in rows],
        "end_ms": [row[1] for row in rows],
        "duration_ms": [row[1] - row[0] for row in rows],
        "mean_score": [row[4] for row in rows],
        "frame_count": [row[5] for row in rows],
    }
    return pa.table(columns, schema=INSTRUMENT_USES.arrow_schema)


def _uses(
    place: npt.NDArray[np.int64],
    detections: Detections,
    own: npt.NDArray[np.bool_],
    starts_ms: Times,
    ends_ms: Times,
    config: InstrumentsConfig,
) -> list[tuple[int, int, float, int]]:
    """Start, end, mean score and frame count of every use of one class."""
    seen, boxes = np.unique(place[own], return_counts=True)
    scores = np.add.reduceat(detections.score[own].astype(np.float64), np.cumsum(boxes) - boxes)
    breaks = np.flatnonzero(starts_ms[seen[1:]] - ends_ms[seen[:-1]] > config.use_gap_ms) + 1
    first = np.concatenate(([0], breaks))
    last = np.append(breaks, len(seen)) - 1
    means = np.add.reduceat(scores, first) / np.add.reduceat(boxes, first)
    frames = last - first + 1
    return [
        (int(starts_ms[seen[a]]), int(ends_ms[seen[b]]), min(float(mean), 1.0), int(count))
        for a, b, mean, count in zip(first, last, means, frames, strict=True)
        if count >= config.use_min_frames
    ]
