"""Events on pictures unlike the training pictures lose the share of their score that stands on them."""

import numpy as np
import pyarrow as pa
import pytest

from neurovision_assets.schemas import EVENTS
from neurovision_assets.surgery.events.familiarity import doubt_unfamiliar


def event(index: int, start_ms: int, end_ms: int, score: float = 1.0) -> dict[str, object]:
    return {
        "event_index": index,
        "kind": "idle",
        "start_ms": start_ms,
        "end_ms": end_ms,
        "duration_ms": end_ms - start_ms,
        "score": score,
        "rule": "idle",
        "rule_version": "1.0.0",
        "detail": "frames=4",
        "evidence_frames": [0],
    }


def test_the_share_of_unfamiliar_pictures_is_taken_off():
    times = np.arange(8, dtype=np.int64) * 500
    novelty = np.array([2, 2, 2, 2, 2, 0.5, 1.0, np.nan], dtype=np.float32)
    rows = [event(0, 0, 2000), event(1, 2000, 4000, 0.8), event(2, 2500, 4000, 0.5)]

    told = doubt_unfamiliar(pa.Table.from_pylist(rows, schema=EVENTS.arrow_schema), times, novelty)

    assert told.schema.equals(EVENTS.arrow_schema)
    assert told["score"].to_pylist() == pytest.approx([0.0, 0.6, 0.5])
    assert told["detail"].to_pylist() == ["frames=4 unfamiliar=1.00", "frames=4 unfamiliar=0.25", "frames=4"]


def test_no_events_stay_no_events():
    empty = EVENTS.arrow_schema.empty_table()
    assert doubt_unfamiliar(empty, np.zeros(1, np.int64), np.ones(1, np.float32)).num_rows == 0
