"""Segment scores against the figures that the field's own scorer printed for five real operations."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from models.phase_scores import calibration_error, edit_score, segment_counts, segment_f1, segments_of

DIGITS = 6


def read_phases(path: Path) -> np.ndarray:
    return np.loadtxt(path, dtype=np.int64)[:, 1]


@pytest.mark.parametrize("video", ["video41", "video42", "video43", "video44", "video45"])
def test_segment_scores_match_the_published_scorer(shared_data: Path, video: str) -> None:
    folder = shared_data / "surgery" / "cholec80_phases"
    expected = json.loads((folder / "expected_scores.json").read_text())[video]["segmental"]
    truth = read_phases(folder / "ground_truth" / f"{video}-phase.txt")
    predicted = read_phases(folder / "predictions" / f"{video}-phase.txt")
    assert round(edit_score(predicted, truth), DIGITS) == expected["edit"]
    for percent in (10, 25, 50):
        counts = segment_counts(predicted, truth, overlap=percent / 100)
        assert list(counts) == expected[f"tp_fp_fn_at_{percent}"]


def test_segments_of_short_sequences() -> None:
    assert segments_of([]) == []
    assert segments_of([4]) == [(4, 0, 1)]
    assert segments_of([0, 0, 1, 0]) == [(0, 0, 2), (1, 2, 3), (0, 3, 4)]


def test_a_perfect_answer() -> None:
    truth = np.array([0, 0, 1, 1, 2])
    assert edit_score(truth, truth) == 100
    assert segment_f1(truth, truth, overlap=0.5) == 1
    assert calibration_error(np.eye(3)[truth], truth) == 0


def test_overconfidence_is_measured() -> None:
    probabilities = np.tile([0.9, 0.1], (10, 1))
    truth = np.array([0] * 5 + [1] * 5)
    assert calibration_error(probabilities, truth) == pytest.approx(0.4)
