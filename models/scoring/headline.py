"""The figures of one video by which any two models of a kind are compared: accuracy, F1 and overlap.

Belongs here: one video's figures, for the best epoch, for gates and for intervals over videos. Does not belong here:
the field's full scores (`phases`, `detection`, `areas`), thresholds, intervals.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Final

import numpy as np

from models.scoring.areas import confusion_of
from models.scoring.phases import phase_measures
from models.scoring.protocol import Protocol

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Boxes = tuple[NDArray[np.floating], NDArray[np.integer]]
    Found = tuple[NDArray[np.floating], NDArray[np.integer], NDArray[np.floating]]

Headline = dict[str, float]
"""`accuracy`, `f1` and `overlap` of one video, 0..1."""

SCORE_LIMIT: Final = 0.5
"""Score above which a box counts as found; the product's own."""
_IOU: Final = 0.5

PHASE_HEADLINE: Final = Protocol(
    name="headline-phases",
    version=1,
    statement="By frame and video: accuracy; F1 and Jaccard index (overlap) as means over the phases that the video's "
    "truth has. A figure of several videos is the mean over videos.",
)
BOX_HEADLINE: Final = Protocol(
    name="headline-boxes",
    version=1,
    statement="By video, boxes with a score above 0.5: F1 of boxes matched one to one within picture and class, best "
    "score first, at IoU 0.5 or more; overlap is TP / (TP + FP + FN) of the same matches; accuracy is the "
    "share of (picture, class) pairs whose presence is told rightly. A video without boxes in truth and "
    "answer counts 1. A figure of several videos is the mean over videos.",
)
AREA_HEADLINE: Final = Protocol(
    name="headline-areas",
    version=1,
    statement="By video, all pixels of its pictures together: accuracy over all classes; F1 (Dice) and IoU (overlap) "
    "as means over the classes that the video's truth has, without background. A figure of several videos "
    "is the mean over videos.",
)


def phase_headline(predicted: NDArray[np.int64], truth: NDArray[np.int64], *, phases: int) -> Headline:
    """Give the figures of predicted and true phases [T]."""
    measures = phase_measures(predicted, truth, phases)
    return {
        "accuracy": float((predicted == truth).mean()),
        "f1": float(np.nanmean(measures["f1"])),
        "overlap": float(np.nanmean(measures["jaccard"])),
    }


def box_headline(pictures: Iterable[tuple[Boxes, Found]], *, classes: int) -> Headline:
    """Give the figures of a video's pictures.

    Args:
        pictures: of each, true boxes [M,4] with classes [M], and found boxes [K,4] with classes [K] and scores [K].
        classes: how many there are.
    """
    hits = false_alarms = misses = told = asked = 0
    for (true_px, true_kinds), (found_px, found_kinds, scores) in pictures:
        sure = scores > SCORE_LIMIT
        same = found_kinds[sure][:, None] == true_kinds[None, :]
        matched = len(_partners(_iou(found_px[sure], true_px) * same, scores[sure]))
        hits += matched
        false_alarms += int(sure.sum()) - matched
        misses += len(true_kinds) - matched
        there, said = (np.isin(np.arange(classes), kinds) for kinds in (true_kinds, found_kinds[sure]))
        told += int((there == said).sum())
        asked += classes
    union = hits + false_alarms + misses
    return {
        "accuracy": told / max(asked, 1),
        "f1": 2 * hits / (union + hits) if union else 1.0,
        "overlap": hits / union if union else 1.0,
    }


def area_headline(pictures: Iterable[tuple[NDArray[np.integer], NDArray[np.integer]]], *, classes: int) -> Headline:
    """Give the figures of true and predicted class ids, picture after picture; class 0 is background."""
    confusion = confusion_of(pictures, classes)
    both = np.diag(confusion).astype(float)
    wanted, said = confusion.sum(axis=1), confusion.sum(axis=0)
    there = np.flatnonzero(wanted[1:]) + 1
    both_there, sizes = both[there], (wanted + said)[there]
    return {
        "accuracy": float(both.sum() / max(confusion.sum(), 1)),
        "f1": float((2 * both_there / sizes).mean()) if len(there) else 1.0,
        "overlap": float((both_there / (sizes - both_there)).mean()) if len(there) else 1.0,
    }


def box_confusion(pictures: Sequence[tuple[Boxes, Found]], *, classes: int) -> NDArray[np.int64]:
    """Count true boxes (rows) by the class of the found box that lies on them best, at IoU 0.5 or more.

    Returns:
        int64 [classes + 1, classes + 1]; the last row and column are boxes without a partner.
    """
    confusion = np.zeros((classes + 1, classes + 1), dtype=np.int64)
    for (true_px, true_kinds), (found_px, found_kinds, scores) in pictures:
        sure = scores > SCORE_LIMIT
        partners = _partners(_iou(found_px[sure], true_px), scores[sure])
        for place, kind in enumerate(found_kinds[sure]):
            confusion[true_kinds[partners[place]] if place in partners else classes, kind] += 1
        left = np.delete(true_kinds, list(partners.values()))
        np.add.at(confusion[:, classes], left, 1)
    return confusion


def judged_boxes(
    pictures: Iterable[tuple[Boxes, Found]], *, above: float = SCORE_LIMIT
) -> tuple[NDArray[np.floating], NDArray[np.bool_]]:
    """Give the scores [N] of all boxes above a score, and whether each has a true one of its own [N]."""
    sure_scores, right = [np.zeros(0, dtype=np.float32)], [np.zeros(0, dtype=np.bool_)]
    for (true_px, true_kinds), (found_px, found_kinds, scores) in pictures:
        sure = scores > above
        same = found_kinds[sure][:, None] == true_kinds[None, :]
        partners = _partners(_iou(found_px[sure], true_px) * same, scores[sure])
        sure_scores.append(scores[sure])
        right.append(np.isin(np.arange(int(sure.sum())), list(partners)))
    return np.concatenate(sure_scores), np.concatenate(right)


def mean_headline(videos: Iterable[Headline]) -> Headline:
    """Give the mean of each figure over videos."""
    rows = list(videos)
    return {name: float(np.mean([row[name] for row in rows])) for name in rows[0]}


def _partners(overlaps: NDArray[np.floating], scores: NDArray[np.floating]) -> dict[int, int]:
    """Match found boxes (rows) to true ones one to one, best score first, at IoU 0.5 or more: found to true place."""
    free, partners = overlaps.copy(), {}
    for place in np.argsort(-scores, kind="stable"):
        best = int(free[place].argmax()) if free.shape[1] else -1
        if best >= 0 and free[place, best] >= _IOU:
            free[:, best] = 0.0
            partners[int(place)] = best
    return partners


def _iou(ours: NDArray[np.floating], theirs: NDArray[np.floating]) -> NDArray[np.floating]:
    """Intersection over union of every pair, [K,M]."""
    low = np.maximum(ours[:, None, :2], theirs[None, :, :2])
    high = np.minimum(ours[:, None, 2:], theirs[None, :, 2:])
    both = np.clip(high - low, 0, None).prod(axis=2)
    sizes = [(one[:, 2:] - one[:, :2]).prod(axis=1) for one in (ours, theirs)]
    return np.asarray(both / np.maximum(sizes[0][:, None] + sizes[1][None, :] - both, 1e-9))
