"""The scoring of whole operations: an answer that is the truth scores full marks, and one that is not does not.

Belongs here: that truth and answers meet on one clock, in one order, under one name. Does not belong here: formulas
(`test_scoring`), how good the product is (`benchmarks.scores`).
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from benchmarks.scores import Said, scores_of
from benchmarks.simulated import SimulatedVideo, Truth
from models.labels import PHASES
from models.scoring.events import Span
from simulator.operation import plan_operation

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def truth(tmp_path_factory: pytest.TempPathFactory) -> Truth:
    video = SimulatedVideo(plan_operation(9_000_200, 30.0), tmp_path_factory.mktemp("videos") / "9000200.mp4")
    times = np.arange(0, 30_000, 500)
    kept = video.truth(times)
    again = video.truth(times)
    np.testing.assert_array_equal(kept.boxes.box_px, again.boxes.box_px, "what was kept is what was rendered")
    return kept


def told(truth: Truth) -> Said:
    """The truth as the product would tell it."""
    return Said(
        timestamp_ms=np.arange(0, 30_000, 500),
        probabilities=np.eye(len(PHASES))[truth.phases],
        boxes=truth.boxes,
        events=truth.events,
    )


def test_the_truth_scores_full_marks(truth: Truth) -> None:
    scores = {subject: one.figures for subject, one in scores_of([(told(truth), truth)]).items()}
    assert scores["phases"]["accuracy"] == scores["segments"]["f1_50"] == 1
    assert scores["relaxed_as_published"]["accuracy"] == scores["relaxed_corrected"]["jaccard"] == 100
    assert scores["calibration"]["calibration_error"] == 0
    assert scores["tracks"]["hota"] == pytest.approx(1)
    kinds = {event.kind for event in truth.events}
    assert kinds
    assert all(scores["events"][kind]["f1"] == 1 for kind in kinds)


def test_another_answer_does_not(truth: Truth) -> None:
    said = told(truth)
    later = replace(
        said,
        probabilities=np.roll(said.probabilities, 8, axis=0),
        boxes=replace(said.boxes, frame=np.minimum(said.boxes.frame + 3, len(said.timestamp_ms) - 1)),
        events=tuple(Span(event.kind, event.start_ms + 2500, event.end_ms + 2500) for event in said.events),
    )
    scores = {subject: one.figures for subject, one in scores_of([(later, truth)]).items()}
    assert scores["phases"]["accuracy"] < 1
    assert scores["tracks"]["hota"] < 0.9
    assert all(scores["events"][event.kind]["f1"] < 1 for event in truth.events)
