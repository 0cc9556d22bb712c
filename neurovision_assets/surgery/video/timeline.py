"""A recording's clock, from its packets alone.

Belongs here: count, duration, constant or variable rate, missing timestamps. Does not belong here: decoding; the
clock of decoded frames (`frames/clock.py`).
"""

from __future__ import annotations

from array import array
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
import numpy.typing as npt

from neurovision_assets.surgery.video.timestamps import (
    FALLBACK_FPS,
    FALLBACK_TIME_BASE,
    ContinuousClock,
    header_rate,
)

if TYPE_CHECKING:
    from av.packet import Packet
    from av.video.stream import VideoStream

FloatArray = npt.NDArray[np.float64]

ALIKE_MS = 2.0
"""Intervals of a constant rate differ by rounding only: a millisecond at each end."""

ALIKE_SHARE = 0.99
"""A few dropped frames do not make a constant rate variable; they are told as gaps."""

GAP_INTERVALS = 1.5
"""An interval of more than this many usual ones means that frames are missing between."""


GAP_WORTH_SAYING_MS = 500
"""Below half a second, one stored frame at the usual rate, nobody misses anything."""


@dataclass(frozen=True)
class Timeline:
    """What the packets tell about time."""

    packet_count: int
    first_timestamp_ms: int | None
    duration_ms: int
    frame_rate_fps: float
    mode: Literal["constant", "variable"]
    warnings: tuple[str, ...]


class TimelineReader:
    """Collects timestamps packet by packet, 8 bytes each."""

    def __init__(self, stream: VideoStream) -> None:
        self._time_base = stream.time_base or FALLBACK_TIME_BASE
        self._clock = ContinuousClock(stream)
        self._header_rate = header_rate(stream)
        self._announced = stream.frames
        self._pts: array[int] = array("q")
        self._dts: array[int] = array("q")
        self._packets = 0
        self._discarded = 0
        self._corrupt = 0

    def add(self, packet: Packet[VideoStream]) -> None:
        """Take note of a packet that carries data."""
        if packet.is_discard:
            self._discarded += 1
            return
        self._packets += 1
        self._corrupt += packet.is_corrupt
        shift = self._clock.shift(packet)
        if packet.pts is not None:
            self._pts.append(packet.pts + shift)
        if packet.dts is not None:
            self._dts.append(packet.dts + shift)

    def finish(self) -> Timeline:
        """Sum up."""
        ticks = self._pts if len(self._pts) >= len(self._dts) else self._dts
        unique_ticks = np.unique(np.array(ticks, dtype=np.int64)).astype(np.float64)
        times_ms: FloatArray = unique_ticks * (1000.0 * float(self._time_base))
        warnings = self._warnings(times_ms)
        usual_ms = 1000.0 / float(self._header_rate or FALLBACK_FPS)
        # A clock that few packets carry tells nothing about the rest.
        if times_ms.size < 2 or times_ms.size < self._packets / 2:
            duration = self._packets * usual_ms
            mode: Literal["constant", "variable"] = "constant"
        else:
            intervals = np.diff(times_ms)
            usual_ms = float(np.median(intervals))
            duration = float(times_ms[-1] - times_ms[0]) + usual_ms
            mode = _mode(intervals, usual_ms)
        return Timeline(
            packet_count=self._packets,
            first_timestamp_ms=round(float(times_ms[0])) if times_ms.size else None,
            duration_ms=max(1, round(duration)) if self._packets else 0,
            frame_rate_fps=self._packets * 1000.0 / duration if duration else 0.0,
            mode=mode,
            warnings=tuple(warnings),
        )

    def _warnings(self, times_ms: FloatArray) -> list[str]:
        found = []
        missing = self._packets - max(len(self._pts), len(self._dts))
        if missing:
            rate = float(self._header_rate or FALLBACK_FPS)
            found.append(
                f"{missing} of {self._packets} pictures carry no timestamp; "
                f"their times are derived from the frame rate of {rate:g} a second."
            )
        if self._announced > self._packets + self._discarded:
            found.append(
                f"The file announces {self._announced} pictures but holds {self._packets}; the rest is missing."
            )
        if self._corrupt:
            found.append(f"{self._corrupt} of {self._packets} pictures are marked as damaged in the file.")
        if self._clock.restarts:
            found.append(f"The recorder's clock starts anew in {self._clock.restarts} place(s); the pieces are joined.")
        gap_ms = _gaps_ms(times_ms)
        if gap_ms >= GAP_WORTH_SAYING_MS:
            found.append(f"The recording has gaps: {gap_ms / 1000:.1f} s without pictures.")
        return found


def _mode(intervals: FloatArray, usual_ms: float) -> Literal["constant", "variable"]:
    alike = np.abs(intervals - usual_ms) <= ALIKE_MS
    return "constant" if alike.mean() >= ALIKE_SHARE else "variable"


def _gaps_ms(times_ms: FloatArray) -> float:
    """Time without pictures in a recording of constant rate; a variable rate has no gaps to speak of."""
    if times_ms.size < 3:
        return 0.0
    intervals = np.diff(times_ms)
    usual_ms = float(np.median(intervals))
    if _mode(intervals, usual_ms) == "variable":
        return 0.0
    gaps = intervals[intervals > GAP_INTERVALS * usual_ms]
    return float(gaps.sum() - gaps.size * usual_ms)
