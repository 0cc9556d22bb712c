"""The simulator's plans: they keep their promises and follow the statistics of real operations.

Belongs here: phases, instruments, events, the committed tables, the sample. Does not belong here: pictures
(`test_simulator`).
"""

from __future__ import annotations

from collections import Counter
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulator import fitted
from simulator.fit import instrument_counts, log_durations, order_rates, read_runs, relative_durations
from simulator.operation import plan_operation
from simulator.sample import sample_plan
from simulator.spans import active
from simulator.vocabulary import CHOLEC80_PHASES, EVENTS, INSTRUMENTS, PHASES, WALL_PHASES


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10**6), duration_s=st.sampled_from([20.0, 60.0, 240.0, 2520.0]))
def test_a_plan_covers_its_duration_and_keeps_its_promises(seed: int, duration_s: float) -> None:
    made = plan_operation(seed, duration_s)
    assert made == plan_operation(seed, duration_s)
    assert made.phases[0].start_ms == 0
    assert made.phases[-1].end_ms == made.duration_ms == round(duration_s * 1000)
    assert all(before.end_ms == after.start_ms for before, after in pairwise(made.phases))
    assert all(span.duration_ms > 0 and span.phase in PHASES for span in made.phases)
    assert len({span.track for span in made.instruments}) == len(made.instruments)
    for span in (*made.instruments, *made.events, *made.disturbances):
        assert 0 <= span.start_ms < span.end_ms <= made.duration_ms
    for slot in range(3):
        own = [span for span in made.instruments if span.slot == slot]
        assert all(before.end_ms <= after.start_ms for before, after in pairwise(own))


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_events_agree_with_instruments(seed: int) -> None:
    made = plan_operation(seed)
    assert {span.instrument for span in made.instruments} <= set(INSTRUMENTS)
    assert {event.kind for event in made.events} <= set(EVENTS)
    for event in made.events:
        middle = (event.start_ms + event.end_ms) / 2
        in_use = {span.instrument for span in active(made.instruments, middle)}
        if event.kind in ("idle", "out-of-body"):
            assert not in_use
        if event.kind == "idle":
            assert made.phase_at(middle).phase not in WALL_PHASES
        if event.kind == "clip-applied":
            assert "clipper" in in_use
        if event.kind == "smoke":
            assert in_use & {"hook", "bipolar"}


def test_a_plan_that_is_too_short_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 20 s"):
        plan_operation(0, 5.0)


def kolmogorov_smirnov_p(one: np.ndarray, other: np.ndarray) -> float:
    """Two-sample p-value from the asymptotic distribution (Smirnov 1948), with Stephens' small-sample correction."""
    everything = np.sort(np.concatenate([one, other]))
    below = [np.searchsorted(np.sort(sample), everything, side="right") / len(sample) for sample in (one, other)]
    distance = np.abs(below[0] - below[1]).max()
    root = np.sqrt(len(one) * len(other) / (len(one) + len(other)))
    scaled = (root + 0.12 + 0.11 / root) * distance
    terms = np.arange(1, 101)
    return float(np.clip(2 * np.sum((-1.0) ** (terms - 1) * np.exp(-2 * terms**2 * scaled**2)), 0, 1))


def simulated_runs(count: int) -> list[list[tuple[int, int]]]:
    """Simulated operations as runs (Cholec80 phase, milliseconds), the four extra phases left out."""
    return [
        [
            (CHOLEC80_PHASES.index(span.phase), span.duration_ms)
            for span in plan_operation(seed).phases
            if span.phase in CHOLEC80_PHASES
        ]
        for seed in range(count)
    ]


def test_phase_durations_and_order_follow_real_operations(shared_data: Path) -> None:
    real = read_runs(shared_data / "surgery" / "cholec80_phases" / "ground_truth")
    simulated = simulated_runs(400)
    expected, made = relative_durations(real), relative_durations(simulated)
    p_values = {CHOLEC80_PHASES[phase]: kolmogorov_smirnov_p(expected[phase], made[phase]) for phase in expected}
    assert min(p_values.values()) > 0.05, p_values
    for name, rate in order_rates(real).items():
        assert order_rates(simulated)[name] == pytest.approx(rate, abs=0.10), name


def apart_from_length(values: np.ndarray) -> np.ndarray:
    """Means or covariances of log durations as deviations from the operation's own mean: its length cancels."""
    centring = np.eye(len(values)) - 1 / len(values)
    return centring @ values if values.ndim == 1 else centring @ values @ centring.T


def correlations(covariance: np.ndarray) -> np.ndarray:
    spread = np.sqrt(np.diag(covariance))
    return covariance / np.outer(spread, spread)


