"""Which source frames are kept: the rule against an independent statement of it."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from neurovision_assets.surgery.frames.sampling import GridSampler, Timed, sample

SECOND_US = 1_000_000


def constant(fps: Fraction | int, count: int) -> list[int]:
    return [int(index * SECOND_US / Fraction(fps)) for index in range(count)]


def kept(times_us: list[int], fps: float, until_us: int | None = None) -> list[int]:
    if until_us is None:
        interval = times_us[-1] - times_us[-2] if len(times_us) > 1 else 40_000
        until_us = times_us[-1] + interval // 2
    return [frame.time_us for frame in sample((Timed(time, None) for time in times_us), fps, until_us)]


@pytest.mark.parametrize("source_fps", [25, 30, 50, 60, Fraction(30000, 1001), Fraction(24000, 1001), 15, 12])
def test_ten_seconds_give_twenty_frames(source_fps: Fraction | int) -> None:
    times = constant(source_fps, round(10 * source_fps))
    chosen = kept(times, 2.0)
    assert len(chosen) == 20
    half = SECOND_US / source_fps / 2
    assert all(abs(time - index * SECOND_US // 2) <= half for index, time in enumerate(chosen))


def test_slow_video_is_never_upsampled() -> None:
    for fps in (1.0, 2.0, 5.0, 25.0):
        assert kept(constant(1, 35), fps) == constant(1, 35)


def test_a_rate_slightly_below_the_grid_loses_nothing() -> None:
    times = constant(Fraction(19, 10), 100)
    assert kept(times, 2.0) == times


def test_jitter_at_the_grid_s_own_rate_loses_nothing() -> None:
    times = [index * 500_000 + (20_000 if index % 2 else -20_000) * (index > 0) for index in range(100)]
    assert kept(times, 2.0) == times


def test_milliseconds_do_not_add_a_frame_at_the_end() -> None:
    times = [round(index * 1000 / 30) * 1000 for index in range(300)]
    assert len(kept(times, 2.0)) == 20


def test_of_two_equally_near_the_earlier_is_kept() -> None:
    assert kept([0, 480_000, 520_000, 1_000_000], 2.0) == [0, 480_000, 1_000_000]


def test_one_frame_is_kept() -> None:
    assert kept([0], 2.0, until_us=0) == [0]


def test_no_frames() -> None:
    assert kept([], 2.0, until_us=0) == []


def test_a_pause_is_not_filled() -> None:
    times = [*constant(25, 50), *(time + 60 * SECOND_US for time in constant(25, 50))]
    chosen = kept(times, 2.0)
    assert len(chosen) == 9, "4 a part, and the last before the pause for the instant at which the pause begins"
    assert not any(2 * SECOND_US <= time < 60 * SECOND_US for time in chosen)


def test_rates_that_are_not_whole() -> None:
    assert len(kept(constant(25, 250), 0.5)) == 5
    assert len(kept(constant(25, 250), 29.97)) == 250


def test_a_rate_must_be_above_zero() -> None:
    with pytest.raises(ValueError, match="above 0"):
        GridSampler(0.0)


times_of_frames = st.lists(st.integers(0, 30 * SECOND_US), min_size=1, max_size=120, unique=True).map(sorted)
rates = st.sampled_from([0.5, 1.0, 2.0, 3.0, 5.0, 10.0, 25.0])


@given(times_us=times_of_frames, fps=rates)
def test_the_rule(times_us: list[int], fps: float) -> None:
    """Every instant with a frame nearest to it keeps that frame; no other frame is kept."""
    step = Fraction(SECOND_US) / Fraction(fps)
    until_us = times_us[-1] + 20_000
    expected = []
    for instant in range(int(until_us / step) + 2):
        near = [t for t in times_us if instant * step - step / 2 < t <= instant * step + step / 2]
        is_inside = instant == 0 or instant * step <= until_us
        if near and is_inside:
            expected.append(min(near, key=lambda t: (abs(t - instant * step), t)))
    assert kept(times_us, fps, until_us) == expected


@given(times_us=times_of_frames, fps=rates)
def test_what_is_kept(times_us: list[int], fps: float) -> None:
    chosen = kept(times_us, fps)
    assert chosen == sorted(set(chosen)), "in order, each once"
    assert set(chosen) <= set(times_us), "only frames that exist"
    assert len(chosen) <= (times_us[-1] / SECOND_US + 1) * fps + 1
    assert kept(times_us, fps) == chosen, "the same again"


@given(interval_ms=st.integers(500, 5000), count=st.integers(1, 60), fps=st.sampled_from([2.0, 3.0, 10.0]))
def test_no_frame_of_a_video_slower_than_the_grid_is_lost(interval_ms: int, count: int, fps: float) -> None:
    times = [index * interval_ms * 1000 for index in range(count)]
    assert kept(times, fps, until_us=times[-1] + interval_ms * 500) == times


@given(times_us=times_of_frames, fps=rates)
def test_frames_come_as_soon_as_they_are_certain(times_us: list[int], fps: float) -> None:
    """One pass, one frame held: a frame is given out before the second frame after the next instant's first."""
    sampler: GridSampler[None] = GridSampler(fps)
    given_out = []
    for time in times_us:
        frame = sampler.offer(Timed(time, None))
        if frame is not None:
            assert frame.time_us < time
            given_out.append(frame.time_us)
    last = sampler.finish(times_us[-1])
    assert given_out + ([last.time_us] if last else []) == kept(times_us, fps, times_us[-1])
