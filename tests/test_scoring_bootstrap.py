"""Intervals over operations: as wide as theory says, and drawn by operation."""

import numpy as np
import pytest

from models.scoring.bootstrap import intervals


def mean_of(values):
    return {"mean": float(np.mean(values))}


def test_the_interval_of_a_mean_is_the_one_of_theory() -> None:
    values = list(np.random.default_rng(0).normal(10, 2, size=400))
    value, low, high = intervals(values, mean_of, resamples=4000)["mean"]
    assert value == pytest.approx(np.mean(values))
    half = 1.96 * np.std(values) / np.sqrt(len(values))
    assert (low, high) == pytest.approx((value - half, value + half), abs=0.02)


def test_operations_are_drawn_whole_and_the_same_each_time() -> None:
    operations = [[0.0] * 100, [1.0] * 100]

    def share(drawn):
        return {"share": float(np.mean([frame for operation in drawn for frame in operation]))}

    first, second = (intervals(operations, share, resamples=500) for _ in range(2))
    assert first == second
    assert first["share"] == (0.5, 0.0, 1.0), "two operations say next to nothing, however many frames they have"
