"""Scores of boxes, masks, areas, tracks, events, presence and confidence on cases that can be counted by hand.

Belongs here: that reference scorers are fed and read rightly. Does not belong here: phases (`test_scoring_phases`).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.scoring.areas import area_scores, confusion_of
from models.scoring.calibration import calibration_error, calibration_scores, novelty_scores, outlier_scores
from models.scoring.detection import Region, coco_scores, regions_of
from models.scoring.events import Span, count_events, event_scores
from models.scoring.presence import presence_scores
from models.scoring.tracks import Tracked, iou_of, tracking_scores

NAMES = ("grasper", "hook")
SIZE_PX = (100, 100)
SPANS = st.lists(st.tuples(st.integers(0, 60_000), st.integers(1, 10_000)), max_size=8).map(
    lambda rows: [Span("smoke", start, start + length) for start, length in rows]
)


def boxes(*rows: tuple[int, int, float]) -> list[Region]:
    """Regions of 20 px squares: picture, class, left edge."""
    return [Region(picture, kind, (left, 10.0, left + 20.0, 30.0)) for picture, kind, left in rows]


def test_average_precision_of_a_perfect_answer_and_of_none() -> None:
    truth = boxes((0, 0, 10.0), (1, 1, 30.0))
    perfect = coco_scores(truth, truth, size_px=SIZE_PX, pictures=2, names=NAMES).figures
    assert perfect["map50"] == pytest.approx(1)
    assert perfect["map50_95"] == pytest.approx(1)
    assert perfect["ap50"] == pytest.approx({"grasper": 1, "hook": 1})
    assert coco_scores(truth, [], size_px=SIZE_PX, pictures=2, names=NAMES).figures["map50"] == 0


def test_average_precision_counts_overlap_and_classes_that_the_truth_has() -> None:
    """Shifted by 5 of 20 px the overlap is 0.6: right at 0.5, 0.55 and 0.6 and wrong at seven higher thresholds."""
    truth = boxes((0, 0, 10.0))
    figures = coco_scores(truth, boxes((0, 0, 15.0), (0, 1, 60.0)), size_px=SIZE_PX, pictures=1, names=NAMES).figures
    assert figures["map50"] == pytest.approx(1), "a class without truth is left out"
    assert figures["map50_95"] == pytest.approx(0.3)
    assert figures["ap50"] == {"grasper": pytest.approx(1)}


def test_average_precision_of_masks() -> None:
    mask = np.zeros(SIZE_PX, dtype=bool)
    mask[10:30, 10:30] = True
    half = mask.copy()
    half[20:30] = False
    truth = [Region(0, 0, mask=mask)]
    for answer, expected in ((mask, 1.0), (half, 0.1)):
        found = [Region(0, 0, mask=answer, score=0.9)]
        scores = coco_scores(truth, found, size_px=SIZE_PX, pictures=1, names=NAMES, kind="segm")
        assert scores.figures["map50_95"] == pytest.approx(expected)
    with pytest.raises(ValueError, match="no mask"):
        coco_scores(boxes((0, 0, 1.0)), [], size_px=SIZE_PX, pictures=1, names=NAMES, kind="segm")


def test_regions_are_made_of_arrays() -> None:
    given_boxes = np.array([[1, 2, 3, 4]], dtype=np.float32)
    assert regions_of(7, given_boxes, np.array([1]), np.array([0.5])) == [Region(7, 1, (1, 2, 3, 4), score=0.5)]


def test_areas_are_counted_over_all_pictures() -> None:
    truth, predicted = np.array([[0, 1, 1, 2]]), np.array([[0, 1, 2, 2]])
    confusion = confusion_of([(truth, predicted), (truth[:, :1], predicted[:, :1])], 4)
    assert confusion.sum() == 5
    figures = area_scores(confusion, ("background", "liver", "fat", "blood")).figures
    assert figures["iou"] == {"background": 1, "liver": 0.5, "fat": 0.5}
    assert figures["miou"] == 0.5
    assert figures["pixel_accuracy"] == pytest.approx(4 / 5)


def tracked(*rows: tuple[int, int, int, float]) -> Tracked:
    """Frame, class, track, left edge of 20 px squares."""
    columns = np.array(rows, dtype=np.float64).reshape(-1, 4)
    left = columns[:, 3]
    box_px = np.stack([left, np.full_like(left, 10), left + 20, np.full_like(left, 30)], axis=1)
    frame, class_id, track_id = columns[:, :3].T.astype(np.int64)
    return Tracked(frame, class_id, track_id, box_px)


def test_hota_of_a_perfect_answer_whatever_the_tracks_are_called() -> None:
    truth = tracked((0, 0, 7, 10.0), (1, 0, 7, 12.0), (1, 1, 9, 50.0))
    answer = tracked((0, 0, 0, 10.0), (1, 0, 0, 12.0), (1, 1, 1, 50.0))
    figures = tracking_scores([(answer, truth, 3)], NAMES).figures
    assert figures["hota"] == figures["assa"] == figures["deta"] == pytest.approx(1)
    assert set(figures["hota_by_class"]) == set(NAMES)


def test_hota_of_a_track_broken_in_the_middle() -> None:
    """Every box is right, each belongs to a track with half of them: DetA 1, AssA 1/2, HOTA the root of 1/2."""
    truth = tracked(*((frame, 0, 0, 10.0) for frame in range(4)))
    broken = tracked(*((frame, 0, frame // 2, 10.0) for frame in range(4)))
    figures = tracking_scores([(broken, truth, 4)], NAMES).figures
    assert figures["deta"] == pytest.approx(1)
    assert figures["assa"] == pytest.approx(0.5)
    assert figures["hota"] == pytest.approx(np.sqrt(0.5))


def test_hota_takes_a_wrong_class_for_a_miss_and_a_false_alarm() -> None:
    figures = tracking_scores([(tracked((0, 1, 0, 10.0)), tracked((0, 0, 0, 10.0)), 1)], NAMES).figures
    assert figures["hota"] == 0
    assert figures["classes"] == 2
    empty = tracked()
    assert tracking_scores([(empty, empty, 5)], NAMES).figures["hota"] is None
    np.testing.assert_allclose(iou_of(tracked((0, 0, 0, 10.0)).box_px, tracked((0, 0, 0, 20.0)).box_px), [[1 / 3]])


def test_events_match_within_the_tolerance() -> None:
    truth = [Span("smoke", 10_000, 13_000)]
    for start, end, hits in ((12_000, 15_000, 1), (12_001, 15_000, 0), (10_000, 15_001, 0), (8_000, 11_000, 1)):
        assert count_events([Span("smoke", start, end)], truth).hits == hits
    long = [Span("smoke", 0, 20_000)]
    assert count_events([Span("smoke", 0, 30_000)], long).hits == 1, "half of the true length is allowed at the end"
    assert count_events([Span("smoke", 0, 30_001)], long).hits == 0
    assert count_events([Span("smoke", 0, 60_000)], long, ends=False).hits == 1


def test_events_are_paired_so_that_most_fit() -> None:
    truth = [Span("smoke", 0, 1000), Span("smoke", 3000, 4000)]
    found = [Span("smoke", 1500, 2500), Span("smoke", -1500, -500)]
    assert count_events(found, truth).hits == 2
    doubled = count_events([found[1], found[1]], truth)
    assert (doubled.hits, doubled.invented, doubled.missed) == (1, 1, 1)


def test_events_are_scored_by_kind_over_operations() -> None:
    right, wrong = [Span("smoke", 0, 1000)], [Span("idle", 0, 1000)]
    figures = event_scores([(right, right), (right, wrong)], ("smoke", "idle", "bleeding")).figures
    assert figures["smoke"] == {"f1": pytest.approx(2 / 3), "f1_onset": pytest.approx(2 / 3)} | {
        "found": 1,
        "invented": 1,
        "missed": 0,
    }
    assert figures["idle"]["f1"] == 0
    assert figures["bleeding"]["f1"] is None


@given(SPANS, SPANS)
def test_counts_of_events_add_up_and_do_not_depend_on_the_order(found: list[Span], truth: list[Span]) -> None:
    counts = count_events(found, truth)
    assert counts.hits + counts.invented == len(found)
    assert counts.hits + counts.missed == len(truth)
    assert count_events(found[::-1], truth[::-1]) == counts
    assert count_events(truth, truth).hits == len(truth)


def test_presence() -> None:
    truth = np.array([[True, False], [True, True], [False, False]])
    figures = presence_scores(np.array([[0.9, 0.6], [0.4, 0.8], [0.5, 0.1]]), truth, NAMES).figures
    assert figures["presence_precision"] == pytest.approx(2 / 3)
    assert figures["presence_recall"] == pytest.approx(2 / 3)
    assert figures["presence_ap"]["hook"] == 1
    assert figures["presence_ap"]["grasper"] == pytest.approx((1 + 2 / 3) / 2)
    nothing = presence_scores(np.zeros((3, 2)), truth, NAMES).figures
    assert nothing["presence_precision"] is None
    assert nothing["presence_f1"] == 0


def test_overconfidence_is_measured() -> None:
    probabilities = np.tile([0.9, 0.1], (10, 1))
    truth = np.array([0] * 5 + [1] * 5)
    assert calibration_error(probabilities, truth) == pytest.approx(0.4)
    assert calibration_error(np.eye(3)[[0, 1, 2]], np.arange(3)) == 0
    figures = calibration_scores(probabilities, truth).figures
    assert figures["mean_confidence"] - figures["accuracy"] == pytest.approx(0.4)


def test_foreign_frames_are_ranked() -> None:
    figures = outlier_scores(np.array([0.1, 0.2, 1.5, 0.3]), np.array([2.0, 0.2])).figures
    assert figures["auroc"] == pytest.approx((4 + 1 + 0.5 + 0) / 8)
    assert figures["alarms_familiar"] == 0.25
    assert figures["alarms_unfamiliar"] == 0.5
    assert novelty_scores(np.array([0.0, 2.0])).figures["share_above_1"] == 0.5


@pytest.mark.parametrize(
    "scores",
    [
        coco_scores(boxes((0, 0, 1.0)), [], size_px=SIZE_PX, pictures=1, names=NAMES),
        event_scores([], ("smoke",)),
        novelty_scores(np.zeros(2)),
    ],
)
def test_every_score_says_how_it_was_counted(scores: Any) -> None:
    told = scores.as_json()
    name, version = told["protocol"].split("/")
    assert name == scores.protocol.name
    assert int(version) >= 1
    assert len(told["how"]) > 40
