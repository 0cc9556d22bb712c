"""Who belongs to whom, so that the whole fits best.

Belongs here: the assignment problem. Does not belong here: what is assigned. SciPy would bring 100 MB for this one
function, and there are never more than a few instruments in view.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt


def assign(gain: npt.NDArray[np.float64]) -> list[tuple[int, int]]:
    """Pairs of rows and columns with the greatest sum of gains.

    The Hungarian method with potentials and shortest augmenting paths, O(rows² · columns) (Jonker and Volgenant 1987).

    Args:
        gain: float64 [n, m], at least 0; pairs without a gain are never made.

    Returns:
        (row, column) of every pair, each row and column at most once, rows rising.
    """
    if gain.size == 0:
        return []
    if gain.shape[0] > gain.shape[1]:
        return sorted((row, column) for column, row in assign(gain.T))
    row_of = _solve(-gain)
    pairs = [(int(row), column) for column, row in enumerate(row_of) if row >= 0 and gain[row, column] > 0]
    return sorted(pairs)


def _solve(cost: npt.NDArray[np.float64]) -> npt.NDArray[np.int64]:
    """Row of every column (−1 for none) at the least total cost; there are no more rows than columns."""
    rows, columns = cost.shape
    row_price, column_price = np.zeros(rows), np.zeros(columns)
    row_of = np.full(columns, -1)
    for start in range(rows):
        distance, before = np.full(columns, np.inf), np.full(columns, -1)
        done = np.zeros(columns, dtype=bool)
        row, reached, column = start, 0.0, -1
        while row >= 0:
            through = reached + cost[row] - row_price[row] - column_price
            closer = ~done & (through < distance)
            distance[closer], before[closer] = through[closer], column
            column = int(np.where(done, np.inf, distance).argmin())
            reached, done[column] = float(distance[column]), True
            row = int(row_of[column])
        _reprice(row_price, column_price, row_of, distance, done & (row_of >= 0), reached, start)
        while column >= 0:
            row_of[column] = row_of[before[column]] if before[column] >= 0 else start
            column = int(before[column])
    return row_of


def _reprice(
    row_price: npt.NDArray[np.float64],
    column_price: npt.NDArray[np.float64],
    row_of: npt.NDArray[np.int64],
    distance: npt.NDArray[np.float64],
    visited: npt.NDArray[np.bool_],
    reached: float,
    start: int,
) -> None:
    """Keep every reduced cost at least 0 after a shortest path of length `reached` from row `start`."""
    slack = reached - distance[visited]
    row_price[start] += reached
    row_price[row_of[visited]] += slack
    column_price[visited] -= slack
