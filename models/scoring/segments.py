"""Scores of a label sequence by segment: edit score and segmental F1, as MS-TCN and its followers count them.

Belongs here: runs of one label and what is counted of them. Does not belong here: counting by frame (`phases`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import numpy as np

from models.scoring.protocol import Protocol, Scores

if TYPE_CHECKING:
    from numpy.typing import NDArray

Segment = tuple[int, int, int]
"""Label, first frame, frame after the last."""
Pairs = Sequence[tuple["NDArray[np.int64]", "NDArray[np.int64]"]]
"""Predicted and true labels of each operation, [T] each."""

OVERLAPS: Final = (0.10, 0.25, 0.50)
SEGMENTAL: Final = Protocol(
    name="segmental",
    version=1,
    statement="Edit score (Lea et al. 2016) and segmental F1 at an overlap of 10, 25 and 50 % (Lea et al. 2017), no "
    "label counts as background; computed for each operation, then averaged over operations.",
)


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
        best = int(np.argmax(ratios)) if ratios else -1
        if best >= 0 and ratios[best] >= overlap and not taken[best]:
            taken[best] = True
            hits += 1
        else:
            misses += 1
    return hits, misses, taken.count(False)


def segment_f1(predicted: NDArray[np.int64], truth: NDArray[np.int64], *, overlap: float) -> float:
    """F1 of segments at an overlap, 0..1."""
    hits, misses, left = segment_counts(predicted, truth, overlap=overlap)
    return 2 * hits / max(1, 2 * hits + misses + left)


def segmental_scores(operations: Pairs) -> Scores:
    """Edit score 0..100 and F1 0..1 at each overlap, means over operations."""
    figures = {"edit": float(np.mean([edit_score(*pair) for pair in operations]))}
    for overlap in OVERLAPS:
        values = [segment_f1(*pair, overlap=overlap) for pair in operations]
        figures[f"f1_{round(100 * overlap)}"] = float(np.mean(values))
    return Scores(SEGMENTAL, figures)
