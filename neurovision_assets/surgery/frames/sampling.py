"""Which source frames are kept.

Belongs here: the sampling rule, on times alone. Does not belong here: pictures, files, decoding.

The rule (version in `config.SAMPLING_POLICY_VERSION`): instants k / fps, k = 0, 1, 2, ..., counted from the start
of the video, form a grid. A source frame belongs to the grid instant nearest to it; of the frames that belong to
one instant the nearest is kept, the earlier one of two equally near. An instant later than the middle of the last
frame's display is outside of the video and keeps none.

Why the nearest, and not the frame on or after: at a constant rate a kept frame is never more than half a source
interval from its instant, and the rounding of timestamps (Matroska counts milliseconds) or the jitter of a recorder
that is about as slow as the grid cannot make a frame miss "its" instant and so lose every second one. Each source
frame is kept at most once, so a slow video is never upsampled: 1 frame a second stays 1 frame a second at any larger
fps. A 10 s clip at 25 frames a second gives 20 frames at fps 2.0.

The rule looks at times only, so it can be asked before anything is decoded: `needed.py` tells from packets which
frames need no decoding, and may put a frame's neighbour in its place. The rule then meets the decoded ones only.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Generic, TypeVar

MICROSECONDS = 1_000_000
MAX_FPS_DENOMINATOR = 1001
"""29.97 and its relatives are fractions over 1001; finer ones have no meaning for a grid."""

T = TypeVar("T")


@dataclass(frozen=True)
class Timed(Generic[T]):
    """Something with a time on the video's clock, in microseconds since the start of the video."""

    time_us: int
    item: T


class GridSampler(Generic[T]):
    """Chooses frames in one pass; holds one frame at a time.

    Offer frames in order of time, then call `finish` once.
    """

    def __init__(self, fps: float) -> None:
        if fps <= 0:
            raise ValueError(f"fps must be above 0, not {fps}")
        rate = Fraction(fps).limit_denominator(MAX_FPS_DENOMINATOR)
        self._step_numerator_us = MICROSECONDS * rate.denominator
        self._step_denominator = rate.numerator
        self._held: Timed[T] | None = None
        self._held_instant = -1

    def offer(self, candidate: Timed[T]) -> Timed[T] | None:
        """Take the next frame; returns an earlier one as soon as it is certain that it is kept."""
        instant = self.instant_of(candidate.time_us)
        held = self._held
        if held is not None and instant <= self._held_instant:
            if self.distance(candidate.time_us, self._held_instant) < self.distance(held.time_us, self._held_instant):
                self._held = candidate
            return None
        self._held, self._held_instant = candidate, instant
        return held

    def finish(self, until_us: int) -> Timed[T] | None:
        """Close the grid.

        Args:
            until_us: the middle of the last frame's display; later instants are outside of the video.
        """
        held, self._held = self._held, None
        is_outside = self._held_instant * self._step_numerator_us > until_us * self._step_denominator
        return None if is_outside and self._held_instant > 0 else held

    def instant_of(self, time_us: int) -> int:
        """The grid instant nearest to a time; exactly half way belongs to the earlier instant."""
        scaled = 2 * time_us * self._step_denominator
        return max(0, -((self._step_numerator_us - scaled) // (2 * self._step_numerator_us)))

    def distance(self, time_us: int, instant: int) -> int:
        """How far a time is from an instant; a figure to compare, in no unit."""
        return abs(time_us * self._step_denominator - instant * self._step_numerator_us)


def sample(frames: Iterable[Timed[T]], fps: float, until_us: int) -> Iterator[Timed[T]]:
    """Choose from all frames of a video.

    Args:
        frames: in order of time, microseconds since the start of the video.
        fps: grid instants a second.
        until_us: the middle of the last frame's display.
    """
    sampler: GridSampler[T] = GridSampler(fps)
    for frame in frames:
        kept = sampler.offer(frame)
        if kept is not None:
            yield kept
    last = sampler.finish(until_us)
    if last is not None:
        yield last
