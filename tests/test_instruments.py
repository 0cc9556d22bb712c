"""Instruments: boxes in both pictures, the same number for the same instrument, uses that can be counted."""

from __future__ import annotations

from itertools import permutations
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.letterbox import FrameGeometry, letterbox
from neurovision_assets.schemas import DETECTIONS, INSTRUMENT_USES
from neurovision_assets.surgery.instruments.assign import assign
from neurovision_assets.surgery.instruments.config import InstrumentsConfig
from neurovision_assets.surgery.instruments.detect import Detections, detect, detections_table
from neurovision_assets.surgery.instruments.track import distance_iou, track
from neurovision_assets.surgery.instruments.usage import instrument_uses_table
from neurovision_assets.surgery.pictures import decode_frames
from resources.errors import ConfigurationError
from tests.rooms import INTERVAL_MS, default_models, frame_batches, frame_times, simulated_frames, violations

GRASPER, BIPOLAR, HOOK, SCISSORS = range(4)
LABELS = ("grasper", "bipolar", "hook", "scissors", "clipper", "irrigator", "specimen-bag")
CONFIG = InstrumentsConfig()
Row = tuple[int, int, tuple[float, float, float, float]]


def boxes(rows: list[Row]) -> Detections:
    """Detections from (frame, class, box), two frames a second."""
    frames = np.array([row[0] for row in rows], np.int32)
    corners = np.array([row[2] for row in rows], np.float64).reshape(-1, 4)
    classes = np.array([row[1] for row in rows], np.int16)
    return Detections(
        frames, frames.astype(np.int64) * INTERVAL_MS, classes, np.full(len(rows), 0.8, np.float32), corners, corners
    )


def square(x: float, y: float, side: float = 100.0) -> tuple[float, float, float, float]:
    return (x, y, x + side, y + side)


def seen(frames: list[int], class_id: int) -> list[Row]:
    return [(frame, class_id, square(10, 10)) for frame in frames]


@pytest.mark.parametrize("seed", range(4))
def test_assignment_is_the_best_of_all(seed: int) -> None:
    rng = np.random.default_rng(seed)
    for _ in range(200):
        rows, columns = rng.integers(1, 6, 2)
        _check_assignment(rng.random((rows, columns)) * (rng.random((rows, columns)) < 0.8))


def test_assignment_of_nothing_and_of_ties() -> None:
    assert assign(np.zeros((0, 3))) == assign(np.zeros((2, 2))) == []
    _check_assignment(np.ones((3, 4)))


def _check_assignment(gain: np.ndarray) -> None:
    rows, columns = gain.shape
    square_gain = np.zeros((max(rows, columns),) * 2)
    square_gain[:rows, :columns] = gain
    best = max(sum(square_gain[i, j] for i, j in enumerate(order)) for order in permutations(range(len(square_gain))))
    pairs = assign(gain)
    assert sum(gain[pair] for pair in pairs) == pytest.approx(best)
    assert len({row for row, _ in pairs}) == len({column for _, column in pairs}) == len(pairs)
    assert all(gain[pair] > 0 for pair in pairs)


@pytest.mark.parametrize(
    ("other", "likeness"),
    [(square(0, 0), 1.0), (square(100, 0), -1 / 5), (square(200, 0), -4 / 10), (square(50, 0), 1 / 3 - 0.25 / 3.25)],
)
def test_distance_iou_of_squares(other: tuple[float, ...], likeness: float) -> None:
    assert distance_iou(np.array([square(0, 0)]), np.array([other]))[0, 0] == pytest.approx(likeness)


def test_two_graspers_that_jump_keep_their_numbers() -> None:
    rows = [(frame, GRASPER, square(60.0 * frame, 0)) for frame in range(6)]
    rows += [(frame, GRASPER, square(400 - 60.0 * frame, 150)) for frame in range(6)]
    rows.sort(key=lambda row: row[0])
    assert track(boxes(rows), INTERVAL_MS, CONFIG).tolist() == [0, 1] * 6


def test_another_class_is_another_instrument() -> None:
    numbers = track(boxes([(0, GRASPER, square(0, 0)), (1, HOOK, square(0, 0))]), INTERVAL_MS, CONFIG)
    assert numbers.tolist() == [0, 1]


def test_an_instrument_that_stays_away_comes_back_as_another() -> None:
    rows = seen([0, 1, 5, 6, 11], GRASPER)
    assert track(boxes(rows), INTERVAL_MS, CONFIG).tolist() == [0, 0, 0, 0, 1]


