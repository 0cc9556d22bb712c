"""Scores of a phase sequence by frame, without any forgiveness at boundaries.

Belongs here: accuracy, precision, recall and Jaccard index as Cholec80's followers report them. Does not belong here:
the 10-second relaxed scorer (`relaxed`), segments (`segments`), confidence (`calibration`).

Papers on Cholec80 differ in how phases that do not occur are counted (Funke et al., Metrics Matter in Surgical Phase
Recognition, 2023), so the choice is part of the protocol's name.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import numpy as np

from models.scoring.protocol import Protocol, Scores
from models.scoring.segments import Pairs

if TYPE_CHECKING:
    from numpy.typing import NDArray

MEASURES: Final = ("precision", "recall", "jaccard", "f1")
UNRELAXED: Final = Protocol(
    name="cholec80-unrelaxed-present-phases",
    version=1,
    statement="By frame, each operation by itself, then mean and standard deviation (n - 1) over operations. A phase "
    "that an operation's truth lacks is left out of that operation's means of precision, recall, Jaccard "
    "and F1, its false alarms still cost other phases recall and the operation accuracy; the precision of "
    "a phase that is there and never predicted is 0. Phase means are over phases first, then over "
    "operations.",
)


def phase_measures(
    predicted: NDArray[np.int64], truth: NDArray[np.int64], phases: int
) -> dict[str, NDArray[np.float64]]:
    """Precision, recall, Jaccard index and F1 of every phase, 0..1; NaN where the truth lacks the phase.

    Args:
        predicted: int [T].
        truth: int [T].
        phases: how many there are.

    Returns:
        Each measure as float64 [phases].
    """
    confusion = np.bincount(truth * phases + predicted, minlength=phases**2).reshape(phases, phases).astype(float)
    hits, wanted, said = np.diag(confusion), confusion.sum(axis=1), confusion.sum(axis=0)
    there = wanted > 0

    def ratio(numerator: NDArray[np.float64], denominator: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.where(there, numerator / np.maximum(denominator, 1.0), np.nan)

    return {
        "precision": ratio(hits, said),
        "recall": ratio(hits, wanted),
        "jaccard": ratio(hits, wanted + said - hits),
        "f1": ratio(2 * hits, wanted + said),
    }


def unrelaxed_scores(operations: Pairs, names: Sequence[str]) -> Scores:
    """Accuracy and means over phases, over operations with their spread; recall of each phase; majority baseline.

    `majority_accuracy` is what always naming the operation's own longest phase gives.
    """
    measures = [phase_measures(*pair, phases=len(names)) for pair in operations]
    accuracies = [float((predicted == truth).mean()) for predicted, truth in operations]
    majorities = [float(np.bincount(truth).max() / len(truth)) for _, truth in operations]
    figures: dict[str, object] = {
        "operations": len(operations),
        "frames": sum(len(truth) for _, truth in operations),
        "accuracy": float(np.mean(accuracies)),
        **_spread("accuracy", accuracies),
        "majority_accuracy": float(np.mean(majorities)),
    }
    for name in MEASURES:
        by_operation = [float(np.nanmean(one[name])) for one in measures]
        figures[name] = float(np.mean(by_operation))
        figures |= _spread(name, by_operation)
    figures["recall_by_phase"] = by_name(names, nanmean_rows([one["recall"] for one in measures]))
    return Scores(UNRELAXED, figures)


def nanmean_rows(rows: Sequence[NDArray[np.float64]]) -> NDArray[np.float64]:
    """Mean of each column over the rows that have a value; NaN where none has."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # a phase that no operation has is no mistake
        return np.asarray(np.nanmean(np.stack(rows), axis=0))


def by_name(names: Sequence[str], values: NDArray[np.float64]) -> dict[str, float]:
    """Values under their names, those that are not defined left out."""
    return {name: float(value) for name, value in zip(names, values, strict=True) if np.isfinite(value)}


def _spread(name: str, values: Sequence[float]) -> dict[str, float]:
    """Standard deviation under its name; nothing for a single operation."""
    return {f"{name}_sd": float(np.std(values, ddof=1))} if len(values) > 1 else {}
