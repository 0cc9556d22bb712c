"""The three figures by which two models are compared, on cases counted by hand."""

import numpy as np
import pytest

from models.scoring.calibration import box_calibration_scores
from models.scoring.headline import (
    area_headline,
    box_confusion,
    box_headline,
    judged_boxes,
    mean_headline,
    phase_headline,
)


def test_phases_by_hand() -> None:
    figures = phase_headline(np.array([0, 0, 1, 1, 2]), np.array([0, 0, 0, 1, 1]), phases=3)
    assert figures["accuracy"] == pytest.approx(3 / 5)
    assert figures["f1"] == pytest.approx((2 * 2 / 5 + 2 * 1 / 4) / 2), "phase 2 is not in the truth"
    assert figures["overlap"] == pytest.approx((2 / 3 + 1 / 3) / 2)


def boxes(*rows: tuple[float, ...]) -> np.ndarray:
    return np.array(rows, dtype=np.float32).reshape(-1, 4)


def test_boxes_by_hand() -> None:
    """One hit, one of the wrong class, one that is unsure, one that is missed; and a second box on the same object."""
    true = (boxes((0, 0, 10, 10), (20, 20, 40, 40)), np.array([0, 1]))
    found = (
        boxes((0, 0, 10, 9), (1, 0, 11, 10), (20, 20, 40, 40), (50, 50, 60, 60)),
        np.array([0, 0, 0, 1]),
        np.array([0.9, 0.8, 0.7, 0.5]),
    )
    figures = box_headline([(true, found)], classes=2)
    assert figures["f1"] == pytest.approx(2 * 1 / (2 * 1 + 2 + 1))
    assert figures["overlap"] == pytest.approx(1 / 4)
    assert figures["accuracy"] == pytest.approx(1 / 2), "class 1 is there and was not told"
    assert box_confusion([(true, found)], classes=2).tolist() == [[1, 0, 0], [1, 0, 0], [1, 0, 0]]
    scores, right = judged_boxes([(true, found)])
    assert (scores.tolist(), right.tolist()) == ([0.9, 0.8, 0.7], [True, False, False])
    figures = box_calibration_scores(scores, right).figures
    assert figures["calibration_error"] == pytest.approx((0.1 + 0.8 + 0.7) / 3)
    assert figures["precision"] == pytest.approx(1 / 3)


def test_a_video_without_objects_and_without_alarms_is_right() -> None:
    none = (boxes(), np.zeros(0, int))
    assert box_headline([(none, (*none, np.zeros(0)))], classes=2) == {"accuracy": 1.0, "f1": 1.0, "overlap": 1.0}


def test_areas_by_hand() -> None:
    truth, said = np.array([[0, 1, 1, 2]]), np.array([[0, 1, 2, 2]])
    figures = area_headline([(truth, said)], classes=4)
    assert figures["accuracy"] == pytest.approx(3 / 4)
    assert figures["f1"] == pytest.approx((2 / 3 + 2 / 3) / 2)
    assert figures["overlap"] == pytest.approx(1 / 2)


def test_a_figure_of_videos_is_the_mean_over_videos() -> None:
    assert mean_headline([{"f1": 0.2}, {"f1": 0.6}]) == {"f1": pytest.approx(0.4)}