def test_frames_far_apart_are_still_linked() -> None:
    detections = boxes(seen([0, 8, 16], GRASPER))
    assert track(detections, 8 * INTERVAL_MS, CONFIG).tolist() == [0, 0, 0]


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 2), st.integers(0, 500), st.integers(0, 400)), max_size=40))
def test_numbers_are_unique_in_a_frame_without_holes_and_of_one_class(rows: list[tuple[int, int, int, int]]) -> None:
    detections = boxes([(frame, class_id, square(x, y)) for frame, class_id, x, y in sorted(rows)])
    numbers = track(detections, INTERVAL_MS, CONFIG)
    pairs = list(zip(detections.frame_index.tolist(), numbers.tolist(), strict=True))
    assert len(set(pairs)) == len(pairs)
    assert sorted(set(numbers.tolist())) == list(range(len(set(numbers.tolist()))))
    for number in set(numbers.tolist()):
        assert len(set(detections.class_id[numbers == number].tolist())) == 1


def test_scissors_used_three_times_for_42_seconds() -> None:
    frames = [*range(40), *range(60, 90), *range(100, 114)]
    frame_index, timestamp_ms = frame_times(200)
    detections = boxes(seen(frames, SCISSORS))
    table = instrument_uses_table(detections, frame_index, timestamp_ms, 100_000, LABELS, CONFIG)
    assert violations(INSTRUMENT_USES, table) == []
    assert table["use_index"].to_pylist() == [0, 1, 2]
    assert sum(table["duration_ms"].to_pylist()) == 42_000
    assert table["frame_count"].to_pylist() == [40, 30, 14]
    assert table["mean_score"].to_pylist() == pytest.approx([0.8] * 3)


def test_short_gaps_stay_in_a_use_and_single_frames_are_none() -> None:
    frame_index, timestamp_ms = frame_times(100)
    detections = boxes(sorted(seen([0, 1, 7, 8, 30], HOOK) + seen([40], BIPOLAR)))
    table = instrument_uses_table(detections, frame_index, timestamp_ms, 50_000, LABELS, CONFIG)
    assert [(row["instrument"], row["start_ms"], row["end_ms"]) for row in table.to_pylist()] == [("hook", 0, 4500)]
    kept = instrument_uses_table(
        detections, frame_index, timestamp_ms, 50_000, LABELS, InstrumentsConfig(use_min_frames=1)
    )
    assert kept["instrument"].to_pylist() == ["hook", "hook", "bipolar"]


def test_two_graspers_at_once_are_one_use() -> None:
    frame_index, timestamp_ms = frame_times(10)
    rows = [(frame, GRASPER, square(x, 0)) for frame in range(4) for x in (0, 300)]
    table = instrument_uses_table(boxes(rows), frame_index, timestamp_ms, 5_000, LABELS, CONFIG)
    assert table.num_rows == 1
    assert table["frame_count"].to_pylist() == [4]


def test_nothing_seen_is_an_empty_table() -> None:
    frame_index, timestamp_ms = frame_times(3)
    table = instrument_uses_table(boxes([]), frame_index, timestamp_ms, 1_500, LABELS, CONFIG)
    assert table.num_rows == 0
    assert track(boxes([]), INTERVAL_MS, CONFIG).tolist() == []


def test_boxes_of_the_default_model_in_frame_and_source(tmp_path: Path) -> None:
    source = simulated_frames(4, 960, 540)
    frames = np.stack([letterbox(image, 640, 480)[0] for image in source])
    geometry = FrameGeometry.fit(960, 540, 640, 480)
    config = InstrumentsConfig(score_threshold=0.01)
    found = detect(decode_frames(frame_batches(frames, rows=3)), default_models(tmp_path), config, geometry)
    assert len(found)
    table = detections_table(found, track(found, INTERVAL_MS, config), LABELS)
    assert violations(DETECTIONS, table) == []
    assert (found.source_box_px[:, 2:] > found.source_box_px[:, :2]).all()
    assert (found.source_box_px >= 0).all()
    assert (found.source_box_px <= (960, 540, 960, 540)).all()
    expected = np.clip((found.box_px - (0, 60, 0, 60)) * 1.5, 0, (960, 540, 960, 540))
    assert found.source_box_px == pytest.approx(expected)


def test_a_score_at_the_threshold_is_not_kept(tmp_path: Path) -> None:
    batches, geometry = frame_batches(simulated_frames(12)), FrameGeometry.fit(640, 480, 640, 480)
    inference = default_models(tmp_path)
    every = detect(decode_frames(batches), inference, InstrumentsConfig(score_threshold=0.01), geometry)
    threshold = float(np.sort(every.score)[len(every) // 2])
    kept = detect(decode_frames(batches), inference, InstrumentsConfig(score_threshold=threshold), geometry)
    assert 0 < len(kept) == int((every.score > threshold).sum()) < len(every)
    assert kept.score.min() > threshold


def test_a_model_that_is_no_detector_is_refused(tmp_path: Path) -> None:
    geometry = FrameGeometry.fit(640, 480, 640, 480)
    with pytest.raises(ConfigurationError, match="feature_extractor@"):
        detect([], default_models(tmp_path), InstrumentsConfig(model="feature_extractor"), geometry)