def test_a_thousand_plans_have_the_fitted_rates_lengths_and_ties() -> None:
    """Independent phases would be 0.45 away in correlation, one phase a third longer 0.25 in its mean."""
    plans = simulated_runs(1000)
    rates = order_rates(plans)
    assert rates["cleaning_absent"] == pytest.approx(fitted.CLEANING_ABSENT_RATE, abs=0.02)
    assert rates["cleaning_before_packaging"] == pytest.approx(fitted.CLEANING_FIRST_RATE, abs=0.03)
    assert rates["with_a_return"] == pytest.approx(fitted.RETURN_RATE, abs=0.02)
    mean, covariance = log_durations([plan for plan in plans if len({phase for phase, _ in plan}) == 7])
    wanted = apart_from_length(np.array(fitted.LOG_SECONDS_COVARIANCE))
    assert apart_from_length(mean) == pytest.approx(apart_from_length(np.array(fitted.LOG_SECONDS_MEAN)), abs=0.08)
    assert correlations(apart_from_length(covariance)) == pytest.approx(correlations(wanted), abs=0.12)


def test_the_test_of_durations_tells_wrong_ones_apart(shared_data: Path) -> None:
    real = relative_durations(read_runs(shared_data / "surgery" / "cholec80_phases" / "ground_truth"))
    made = relative_durations(simulated_runs(400))
    clipping, triangle = CHOLEC80_PHASES.index("clipping-and-cutting"), 1
    assert kolmogorov_smirnov_p(real[clipping], 2 * made[clipping]) < 0.05
    assert kolmogorov_smirnov_p(real[triangle], made[clipping]) < 0.001


def test_the_committed_tables_are_those_of_the_labels(shared_data: Path) -> None:
    real = read_runs(shared_data / "surgery" / "cholec80_phases" / "ground_truth")
    mean, covariance = log_durations(real)
    assert mean == pytest.approx(np.array(fitted.LOG_SECONDS_MEAN), abs=6e-4)
    assert covariance == pytest.approx(np.array(fitted.LOG_SECONDS_COVARIANCE), abs=6e-4)
    rates = order_rates(real)
    assert rates["cleaning_absent"] == pytest.approx(fitted.CLEANING_ABSENT_RATE, abs=6e-4)
    assert rates["cleaning_before_packaging"] == pytest.approx(fitted.CLEANING_FIRST_RATE, abs=6e-4)
    counts = instrument_counts(shared_data / "surgery" / "cholect50")
    assert {phase: dict(together) for phase, together in counts.items()} == fitted.SEEN_TOGETHER


def used_together(seeds: range) -> dict[str, Counter[frozenset[str]]]:
    """Seconds per phase and set of instruments in the body together, the bag and the ways in and out left aside."""
    counts: dict[str, Counter[frozenset[str]]] = {phase: Counter() for phase in PHASES}
    for seed in seeds:
        made = plan_operation(seed)
        for at in range(0, made.duration_ms, 1000):
            names = frozenset(span.instrument for span in active(made.instruments, at)) - {"specimen-bag"}
            if names:
                counts[made.phase_at(at).phase][names] += 1
    return counts


def test_instruments_are_used_together_as_in_real_operations(shared_data: Path) -> None:
    """Half of the sets are drawn from the labels: each that takes a fifth of a phase there is seen often here too."""
    real = instrument_counts(shared_data / "surgery" / "cholect50")
    made = used_together(range(60))
    for phase, counts in real.items():
        sets: Counter[frozenset[str]] = Counter()
        for names, seconds in counts.items():
            sets[frozenset(names)] += seconds
        for names, seconds in sets.items():
            if seconds > 0.2 * sum(sets.values()):
                assert made[phase][names] > 0.08 * sum(made[phase].values()), (phase, names)
        never = {"scissors", "clipper"} - {name for names in sets for name in names}
        if phase in ("calot-triangle-dissection", "gallbladder-dissection"):
            assert not any(names & never for names in made[phase])


def test_the_sample_shows_most_of_an_operation_in_a_minute() -> None:
    sample = sample_plan()
    assert (sample.seed, sample.duration_ms) == (2026, 60_000)
    assert {span.phase for span in sample.phases} >= {*CHOLEC80_PHASES, "trocar-placement", "port-closure"}
    assert {span.instrument for span in sample.instruments} == set(INSTRUMENTS)
    happened = {event.kind for event in sample.events}
    assert happened >= {"clip-applied", "bleeding", "smoke", "instrument-exchange", "out-of-body"}
