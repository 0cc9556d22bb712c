"""What decoding gave, and what was lost on the way.

Belongs here: counting, and saying it. Does not belong here: decoding itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict

from neurovision_assets.surgery.frames.clock import MICROSECONDS, FrameClock

if TYPE_CHECKING:
    from av.packet import Packet
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

MICROSECONDS_A_MS = 1000

GAP_WORTH_SAYING_US = 500_000
"""Below half a second, one stored frame at the usual rate, nobody misses anything."""

CORRECTED_WORTH_SAYING = 0.01
"""A decoder that recovers from damage gives a frame or two out of order; a broken clock gives many."""


class DecodeReport(BaseModel):
    """What decoding a recording gave and what was lost.

    Attributes:
        packets: coded pictures that were read.
        decoded: pictures that came out of the decoder.
        left_out: coded pictures that were not decoded, as no kept one needs them; nobody knows whether they are sound.
        sampled: pictures that were kept.
        lost_packets: coded pictures that gave no picture.
        concealed: pictures that the decoder patched up and marked as damaged.
        lost_ms: about how much of the recording the lost pictures cover.
        gap_ms: time without pictures beyond the usual interval; 0 for a variable rate, where none is usual.
        duration_ms: from the start of the recording to the end of its last picture.
        derived_times: pictures without a timestamp, timed by the frame rate.
        corrected_times: pictures whose timestamp went back.
        size_changes: how often the coded size changed in the middle.
        careful_parts: files that a single careful thread decoded, because they are damaged (`read.py`).
        warnings: the same for a reader, one sentence each.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    packets: int = 0
    decoded: int = 0
    left_out: int = 0
    sampled: int = 0
    lost_packets: int = 0
    concealed: int = 0
    lost_ms: int = 0
    gap_ms: int = 0
    duration_ms: int = 0
    derived_times: int = 0
    corrected_times: int = 0
    size_changes: int = 0
    careful_parts: int = 0
    warnings: list[str] = []


class PartTally:
    """Counts while one file is decoded."""

    def __init__(self) -> None:
        self.earliest_pts: int | None = None
        """Display time of the file's first picture, decodable or not; known with the first decoded one."""
        self.packets = 0
        self.errors = 0
        self.decoded = 0
        self.left_out = 0
        self.concealed = 0
        self.size_changes = 0
        self.is_careful = False
        """Whether the file is damaged and a single careful thread decoded it."""
        self._size: tuple[int, int] | None = None

    def read(self, packet: Packet[VideoStream]) -> None:
        """A coded picture was read."""
        if packet.is_discard:
            return
        self.packets += 1
        if self.decoded == 0 and packet.pts is not None:
            self.earliest_pts = packet.pts if self.earliest_pts is None else min(self.earliest_pts, packet.pts)

    def picture(self, picture: VideoFrame) -> None:
        """A picture came out of the decoder."""
        self.decoded += 1
        self.concealed += picture.is_corrupt
        size = (picture.width, picture.height)
        self.size_changes += self._size is not None and size != self._size
        self._size = size

    def lost(self, *, has_hole: bool) -> int:
        """Coded pictures that gave none.

        Some codecs have coded pictures that are never shown (hidden references of VP8, empty ones of MPEG-4). They
        leave neither an error nor a hole in time, and are not counted.
        """
        return max(0, self.packets - self.decoded - self.left_out) if self.errors or has_hole else 0


class Tally:
    """Counts over all files of a recording."""

    def __init__(self) -> None:
        self.sampled = 0
        self.end_us = 0
        self.until_us = 0
        self.decoded = 0
        self._packets = 0
        self._left_out = 0
        self._lost = 0
        self._lost_us = 0
        self._gap_us = 0
        self._concealed = 0
        self._derived = 0
        self._corrected = 0
        self._size_changes = 0
        self._careful_parts = 0

    def add(self, part: PartTally, clock: FrameClock | None, interval_us: int, *, has_constant_rate: bool) -> None:
        """A file is done.

        Args:
            part: its counts.
            clock: its clock, None when nothing in it could be decoded.
            interval_us: the usual time between two of its pictures.
            has_constant_rate: whether a longer interval means that pictures are missing.
        """
        gap_us = clock.gap_us if clock is not None and has_constant_rate else 0
        lost = part.lost(has_hole=clock is None or not has_constant_rate or gap_us >= interval_us)
        self._packets += part.packets
        self._left_out += part.left_out
        self.decoded += part.decoded
        self._concealed += part.concealed
        self._size_changes += part.size_changes
        self._careful_parts += part.is_careful
        self._lost += lost
        self._lost_us += lost * interval_us
        self._gap_us += gap_us
        if clock is not None:
            self.end_us, self.until_us = clock.end_us, clock.middle_of_last_us
            self._derived += clock.derived
            self._corrected += clock.corrected

    def report(self) -> DecodeReport:
        """Everything counted so far."""
        return DecodeReport(
            packets=self._packets,
            decoded=self.decoded,
            left_out=self._left_out,
            sampled=self.sampled,
            lost_packets=self._lost,
            concealed=self._concealed,
            lost_ms=round(self._lost_us / MICROSECONDS_A_MS),
            gap_ms=round(self._gap_us / MICROSECONDS_A_MS),
            duration_ms=round(self.end_us / MICROSECONDS_A_MS),
            derived_times=self._derived,
            corrected_times=self._corrected,
            size_changes=self._size_changes,
            careful_parts=self._careful_parts,
            warnings=self._warnings(),
        )

    def _warnings(self) -> list[str]:
        found = []
        if self._lost:
            share = 100 * self._lost / max(1, self._packets)
            found.append(
                f"{self._lost} of {self._packets} pictures ({share:.1f} %, about "
                f"{self._lost_us / MICROSECONDS:.1f} s) are damaged and could not be decoded."
            )
        elif self._gap_us >= GAP_WORTH_SAYING_US:
            found.append(f"The recording has gaps: {self._gap_us / MICROSECONDS:.1f} s without pictures.")
        if self._concealed:
            found.append(f"{self._concealed} pictures are damaged in parts and show visible errors.")
        if self._corrected > CORRECTED_WORTH_SAYING * self.decoded:
            found.append(f"{self._corrected} timestamps went back and were corrected.")
        if self._size_changes:
            found.append("The picture size changes in the middle; boxes are given in pixels of the first size.")
        return found
