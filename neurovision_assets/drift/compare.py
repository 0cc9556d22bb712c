"""The test: does a week's row of figures come from where the reference's come from?

Belongs here: statistics of two sets of rows, and the score. Does not belong here: what the figures are (``figures``),
which videos (``week``).

A permutation test: without drift it does not matter which rows are called the week's, so its chance of a false alarm is
what it says, whatever the figures' distributions and however they hang together (maximum statistic, Westfall and Young
1993). What it asks for is that a week's operations are drawn as the reference's were; a week of one surgeon is not.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import comb, log
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from neurovision_assets.drift.config import ALARM_SCORE, DEFAULT, DriftConfig
from neurovision_assets.drift.figures import SHARE, Row
from resources.errors import ConfigurationError

if TYPE_CHECKING:
    from numpy.typing import NDArray

_AT_ONCE: Final = 1_000_000
"""Index entries that one batch of permutations may hold."""
_ROUNDING: Final = 1e-9


@dataclass(frozen=True)
class FigureShift:
    """One figure of a week beside the reference.

    Attributes:
        name: of the figure.
        p_value: chance of so large a shift of any figure without drift, corrected for all figures and models.
        score: of `score_of`.
        reference: median over the reference's operations.
        week: median over the week's videos.
        videos: of the week that have the figure.
    """

    name: str
    p_value: float
    score: float
    reference: float
    week: float
    videos: int


def calculate_drift(
    reference: Sequence[Row], week: Sequence[Row], *, tests: int = 1, config: DriftConfig = DEFAULT
) -> list[FigureShift]:
    """Compare two sets of videos (NV-148, with a calibrated score in the place of one p-value a figure).

    Args:
        reference: a row an operation.
        week: a row a video.
        tests: how many such comparisons share the false-alarm rate.
        config: rate, permutations, seed.

    Returns:
        Every figure that both sides have and every class's share, the largest shift first; those of one size by name.

    Raises:
        ConfigurationError: SciPy is not installed.
        ValueError: a side has no rows.
    """
    if not reference or not week:
        raise ValueError("both sides need rows")
    names = _compared(reference, week)
    if not names:
        return []
    table = np.array([[row.get(name, _left_out(name)) for name in names] for row in (*week, *reference)])
    chances = np.minimum(1.0, tests * _chances(_normal_scores(table), len(week), config))
    known, now = table[len(week) :], table[: len(week)]
    shifts = [
        FigureShift(
            name=name,
            p_value=float(chance),
            score=score_of(float(chance), config),
            reference=float(np.nanmedian(known[:, place])),
            week=float(np.nanmedian(now[:, place])),
            videos=int(np.isfinite(now[:, place]).sum()),
        )
        for place, (name, chance) in enumerate(zip(names, chances, strict=True))
    ]
    return sorted(shifts, key=lambda shift: (shift.p_value, shift.name))


def score_of(p_value: float, config: DriftConfig = DEFAULT) -> float:
    """The score 0..1 of a chance: 0 at 1, 0.3 at the false-alarm rate, the same again for every such factor.

    At the default rate 0.2, the dashboard's yellow, is one in 22.
    """
    return min(1.0, max(0.0, ALARM_SCORE * log(p_value) / log(config.false_alarm_rate)))


def _compared(reference: Sequence[Row], week: Sequence[Row]) -> list[str]:
    """Names of figures that both sides have; a class that only one side shows is no less a shift."""
    known, now = ({name for row in rows for name in row} for rows in (reference, week))
    return sorted((known & now) | {name for name in known | now if SHARE in name})


def _left_out(name: str) -> float:
    return 0.0 if SHARE in name else np.nan


def _chances(scores: NDArray[np.float64], week: int, config: DriftConfig) -> NDArray[np.float64]:
    """For each figure the share of permutations in which some figure shifts as much.

    Args:
        scores: [videos, figures], mean 0, the week's first.
        week: how many are the week's.
        config: permutations and seed.
    """
    stats = _scipy_stats()
    rows, figures = scores.shape

    def shifts(of_week: NDArray[np.int64]) -> NDArray[np.float64]:
        """How far the rows of these numbers, [..., week], are from the others, [..., figures]."""
        return np.asarray(np.abs(scores[of_week].sum(axis=-2)))

    found = stats.permutation_test(
        (np.arange(week), np.arange(week, rows)),
        lambda of_week, _, axis: shifts(np.moveaxis(of_week, axis, -1)).max(axis=-1),
        vectorized=True,
        n_resamples=config.resamples,
        batch=max(1, _AT_ONCE // (rows * figures)),
        alternative="greater",
        rng=np.random.default_rng(config.seed),
    )
    drawn = np.sort(found.null_distribution)
    as_large = len(drawn) - np.searchsorted(drawn, shifts(np.arange(week)) - _ROUNDING)
    # Where all divisions were tried, the real one is among them; a random draw does not count it.
    uncounted = 0 if len(drawn) == comb(rows, week) else 1
    return np.asarray((as_large + uncounted) / (len(drawn) + uncounted))


def _normal_scores(table: NDArray[np.float64]) -> NDArray[np.float64]:
    """Ranks of each column as quantiles of the normal distribution (van der Waerden), mean 0, deviation 1.

    Every figure then weighs the same in the maximum, and one strange video cannot make a shift. All rows are ranked
    together, which permutations allow. An absent value says nothing: 0, as a column of equal values.
    """
    stats = _scipy_stats()
    ranks = stats.rankdata(table, axis=0, nan_policy="omit")
    there = np.isfinite(table)
    scores = np.where(there, stats.norm.ppf(ranks / (there.sum(axis=0) + 1)), 0.0)
    scores = np.where(there, scores - scores.sum(axis=0) / np.maximum(there.sum(axis=0), 1), 0.0)
    deviation = np.sqrt((scores**2).mean(axis=0))
    return np.asarray(scores / np.where(deviation > _ROUNDING, deviation, 1.0))


def _scipy_stats() -> Any:
    """SciPy's statistics.

    Raises:
        ConfigurationError: SciPy is not installed.
    """
    try:
        from scipy import stats
    except ImportError as error:
        raise ConfigurationError(
            "SciPy is not installed; drift is tested with it.",
            subject="monitoring/drift",
            remedy="Install the set of the learning loop: sh scripts/setup.sh base learn.",
        ) from error
    return stats
