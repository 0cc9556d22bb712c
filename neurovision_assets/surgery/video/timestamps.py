"""Timestamps that every container accepts.

Belongs here: filling in and ordering the times of packets that are copied. Does not belong here: the clock of decoded
frames (`frames/clock.py`), what a recording's clock is like (`timeline.py`).
"""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, Any

from neurovision_assets.surgery.video.timeline import FALLBACK_FPS, header_rate

if TYPE_CHECKING:
    from av.packet import Packet


class FittingTimes:
    """Fits the times of one track: decode times rise, nothing is shown before it is decoded.

    Args:
        track: the source track, sound or pictures.
    """

    def __init__(self, track: Any) -> None:
        is_video = track.type == "video"
        rate = (header_rate(track) if is_video else None) or FALLBACK_FPS
        self._usual_ticks = max(1, round(1 / (rate * (track.time_base or Fraction(1, 1000)))))
        # Reordered pictures are decoded this long before they are shown; Matroska leaves those times out.
        self._lead_ticks = self._usual_ticks * track.codec_context.reorder_depth if is_video else 0
        self._last_dts: int | None = None
        self._following_dts = 0
        self.repaired = 0
        """Packets whose times were filled in or moved."""

    def fit(self, packet: Packet[Any]) -> None:
        """Change a packet's times where they must be."""
        before = (packet.pts, packet.dts)
        dts = self._expected_dts(packet.pts) if packet.dts is None else packet.dts
        if self._last_dts is not None:
            dts = max(dts, self._last_dts + 1)
        pts = dts if packet.pts is None else max(packet.pts, dts)
        if (pts, dts) != before:
            packet.pts, packet.dts = pts, dts
            self.repaired += 1
        self._last_dts = dts
        self._following_dts = dts + (packet.duration or self._usual_ticks)

    def _expected_dts(self, pts: int | None) -> int:
        if self._last_dts is None:
            return (pts or 0) - self._lead_ticks
        return self._following_dts if pts is None else min(pts, self._following_dts)
