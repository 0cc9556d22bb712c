"""Stored frames on the operation's clock: how long each one stands, and runs of equal ones.

Belongs here: time arithmetic that several stages share. Does not belong here: what happens in that time.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Times = npt.NDArray[np.int64]

LONGEST_HOLD = 2.0
"""A frame stands until the next one comes, but for at most this many usual intervals: beyond that pictures are
missing (jumps, parts that could not be decoded) and nothing is known."""


def frame_interval_ms(timestamp_ms: Times, duration_ms: int) -> int:
    """The usual time between two stored frames, milliseconds; a single frame stands for the whole video."""
    if len(timestamp_ms) > 1:
        return max(1, round(float(np.median(np.diff(timestamp_ms)))))
    return max(1, duration_ms)


def last_end_ms(timestamp_ms: Times, duration_ms: int) -> int:
    """When the last frame ends: one interval after it began, no later than the video, and after it began."""
    last = int(timestamp_ms[-1])
    return max(last + 1, min(last + frame_interval_ms(timestamp_ms, duration_ms), duration_ms))


def frame_ends_ms(timestamp_ms: Times, duration_ms: int) -> Times:
    """When each frame ends, exclusive.

    Args:
        timestamp_ms: int64 [n], strictly rising.
        duration_ms: length of the video.

    Returns:
        int64 [n]; greater than `timestamp_ms`, at most the next frame's timestamp.
    """
    if len(timestamp_ms) == 0:
        return np.empty(0, dtype=np.int64)
    ends = np.append(timestamp_ms[1:], last_end_ms(timestamp_ms, duration_ms))
    hold = round(LONGEST_HOLD * frame_interval_ms(timestamp_ms, duration_ms))
    held: Times = np.minimum(ends, timestamp_ms + hold)
    return held


def runs(values: npt.NDArray[np.generic]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Stretches of equal neighbours.

    Args:
        values: [n] of any comparable type.

    Returns:
        First positions and positions after the last, int64 [k] each.
    """
    if len(values) == 0:
        return np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64)
    changes = np.flatnonzero(values[1:] != values[:-1]) + 1
    return np.concatenate(([0], changes)), np.concatenate((changes, [len(values)]))
