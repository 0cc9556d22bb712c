"""One rising clock from timestamps as files really carry them."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from neurovision_assets.surgery.frames.clock import SMALLEST_STEP_US, FrameClock

MILLISECONDS = Fraction(1, 1000)
INTERVAL_US = 40_000


def clock(**settings: int | None) -> FrameClock:
    return FrameClock(MILLISECONDS, INTERVAL_US, **settings)  # type: ignore[arg-type]


def tell_ms(found: FrameClock, ticks: list[int | None]) -> list[int]:
    return [found.tell(tick, None) // 1000 for tick in ticks]


def test_true_times_are_kept() -> None:
    found = clock()
    assert tell_ms(found, [1400, 1420, 1500, 1510]) == [0, 20, 100, 110]
    assert (found.derived, found.corrected) == (0, 0)
    assert found.end_us == 150_000


def test_a_part_starts_where_it_is_told() -> None:
    assert tell_ms(clock(start_us=5_000_000), [0, 40]) == [5000, 5040]


def test_pictures_lost_at_the_start_leave_their_time() -> None:
    assert tell_ms(clock(first_tick=0), [400, 440]) == [400, 440]


def test_a_picture_before_the_announced_start_is_the_start() -> None:
    assert tell_ms(clock(first_tick=100), [60, 100]) == [0, 40]


def test_missing_times_are_derived_from_the_rate() -> None:
    found = clock()
    assert tell_ms(found, [None, None, None]) == [0, 40, 80]
    assert found.derived == 3


def test_a_missing_time_between_others() -> None:
    found = clock()
    assert tell_ms(found, [0, None, 80]) == [0, 40, 80]
    assert (found.derived, found.corrected) == (1, 0)


def test_a_frame_out_of_order_moves_no_other() -> None:
    found = clock()
    assert tell_ms(found, [0, 40, 120, 80, 160]) == [0, 40, 120, 121, 160]
    assert found.corrected == 1


def test_a_clock_that_starts_anew_goes_on() -> None:
    found = clock()
    assert tell_ms(found, [9000, 9040, 9080, 0, 60, 90]) == [0, 40, 80, 120, 180, 210]
    assert found.corrected == 1


def test_a_small_restart_goes_on_too() -> None:
    ticks: list[int | None] = [*range(0, 2000, 40), *range(0, 2000, 40)]
    assert tell_ms(clock(), ticks) == list(range(0, 4000, 40))


def test_gaps_are_measured() -> None:
    found = clock()
    tell_ms(found, [0, 40, 80, 1080, 1120])
    assert found.gap_us == 960_000


def test_made_up_display_times_give_way_to_decode_times() -> None:
    """AVI with reordered pictures: pts jumps back and forth, dts rises."""
    found = clock()
    pairs = [(0, 0), (120, 40), (40, 80), (80, 120), (240, 160), (160, 200), (200, 240)]
    times = [found.tell(pts, dts) // 1000 for pts, dts in pairs]
    assert times == sorted(set(times))
    assert times[-1] == 240


@given(st.lists(st.one_of(st.none(), st.integers(-(2**40), 2**40)), min_size=1, max_size=60))
def test_any_timestamps_give_a_rising_clock(ticks: list[int | None]) -> None:
    found = clock()
    times = [found.tell(tick, None) for tick in ticks]
    assert all(later - sooner >= SMALLEST_STEP_US for sooner, later in pairwise(times))
    assert found.end_us > times[-1]
    assert times[0] >= 0
