"""How much of a score is luck of the operations that were drawn.

Belongs here: the interval of any score over operations. Does not belong here: scores; the comparison of two models on
the same operations (the gate's).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

import numpy as np

One = TypeVar("One")


def intervals(
    operations: Sequence[One],
    figures_of: Callable[[Sequence[One]], Mapping[str, float]],
    *,
    resamples: int,
    confidence: float = 0.95,
    seed: int = 0,
) -> dict[str, tuple[float, float, float]]:
    """Give each figure of all operations and its percentile interval (Efron & Tibshirani 1993, ch. 13).

    Whole operations are drawn, with replacement: frames of one operation say the same thing many times.

    Args:
        operations: whatever the figures are computed from, one an operation.
        figures_of: computes every figure from some operations.
        resamples: how many times operations are drawn.
        confidence: of the two-sided interval.
        seed: of the drawing.

    Returns:
        By figure: its value, the lower and the upper end.
    """
    rng = np.random.default_rng(seed)
    drawn = rng.integers(0, len(operations), size=(resamples, len(operations)))
    rows = [figures_of([operations[place] for place in places]) for places in drawn]
    tail = (1 - confidence) / 2
    found = {}
    for name, value in figures_of(operations).items():
        low, high = np.quantile([row[name] for row in rows], [tail, 1 - tail])
        found[name] = (value, float(low), float(high))
    return found
