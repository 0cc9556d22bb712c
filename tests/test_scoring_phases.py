"""Scores of phases against the figures that the field's own scorers printed for five real operations.

Belongs here: phase scores by frame, by segment, relaxed. Does not belong here: other scores (`test_scoring`).
"""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import jaccard_score, precision_recall_fscore_support

from models.labels import CHOLEC80_PHASES, PHASES, cholec80_ids
from models.scoring.phases import phase_measures, unrelaxed_scores
from models.scoring.relaxed import relaxed_means, relaxed_scores
from models.scoring.segments import edit_score, segment_counts, segment_f1, segmental_scores, segments_of

VIDEOS = ("video41", "video42", "video43", "video44", "video45")
LABELS = st.lists(st.integers(0, 6), min_size=2, max_size=60)


def read_phases(path: Path) -> np.ndarray:
    return np.loadtxt(path, dtype=np.int64)[:, 1]


def operation(shared_data: Path, video: str) -> tuple[np.ndarray, np.ndarray, dict[str, Any]]:
    """Predicted and true labels, and what the published scorers printed, as decimals."""
    folder = shared_data / "surgery" / "cholec80_phases"
    expected = json.loads((folder / "expected_scores.json").read_text(), parse_float=Decimal)[video]
    predicted, truth = (read_phases(folder / name / f"{video}-phase.txt") for name in ("predictions", "ground_truth"))
    return predicted, truth, expected


def as_printed(value: float, like: Decimal) -> Decimal:
    """The value with as many digits as the scorer printed."""
    exponent = like.as_tuple().exponent
    assert isinstance(exponent, int)
    return round(Decimal(value), max(-exponent, 1))


@pytest.mark.parametrize("video", VIDEOS)
def test_relaxed_scores_match_the_published_scorer(shared_data: Path, video: str) -> None:
    predicted, truth, expected = operation(shared_data, video)
    printed = expected["relaxed_10s_as_published"]
    ours = relaxed_scores(predicted, truth, samples_per_s=1, as_published=True)
    assert as_printed(ours.accuracy, printed["accuracy"]) == printed["accuracy"]
    for name in ("jaccard", "precision", "recall"):
        values, wanted = getattr(ours, name), printed[f"{name}_per_phase"]
        assert [round(float(value), 6) for value in values] == [float(one) for one in wanted]


@pytest.mark.parametrize("video", VIDEOS)
def test_segment_scores_match_the_published_scorer(shared_data: Path, video: str) -> None:
    predicted, truth, expected = operation(shared_data, video)
    assert len(truth) == expected["frames"]
    assert round(edit_score(predicted, truth), 6) == float(expected["segmental"]["edit"])
    for percent in (10, 25, 50):
        counts = segment_counts(predicted, truth, overlap=percent / 100)
        assert list(counts) == expected["segmental"][f"tp_fp_fn_at_{percent}"]


def test_without_its_quirks_the_relaxed_scorer_says_something_else(shared_data: Path) -> None:
    predicted, truth, _ = operation(shared_data, "video41")
    both = [relaxed_scores(predicted, truth, samples_per_s=1, as_published=quirks).accuracy for quirks in (True, False)]
    strict = 100 * (predicted == truth).mean()
    assert both[1] != both[0]
    assert both[1] > strict


def test_early_transitions_are_forgiven_where_they_stand_or_where_the_published_code_puts_them() -> None:
    """Of 40 samples of each phase the last two of the first are told too early: the 9th and 10th of its last ten."""
    truth = np.repeat([0, 1], 40)
    predicted = truth.copy()
    predicted[38:40] = 1
    meant = relaxed_scores(predicted, truth, samples_per_s=1, as_published=False)
    published = relaxed_scores(predicted, truth, samples_per_s=1, as_published=True)
    assert meant.accuracy == 100
    assert published.accuracy == pytest.approx(100 * 77 / 79)
    assert published.jaccard[0] == pytest.approx(100 * 37 / 39)
    assert meant.precision[1] == 100, "42 hits of 42, and clipped at most"
    assert meant.recall[1] == 100, "42 hits of 40 true ones are clipped"


def test_forgiveness_ends_after_ten_seconds_and_knows_neighbours_only() -> None:
    truth = np.repeat([0, 1], 100)
    late = truth.copy()
    late[100:130] = 0
    scores = relaxed_scores(late, truth, samples_per_s=2, as_published=False)
    assert scores.accuracy == pytest.approx(100 * 190 / 200), "20 samples are 10 s at 2 a second"
    stranger = truth.copy()
    stranger[100:105] = 4
    assert relaxed_scores(stranger, truth, samples_per_s=2, as_published=False).accuracy == pytest.approx(97.5)


