"""The 10-second relaxed scores of Cholec80, as the published scorer computes them and as it was meant.

Belongs here: that scorer with its quirks, and the same one without. Does not belong here: any other forgiveness.

Around a true transition, naming the neighbouring phase up to 10 s late or early is no mistake. The published scorer
(M2CAI 2016 and Cholec80, written for MATLAB) has two quirks: it reads the first row of a file as a header, and it looks
for early transitions in the last samples of a segment and then forgives the first ones of it at the same distances.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from models.labels import CHOLEC80_PHASES
from models.scoring.phases import by_name, nanmean_rows
from models.scoring.protocol import Protocol, Scores
from models.scoring.segments import Pairs, segments_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

RELAXATION_S: Final = 10.0
_LATE: Final[tuple[tuple[int, ...], ...]] = ((-1,), (-1,), (-1,), (-1,), (-1,), (-1, -2), (-1, -2))
"""Predicted minus true phase that is forgiven at a segment's beginning, by true phase."""
_EARLY: Final[tuple[tuple[int, ...], ...]] = ((1,), (1,), (1,), (1, 2), (1, 2), (1, 2), (1, 2))
"""The same at its end."""

_COMMON: Final = (
    "Cholec80's 10 s relaxed scorer, seven phases, each operation by itself, then means over operations. Precision "
    "and recall above 100 are clipped to 100; a phase that the truth lacks is left out of the means."
)
AS_PUBLISHED: Final = Protocol(
    name="cholec80-relaxed-10s-as-published",
    version=1,
    statement=f"{_COMMON} With both quirks of the published code: the first sample is dropped, and what is predicted "
    "too early at the end of a segment is forgiven at its beginning.",
)
CORRECTED: Final = Protocol(
    name="cholec80-relaxed-10s-corrected",
    version=1,
    statement=f"{_COMMON} Without the quirks of the published code: every sample counts, and what is predicted too "
    "early is forgiven where it stands.",
)


@dataclass(frozen=True)
class RelaxedScores:
    """One operation, in percent; float64 [7] each, NaN where the truth lacks the phase."""

    accuracy: float
    jaccard: NDArray[np.float64]
    precision: NDArray[np.float64]
    recall: NDArray[np.float64]


def relaxed_scores(
    predicted: NDArray[np.int64], truth: NDArray[np.int64], *, samples_per_s: float, as_published: bool
) -> RelaxedScores:
    """Score one operation.

    Args:
        predicted: int [T], Cholec80's ids 0..6.
        truth: int [T].
        samples_per_s: how many labels make a second.
        as_published: with the published code's quirks.

    Raises:
        ValueError: the sequences differ in length, or nothing is left to score.
    """
    if len(predicted) != len(truth):
        raise ValueError(f"{len(predicted)} predicted labels for {len(truth)} true ones: give one for each")
    if as_published:
        predicted, truth = predicted[1:], truth[1:]
    if not len(truth):
        raise ValueError("no label is left to score: give a longer sequence")
    wrong = _after_forgiveness(predicted, truth, round(RELAXATION_S * samples_per_s), as_published=as_published)
    columns = [_of_phase(phase, predicted, truth, wrong) for phase in range(len(CHOLEC80_PHASES))]
    jaccard, precision, recall = np.array(columns, dtype=np.float64).T
    return RelaxedScores(float(100 * (wrong == 0).mean()), jaccard, precision, recall)


def relaxed_means(operations: Pairs, *, samples_per_s: float, as_published: bool) -> Scores:
    """Accuracy, and Jaccard, precision and recall over phases, in percent: means over operations."""
    rows = [relaxed_scores(*pair, samples_per_s=samples_per_s, as_published=as_published) for pair in operations]
    figures: dict[str, object] = {"accuracy": float(np.mean([row.accuracy for row in rows]))}
    for name in ("jaccard", "precision", "recall"):
        figures[name] = float(np.mean([_mean_of_known(getattr(row, name)) for row in rows]))
    figures["jaccard_by_phase"] = by_name(CHOLEC80_PHASES, nanmean_rows([row.jaccard for row in rows]))
    return Scores(AS_PUBLISHED if as_published else CORRECTED, figures)


def _mean_of_known(by_phase: NDArray[np.float64]) -> float:
    """Mean over the phases that have a value; 0 where none has: then no true phase was ever named."""
    known = by_phase[np.isfinite(by_phase)]
    return float(known.mean()) if len(known) else 0.0


def _after_forgiveness(
    predicted: NDArray[np.int64], truth: NDArray[np.int64], window: int, *, as_published: bool
) -> NDArray[np.int64]:
    """Predicted minus true label, 0 where it is right or forgiven, int [T]."""
    difference = predicted - truth
    for phase, start, end in segments_of(truth):
        own = difference[start:end]
        length = min(window, end - start)
        head, tail = own[:length], own[end - start - length :]
        head[np.isin(head, _LATE[phase])] = 0
        early = np.isin(tail, _EARLY[phase])
        (head if as_published else tail)[early] = 0
    return difference


def _of_phase(
    phase: int, predicted: NDArray[np.int64], truth: NDArray[np.int64], wrong: NDArray[np.int64]
) -> tuple[float, float, float]:
    """Jaccard index, precision and recall of one phase in percent."""
    wanted, said = truth == phase, predicted == phase
    if not wanted.any():
        return np.nan, np.nan, np.nan
    either = wanted | said
    hits = 100.0 * int((wrong[either] == 0).sum())
    precision = min(100.0, hits / int(said.sum())) if said.any() else np.nan
    return hits / int(either.sum()), precision, min(100.0, hits / int(wanted.sum()))
