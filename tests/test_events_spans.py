"""The mathematics behind event rules: spans over a threshold, the usual level of a signal, the order of phases.

Belongs here: pure functions on numbers. Does not belong here: rules on scenes (`test_events`).
"""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from neurovision_assets.surgery.events.phase_rules import heaviest_course
from neurovision_assets.surgery.events.signals import usual_level
from neurovision_assets.surgery.events.spans import Clock, spans_above
from tests.event_scenes import FRAMES, clock, raised
from tests.rooms import INTERVAL_MS


def test_hysteresis_joins_gaps_and_drops_short_spans() -> None:
    signal = np.array([0, 5, 3, 3, 1, 1, 3, 6, 0, 0, 0, 0, 0, 0, 9, 0, 0, 3, 3, 3.0])
    options = {"enter": 5, "leave": 3, "merge_gap_ms": 2 * INTERVAL_MS}
    result = spans_above(signal, clock(20), **options, min_duration_ms=2 * INTERVAL_MS)
    assert [(span.first, span.last) for span in result] == [(1, 7)]
    assert len(spans_above(signal, clock(20), **options, min_duration_ms=0)) == 2


def test_a_time_without_frames_ends_a_span() -> None:
    times = np.array([0, 500, 1000, 9000, 9500, 10_000])
    jumping = Clock.of(np.arange(6, dtype=np.int32), times, 10_500)
    result = spans_above(np.ones(6), jumping, enter=1, leave=1, min_duration_ms=0, merge_gap_ms=1000)
    assert [(span.first, span.last) for span in result] == [(0, 2), (3, 5)]


@given(
    signal=arrays(np.float64, 60, elements=st.one_of(st.floats(0, 10), st.just(np.nan))),
    gap=st.integers(0, 3000),
    least=st.integers(0, 5000),
)
def test_spans_are_apart_long_enough_and_reach_their_threshold(signal: np.ndarray, gap: int, least: int) -> None:
    at = clock(60)
    result = spans_above(signal, at, enter=7, leave=4, min_duration_ms=least, merge_gap_ms=gap)
    for span in result:
        inside = signal[span.first : span.last + 1]
        assert inside.max() >= 7
        assert min(inside[0], inside[-1]) >= 4
        assert not np.isnan(inside).any()
        assert at.end_ms[span.last] - at.start_ms[span.first] >= least
    assert all(b.first > a.last for a, b in itertools.pairwise(result))
    if gap == least == 0:
        covered = {i for span in result for i in range(span.first, span.last + 1)}
        assert set(np.flatnonzero(signal >= 7).tolist()) <= covered


def test_the_usual_level_passes_over_frames_that_say_nothing() -> None:
    signal = raised(100, 120, 1.0, 0.2)
    signal[:50] = np.nan
    level = usual_level(signal, clock().start_ms, 60_000, 25)
    assert level == pytest.approx(np.full(FRAMES, 0.2))
    assert usual_level(np.full(FRAMES, np.nan), clock().start_ms, 60_000, 25).tolist() == [0.0] * FRAMES


@given(st.lists(st.tuples(st.integers(0, 6), st.integers(1, 9)), max_size=9))
def test_the_course_is_the_heaviest_that_never_falls(rows: list[tuple[int, int]]) -> None:
    ranks, weights = [rank for rank, _ in rows], [float(weight) for _, weight in rows]
    course = sorted(heaviest_course(ranks, weights))
    assert all(ranks[a] <= ranks[b] for a, b in itertools.pairwise(course))
    best = 0.0
    for chosen in range(2 ** len(rows)):
        places = [i for i in range(len(rows)) if chosen >> i & 1]
        if all(ranks[a] <= ranks[b] for a, b in itertools.pairwise(places)):
            best = max(best, sum(weights[i] for i in places))
    assert sum(weights[i] for i in course) == best
