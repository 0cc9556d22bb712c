"""Fits the tables of `fitted` to the labels of real operations; run by hand when the labels change.

`python -m simulator.fit CHOLEC80_GROUND_TRUTH CHOLECT50` prints the tables. Belongs here: reading the two label
layouts and the formulas of the fit. Does not belong here: the numbers themselves, and never the labels.
"""

from __future__ import annotations

import itertools
import json
import sys
from collections import Counter
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from simulator.vocabulary import CHOLEC80_PHASES

PACKAGING, CLEANING = 4, 5


def read_runs(ground_truth: Path) -> list[list[tuple[int, int]]]:
    """Every operation as its runs (phase id 0..6, seconds), from `videoNN-phase.txt` files at one row a second."""
    operations = []
    for file in sorted(ground_truth.glob("video*-phase.txt")):
        labels = [int(line.split()[1]) for line in file.read_text().splitlines() if line.strip()]
        operations.append([(phase, sum(1 for _ in run)) for phase, run in itertools.groupby(labels)])
    return operations


def relative_durations(operations: list[list[tuple[int, int]]]) -> dict[int, NDArray[np.float64]]:
    """Share of the operation that each phase takes, for the operations that have it."""
    shares: dict[int, list[float]] = {phase: [] for phase in range(len(CHOLEC80_PHASES))}
    for runs in operations:
        total = sum(seconds for _, seconds in runs)
        for phase, values in shares.items():
            own = sum(seconds for run_phase, seconds in runs if run_phase == phase)
            if own:
                values.append(own / total)
    return {phase: np.array(values) for phase, values in shares.items()}


def log_durations(operations: list[list[tuple[int, int]]]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean [7] and covariance [7,7] of the log seconds per phase, over operations that have every phase."""
    rows = []
    for runs in operations:
        seconds = [sum(s for p, s in runs if p == phase) for phase in range(len(CHOLEC80_PHASES))]
        if all(seconds):
            rows.append(np.log(seconds))
    logs = np.array(rows)
    return logs.mean(axis=0), np.cov(logs, rowvar=False)


def order_rates(operations: list[list[tuple[int, int]]]) -> dict[str, float]:
    """How often cleaning is left out, comes before packaging, and how often a phase returns."""
    orders = [[phase for phase, _ in runs] for runs in operations]
    with_cleaning = [order for order in orders if CLEANING in order]
    early = sum(order.index(CLEANING) < order.index(PACKAGING) for order in with_cleaning)
    return {
        "cleaning_absent": 1 - len(with_cleaning) / len(orders),
        "cleaning_before_packaging": early / len(with_cleaning),
        "with_a_return": sum(len(order) != len(set(order)) for order in orders) / len(orders),
    }


def instrument_counts(cholect50: Path) -> dict[str, Counter[tuple[str, ...]]]:
    """Seconds per phase and set of instruments seen together, from the CholecT50 JSON files."""
    counts: dict[str, Counter[tuple[str, ...]]] = {phase: Counter() for phase in CHOLEC80_PHASES}
    for file in sorted(cholect50.glob("VID*.json")):
        content = json.loads(file.read_text())
        names = content["categories"]["instrument"]
        for rows in content["annotations"].values():
            together = tuple(sorted(names[str(row[1])] for row in rows if row[1] >= 0))
            if rows and together:
                counts[CHOLEC80_PHASES[rows[0][14]]][together] += 1
    return counts


def main(ground_truth: Path, cholect50: Path) -> None:
    """Print the tables as Python."""
    operations = read_runs(ground_truth)
    mean, covariance = log_durations(operations)
    print("LOG_SECONDS_MEAN =", np.round(mean, 3).tolist())
    print("LOG_SECONDS_COVARIANCE =", np.round(covariance, 3).tolist())
    print("ORDER =", order_rates(operations))
    for phase, counts in instrument_counts(cholect50).items():
        print(phase, dict(counts.most_common()))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
