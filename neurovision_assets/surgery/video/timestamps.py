"""Timestamps of packets as they should be.

Belongs here: the announced rate, clocks that start anew in the middle, times that every container accepts. Does not
belong here: the clock of decoded frames (`frames/clock.py`), what a recording's clock is like (`timeline.py`).
"""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from av.packet import Packet

FALLBACK_FPS = Fraction(25)
"""Where neither timestamps nor headers tell a rate; FFmpeg assumes the same for raw streams."""

FALLBACK_TIME_BASE = Fraction(1, 1000)

PLAUSIBLE_FPS = (Fraction(1, 3600), Fraction(1000))

RESTART_S = 1
"""A step back in decode time by more than this is a clock that started anew: a recorder that joined its segments."""


def header_rate(track: Any) -> Fraction | None:
    """The frame rate that a video track's headers announce, None where they tell none that can be true."""
    low, high = PLAUSIBLE_FPS
    for rate in (track.average_rate, track.guessed_rate, track.base_rate):
        if rate is not None and low <= rate <= high:
            return Fraction(rate)
    return None


def usual_ticks(track: Any) -> int:
    """The usual time between two packets in a track's ticks, by its headers."""
    rate = (header_rate(track) if track.type == "video" else None) or FALLBACK_FPS
    return max(1, round(1 / (rate * (track.time_base or FALLBACK_TIME_BASE))))


class ContinuousClock:
    """Joins the pieces of a track whose clock starts anew in the middle.

    Args:
        track: the source track, sound or pictures.
    """

    def __init__(self, track: Any) -> None:
        self._restart_ticks = RESTART_S / (track.time_base or FALLBACK_TIME_BASE)
        self._usual_ticks = usual_ticks(track)
        self._shift = 0
        self._last: int | None = None
        self._following = 0
        self.restarts = 0
        """How often the clock started anew."""

    def shift(self, packet: Packet[Any]) -> int:
        """Ticks to add to the times of the next packet in file order."""
        tick = packet.pts if packet.dts is None else packet.dts
        if tick is None:
            return self._shift
        if self._last is not None and tick < self._last - self._restart_ticks:
            self._shift += self._following - tick
            self.restarts += 1
        self._last = tick
        self._following = tick + (packet.duration or self._usual_ticks)
        return self._shift


class FittingTimes:
    """Fits the times of one track to any container: decode times rise, nothing is shown before it is decoded.

    Args:
        track: the source track, sound or pictures.
    """

    def __init__(self, track: Any) -> None:
        self._clock = ContinuousClock(track)
        self._usual_ticks = usual_ticks(track)
        # Reordered pictures are decoded this long before they are shown; Matroska leaves those times out.
        self._lead_ticks = self._usual_ticks * track.codec_context.reorder_depth if track.type == "video" else 0
        self._last_dts: int | None = None
        self._following_dts = 0
        self.repaired = 0
        """Packets whose times were filled in or moved."""

    def fit(self, packet: Packet[Any]) -> None:
        """Change a packet's times where they must be."""
        before = (packet.pts, packet.dts)
        shift = self._clock.shift(packet)
        pts = None if packet.pts is None else packet.pts + shift
        dts = self._expected_dts(pts) if packet.dts is None else packet.dts + shift
        if self._last_dts is not None:
            dts = max(dts, self._last_dts + 1)
        pts = dts if pts is None else max(pts, dts)
        if (pts, dts) != before:
            packet.pts, packet.dts = pts, dts
            self.repaired += 1
        self._last_dts = dts
        self._following_dts = dts + (packet.duration or self._usual_ticks)

    def _expected_dts(self, pts: int | None) -> int:
        if self._last_dts is None:
            return (pts or 0) - self._lead_ticks
        return self._following_dts if pts is None else min(pts, self._following_dts)
