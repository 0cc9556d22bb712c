"""One rising clock from the timestamps that files really carry.

Belongs here: choosing between pts and dts, missing and backward timestamps, gaps. Does not belong here: which frames
are kept (`sampling.py`), decoding.
"""

from __future__ import annotations

from fractions import Fraction

MICROSECONDS = 1_000_000

RESTART_US = 1_000_000
"""A step back by more than this is a clock that started anew (a recorder's new segment), by less a frame out of
order: no codec reorders frames over as much as a second."""

SMALLEST_STEP_US = 1_000
"""Frames differ by at least the unit in which times are stored, a millisecond."""

GAP_INTERVALS = 1.5
"""An interval longer than this many usual ones is a gap."""


class FrameClock:
    """Gives each decoded frame of one file a time, in microseconds, that always rises.

    Args:
        time_base: seconds a tick of the file's timestamps.
        interval_us: the usual time between two frames, for frames without a timestamp.
        start_us: where the file begins on the recording's clock.
        first_tick: timestamp of the file's first frame, even if that one cannot be decoded; None: the first told.
    """

    def __init__(
        self, time_base: Fraction, interval_us: int, *, start_us: int = 0, first_tick: int | None = None
    ) -> None:
        self._time_base = time_base
        self._interval_us = max(interval_us, SMALLEST_STEP_US)
        self._start_us = start_us
        self._first_tick = first_tick
        self._shift_us = 0
        self._last_us: int | None = None
        self._last_pts: int | None = None
        self._last_dts: int | None = None
        self._faulty_pts = 0
        self._faulty_dts = 0
        self.derived = 0
        """Frames whose time was derived from the frame rate, because they carried none."""
        self.corrected = 0
        """Frames whose timestamp went back and was corrected."""
        self.gap_us = 0
        """Time between frames beyond the usual interval, where more than one frame is missing."""

    @property
    def end_us(self) -> int:
        """When the display of the last frame ends."""
        return self._start_us if self._last_us is None else self._last_us + self._interval_us

    @property
    def middle_of_last_us(self) -> int:
        """The middle of the last frame's display."""
        return self.end_us - self._interval_us // 2

    def tell(self, pts: int | None, dts: int | None) -> int:
        """Time of the next frame in display order, microseconds on the recording's clock."""
        tick = self._choose(pts, dts)
        if tick is None:
            self.derived += 1
            time_us = self.end_us
        else:
            time_us = self._rising(self._to_us(tick))
        gap_us = time_us - self.end_us
        if gap_us > (GAP_INTERVALS - 1) * self._interval_us:
            self.gap_us += gap_us
        self._last_us = time_us
        return time_us

    def _choose(self, pts: int | None, dts: int | None) -> int | None:
        """The more trustworthy of the two, as `guess_correct_pts` of libavcodec: fewer steps back so far wins.

        AVI holds no display times; what the demuxer makes up for them may go back and forth while dts rises.
        """
        if dts is not None:
            self._faulty_dts += self._last_dts is not None and dts <= self._last_dts
            self._last_dts = dts
        if pts is not None:
            self._faulty_pts += self._last_pts is not None and pts <= self._last_pts
            self._last_pts = pts
        if pts is not None and (dts is None or self._faulty_pts <= self._faulty_dts):
            return pts
        return dts

    def _to_us(self, tick: int) -> int:
        if self._first_tick is None or (self._last_us is None and tick < self._first_tick):
            self._first_tick = tick
        ticks = tick - self._first_tick
        elapsed_us = ticks * self._time_base.numerator * MICROSECONDS // self._time_base.denominator
        return self._start_us + self._shift_us + elapsed_us

    def _rising(self, time_us: int) -> int:
        if self._last_us is None or time_us >= self._last_us + SMALLEST_STEP_US:
            return time_us
        self.corrected += 1
        if self._last_us - time_us > RESTART_US:
            self._shift_us += self.end_us - time_us
            return self.end_us
        return self._last_us + SMALLEST_STEP_US
