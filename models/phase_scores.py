"""Scores of a phase sequence as the field computes them: by frame and by segment.

Belongs here: pure functions of two label sequences (and of probabilities, for calibration). Does not belong here: the
10-second relaxed scorer of Cholec80, running models.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

_CALIBRATION_BINS: Final = 15
Segment = tuple[int, int, int]
"""Label, first frame, frame after the last."""


def segments_of(labels: Sequence[int] | NDArray[np.int64]) -> list[Segment]:
    """Cut a sequence into runs of one label."""
    values = np.asarray(labels)
    if values.size == 0:
        return []
    starts = np.flatnonzero(np.r_[True, values[1:] != values[:-1]])
    ends = np.r_[starts[1:], values.size]
    return [(int(values[start]), int(start), int(end)) for start, end in zip(starts, ends, strict=True)]


def edit_score(predicted: NDArray[np.int64], truth: NDArray[np.int64]) -> float:
    """Segmental edit score, 0..100: 1 - Levenshtein distance of the runs over the longer sequence (Lea et al. 2016)."""
    ours = [label for label, _, _ in segments_of(predicted)]
    theirs = [label for label, _, _ in segments_of(truth)]
    row = list(range(len(theirs) + 1))
    for place, label in enumerate(ours, start=1):
        before, row = row, [place]
        for column, wanted in enumerate(theirs, start=1):
            row.append(min(row[-1] + 1, before[column] + 1, before[column - 1] + (label != wanted)))
    return 100.0 * (1 - row[-1] / max(len(ours), len(theirs), 1))


def segment_counts(predicted: NDArray[np.int64], truth: NDArray[np.int64], *, overlap: float) -> tuple[int, int, int]:
    """Count true positives, false positives and false negatives of segments (Lea et al. 2017).

    A predicted segment is compared with the true segment of its label that it overlaps most; it counts when their
    intersection over union reaches `overlap` and that segment is not taken yet.
    """
    wanted = segments_of(truth)
    taken = [False] * len(wanted)
    hits = misses = 0
    for label, start, end in segments_of(predicted):
        ratios = [
            (min(end, last) - max(start, first)) / (max(end, last) - min(start, first)) if label == other else 0.0
            for other, first, last in wanted
        ]
        best = int(np.argmax(ratios))
        if ratios[best] >= overlap and not taken[best]:
            taken[best] = True
            hits += 1
        else:
            misses += 1
    return hits, misses, taken.count(False)


def segment_f1(predicted: NDArray[np.int64], truth: NDArray[np.int64], *, overlap: float) -> float:
    """F1 of segments at an overlap, 0..1."""
    hits, misses, left = segment_counts(predicted, truth, overlap=overlap)
    return 2 * hits / max(1, 2 * hits + misses + left)


def calibration_error(probabilities: NDArray[np.floating], truth: NDArray[np.int64]) -> float:
    """Expected calibration error of the most likely class, 15 bins of equal width (Guo et al. 2017).

    Args:
        probabilities: [T,C].
        truth: [T].
    """
    confidence = probabilities.max(axis=1)
    correct = probabilities.argmax(axis=1) == truth
    bins = np.minimum((confidence * _CALIBRATION_BINS).astype(int), _CALIBRATION_BINS - 1)
    error = 0.0
    for place in range(_CALIBRATION_BINS):
        inside = bins == place
        if inside.any():
            error += abs(correct[inside].mean() - confidence[inside].mean()) * inside.mean()
    return float(error)
