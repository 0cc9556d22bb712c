"""From figures of frames to spans of time.

Belongs here: hysteresis, least durations, joining, evidence. Does not belong here: what the figures are, thresholds.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from neurovision_assets.surgery.events.signals import Signal
from neurovision_assets.surgery.timeline import Times, frame_ends_ms, runs

Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Clock:
    """The stored frames on the operation's clock.

    Attributes:
        frame_index: int32 [n], rising.
        start_ms: int64 [n], when each frame begins.
        end_ms: int64 [n], when it ends, exclusive.
    """

    frame_index: npt.NDArray[np.int32]
    start_ms: Times
    end_ms: Times

    @classmethod
    def of(cls, frame_index: npt.NDArray[np.int32], timestamp_ms: Times, duration_ms: int) -> Clock:
        """The clock of a frames table."""
        return cls(frame_index, timestamp_ms, frame_ends_ms(timestamp_ms, duration_ms))

    def within(self, start_ms: int, end_ms: int) -> Flags:
        """Frames that begin in [start_ms, end_ms), bool [n]."""
        return (self.start_ms >= start_ms) & (self.start_ms < end_ms)

    def evidence(self, *places: int) -> list[int]:
        """`frame_index` of frames given by their places, rising, each once."""
        return sorted({int(self.frame_index[place]) for place in places})

    def evidence_of(self, start_ms: int, end_ms: int) -> list[int]:
        """First, middle and last frame of a span; the frame before it where none begins inside."""
        inside = np.flatnonzero(self.within(start_ms, end_ms))
        if len(inside) == 0:
            inside = np.array([max(0, int(np.searchsorted(self.start_ms, start_ms, side="right")) - 1)])
        return self.evidence(inside[0], inside[len(inside) // 2], inside[-1])


@dataclass(frozen=True)
class FrameSpan:
    """A stretch of frames, by their places: first and last, both included."""

    first: int
    last: int


def spans_above(
    signal: Signal, clock: Clock, *, enter: float, leave: float, min_duration_ms: int, merge_gap_ms: int
) -> list[FrameSpan]:
    """Where a signal rises to `enter` and until it falls below `leave` (hysteresis, Schmitt 1938).

    A frame without a value ends a span and separates two that would otherwise be joined, and so does a time without
    frames that is longer than `merge_gap_ms`.

    Args:
        signal: float64 [n].
        clock: the frames' times.
        enter: a span has at least one frame at or above this.
        leave: all its frames are at or above this, joined gaps aside.
        min_duration_ms: shorter spans are dropped, after joining.
        merge_gap_ms: spans with at most this between them are joined.
    """
    with np.errstate(invalid="ignore"):
        high, top = signal >= leave, signal >= enter
    breaks = clock.start_ms[1:] - clock.end_ms[:-1] > merge_gap_ms
    stretch = np.concatenate(([0], np.cumsum(breaks)))
    first, after = runs(2 * stretch + high)
    found = [FrameSpan(int(a), int(b) - 1) for a, b in zip(first, after, strict=True) if high[a] and top[a:b].any()]
    unknown = np.concatenate(([0], np.cumsum(np.isnan(signal))))
    joined: list[FrameSpan] = []
    for span in found:
        before = joined[-1] if joined else None
        if (
            before is not None
            and clock.start_ms[span.first] - clock.end_ms[before.last] <= merge_gap_ms
            and unknown[span.first] == unknown[before.last + 1]
        ):
            joined[-1] = FrameSpan(before.first, span.last)
        else:
            joined.append(span)
    return [span for span in joined if clock.end_ms[span.last] - clock.start_ms[span.first] >= min_duration_ms]