def test_absent_phases_are_left_out_of_relaxed_means() -> None:
    truth = np.repeat([0, 1], 30)
    figures = relaxed_means([(truth, truth)], samples_per_s=1, as_published=True).figures
    assert figures["jaccard"] == figures["precision"] == figures["recall"] == 100
    assert set(figures["jaccard_by_phase"]) == set(CHOLEC80_PHASES[:2])
    with pytest.raises(ValueError, match="59 predicted"):
        relaxed_scores(truth[1:], truth, samples_per_s=1, as_published=True)


@given(LABELS, st.randoms())
def test_relaxed_scores_are_percentages_and_perfect_for_the_truth(labels: list[int], random: Any) -> None:
    truth = np.sort(np.array(labels, dtype=np.int64))
    predicted = np.array([random.randrange(7) for _ in labels], dtype=np.int64)
    for quirks in (True, False):
        perfect = relaxed_scores(truth, truth, samples_per_s=1, as_published=quirks)
        assert perfect.accuracy == 100
        found = relaxed_scores(predicted, truth, samples_per_s=1, as_published=quirks)
        for values in (found.jaccard, found.precision, found.recall):
            known = values[np.isfinite(values)]
            assert ((known >= 0) & (known <= 100)).all()


@given(LABELS, st.randoms())
def test_measures_by_frame_are_those_of_scikit_learn(labels: list[int], random: Any) -> None:
    truth = np.array(labels, dtype=np.int64)
    predicted = np.array([random.randrange(7) for _ in labels], dtype=np.int64)
    ours = phase_measures(predicted, truth, 7)
    precision, recall, f1, support = precision_recall_fscore_support(
        truth, predicted, labels=range(7), zero_division=0.0
    )
    jaccard = jaccard_score(truth, predicted, labels=range(7), average=None, zero_division=0.0)
    there = support > 0
    for name, theirs in (("precision", precision), ("recall", recall), ("f1", f1), ("jaccard", jaccard)):
        np.testing.assert_allclose(ours[name][there], theirs[there])
        assert np.isnan(ours[name][~there]).all()


def test_unrelaxed_means_are_over_operations_and_leave_absent_phases_out() -> None:
    first = (np.array([0, 0, 1, 1]), np.array([0, 0, 0, 1]))
    second = (np.array([2, 2]), np.array([2, 2]))
    scores = unrelaxed_scores([first, second], CHOLEC80_PHASES)
    assert scores.figures["accuracy"] == pytest.approx((0.75 + 1) / 2)
    assert scores.figures["accuracy_sd"] == pytest.approx(np.std([0.75, 1], ddof=1))
    assert scores.figures["jaccard"] == pytest.approx(((2 / 3 + 1 / 2) / 2 + 1) / 2)
    assert scores.figures["majority_accuracy"] == pytest.approx((0.75 + 1) / 2)
    assert set(scores.figures["recall_by_phase"]) == set(CHOLEC80_PHASES[:3])
    assert scores.as_json()["protocol"] == "cholec80-unrelaxed-present-phases/1"
    assert "accuracy_sd" not in unrelaxed_scores([second], CHOLEC80_PHASES).figures


def test_segments_of_short_sequences() -> None:
    assert segments_of([]) == []
    assert segments_of([4]) == [(4, 0, 1)]
    assert segments_of([0, 0, 1, 0]) == [(0, 0, 2), (1, 2, 3), (0, 3, 4)]


@given(LABELS)
def test_a_perfect_answer(labels: list[int]) -> None:
    truth = np.array(labels)
    assert edit_score(truth, truth) == 100
    assert segment_f1(truth, truth, overlap=0.5) == 1
    figures = segmental_scores([(truth, truth)]).figures
    assert figures == {"edit": 100, "f1_10": 1, "f1_25": 1, "f1_50": 1}


@given(LABELS, LABELS)
def test_counts_of_segments_add_up(ours: list[int], theirs: list[int]) -> None:
    length = min(len(ours), len(theirs))
    predicted, truth = np.array(ours[:length]), np.array(theirs[:length])
    for overlap in (0.1, 0.5):
        hits, misses, left = segment_counts(predicted, truth, overlap=overlap)
        assert hits + misses == len(segments_of(predicted))
        assert hits + left == len(segments_of(truth))


def test_eleven_phases_count_as_seven() -> None:
    ids = cholec80_ids()
    assert [CHOLEC80_PHASES[ids[PHASES.index(name)]] for name in CHOLEC80_PHASES] == list(CHOLEC80_PHASES)
    assert CHOLEC80_PHASES[ids[PHASES.index("port-closure")]] == "gallbladder-extraction"


@pytest.mark.filterwarnings("error")
def test_who_never_names_a_true_phase_has_no_precision() -> None:
    truth = np.repeat([0, 1], 30)
    figures = relaxed_means([(truth, truth), (np.full(60, 6), truth)], samples_per_s=1, as_published=False).figures
    assert (figures["accuracy"], figures["precision"], figures["recall"]) == (50, 50, 50)
