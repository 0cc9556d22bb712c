"""Tracking scores by TrackEval, the scorer of the authors of HOTA.

Belongs here: the way into and out of the reference scorer. Does not belong here: tracking, detection scores
(`detection`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from models.scoring.protocol import Protocol, Scores

if TYPE_CHECKING:
    from numpy.typing import NDArray

HOTA: Final = Protocol(
    name="hota-class-averaged",
    version=1,
    statement="HOTA (Luiten et al. 2021) by TrackEval: boxes of one class in one operation are a sequence, likeness "
    "is IoU, mean over 19 thresholds 0.05 to 0.95, a class's sequences combined as TrackEval does, then "
    "mean over classes that occur in truth or answer. A box of the wrong class is a false alarm and a "
    "miss. Every stored frame counts.",
)
_FIGURES: Final = {"hota": "HOTA", "deta": "DetA", "assa": "AssA", "loca": "LocA"}


@dataclass(frozen=True)
class Tracked:
    """Boxes of one operation with their tracks, in any order.

    Attributes:
        frame: int [k], place of the frame.
        class_id: int [k].
        track_id: int [k], the same for one instrument; unique in a frame.
        box_px: float [k,4], x_min, y_min, x_max, y_max.
    """

    frame: NDArray[np.int64]
    class_id: NDArray[np.int64]
    track_id: NDArray[np.int64]
    box_px: NDArray[np.float64]

    def of_class(self, class_id: int) -> Tracked:
        """Those of one class."""
        own = self.class_id == class_id
        return Tracked(self.frame[own], self.class_id[own], self.track_id[own], self.box_px[own])


def tracking_scores(operations: Sequence[tuple[Tracked, Tracked, int]], names: Sequence[str]) -> Scores:
    """HOTA and its parts (detection, association, localisation accuracy), and HOTA of every class that occurs.

    Args:
        operations: answer, truth and number of frames of each.
        names: class names in the order of their ids.
    """
    from trackeval import metrics

    metric = metrics.HOTA()
    by_class = {}
    for class_id, name in enumerate(names):
        sequences = {
            str(number): metric.eval_sequence(_sequence(answer.of_class(class_id), truth.of_class(class_id), frames))
            for number, (answer, truth, frames) in enumerate(operations)
            if (answer.class_id == class_id).any() or (truth.class_id == class_id).any()
        }
        if sequences:
            by_class[name] = metric.combine_sequences(sequences)
    figures: dict[str, Any] = {"operations": len(operations), "classes": len(by_class)}
    for ours, theirs in _FIGURES.items():
        figures[ours] = float(np.mean([one[theirs] for one in by_class.values()])) if by_class else None
    figures["hota_by_class"] = {name: float(one["HOTA"].mean()) for name, one in by_class.items()}
    return Scores(HOTA, figures)


def iou_of(first: NDArray[np.float64], second: NDArray[np.float64]) -> NDArray[np.float64]:
    """Intersection over union of every pair of boxes [n,4] and [m,4]: [n,m]."""
    a, b = first[:, np.newaxis], second[np.newaxis]
    overlap = np.clip(np.minimum(a[..., 2:], b[..., 2:]) - np.maximum(a[..., :2], b[..., :2]), 0, None).prod(axis=-1)
    areas = (a[..., 2:] - a[..., :2]).prod(axis=-1) + (b[..., 2:] - b[..., :2]).prod(axis=-1)
    return np.asarray(overlap / np.maximum(areas - overlap, np.finfo(np.float64).tiny))


def _sequence(answer: Tracked, truth: Tracked, frames: int) -> dict[str, Any]:
    """One sequence in the form of TrackEval: for every frame ids from 0 without holes, and the likeness of pairs."""
    answer_names, answer_ids = np.unique(answer.track_id, return_inverse=True)
    truth_names, truth_ids = np.unique(truth.track_id, return_inverse=True)
    answer_rows = [np.flatnonzero(answer.frame == frame) for frame in range(frames)]
    truth_rows = [np.flatnonzero(truth.frame == frame) for frame in range(frames)]
    return {
        "num_tracker_dets": len(answer_ids),
        "num_gt_dets": len(truth_ids),
        "num_tracker_ids": len(answer_names),
        "num_gt_ids": len(truth_names),
        "tracker_ids": [answer_ids[rows] for rows in answer_rows],
        "gt_ids": [truth_ids[rows] for rows in truth_rows],
        "similarity_scores": [
            iou_of(truth.box_px[wanted], answer.box_px[said])
            for wanted, said in zip(truth_rows, answer_rows, strict=True)
        ],
    }
