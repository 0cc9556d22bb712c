"""Decoding a recording and letting through only the frames that the sampling rule keeps.

Belongs here: files to decoded pictures on one clock, damage and what it cost. Does not belong here: scaling and
compression (`encode.py`), the rule itself (`sampling.py`).

Nothing is held but the decoder's own pictures and one candidate: memory does not grow with the length.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict

from neurovision_assets.surgery.frames.clock import FrameClock
from neurovision_assets.surgery.frames.sampling import GridSampler, Timed
from neurovision_assets.surgery.video import container as container_files
from neurovision_assets.surgery.video.probe import VideoLimits, VideoProbe
from neurovision_assets.surgery.video.timeline import FALLBACK_FPS
from resources.errors import PermanentFailure

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

MICROSECONDS = 1_000_000

MINIMUM_TIME_LIMIT_MS = 2 * 3_600_000
TIME_LIMIT_FACTOR = 6
"""A run may take two hours, or six times the length of the video if that is more."""


@dataclass(frozen=True)
class MediaPart:
    """One file of a recording.

    Attributes:
        path: a local file.
        probe: what `probe_video` said about it (rotation, rate and length are taken from there).
        offset_ms: where it begins on the video's clock; None: where the part before ends.
    """

    path: Path
    probe: VideoProbe
    offset_ms: int | None = None


@dataclass(frozen=True)
class KeptFrame:
    """A decoded picture that the sampling rule kept."""

    part_index: int
    source_pts: int | None
    time_us: int
    picture: VideoFrame


class DecodeReport(BaseModel):
    """What decoding a recording gave and what was lost.

    Attributes:
        packets: coded pictures that were read.
        decoded: pictures that came out of the decoder.
        sampled: pictures that were kept.
        lost_packets: coded pictures that gave no picture.
        concealed: pictures that the decoder gave but marked as damaged.
        lost_ms: about how much of the recording the lost pictures cover.
        duration_ms: from the start of the recording to the end of its last picture.
        derived_times: pictures without a timestamp, timed by the frame rate.
        corrected_times: pictures whose timestamp went back.
        size_changes: how often the coded size changed in the middle.
        warnings: the same for a reader, one sentence each.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    packets: int
    decoded: int
    sampled: int
    lost_packets: int
    concealed: int
    lost_ms: int
    duration_ms: int
    derived_times: int
    corrected_times: int
    size_changes: int
    warnings: list[str]


class FrameDecoder:
    """Decodes the parts of a recording; iterate once, then read `report`.

    Args:
        parts: the files in their order.
        fps: kept frames a second.
        limits: guards of the decoder.
        subject: a neutral name for messages.
        time_limit_ms: give up after this long; None: the larger of 2 h and 6 times the recording's length.

    Raises:
        PermanentFailure: while iterating, when nothing in any part can be decoded, or the time is over.
    """

    def __init__(
        self,
        parts: Sequence[MediaPart],
        *,
        fps: float,
        subject: str,
        limits: VideoLimits | None = None,
        time_limit_ms: int | None = None,
    ) -> None:
        if not parts:
            raise ValueError("a recording has at least one part")
        self._parts = parts
        self._limits = limits or VideoLimits()
        self._subject = subject
        self._sampler: GridSampler[KeptFrame] = GridSampler(fps)
        length_ms = sum(part.probe.duration_ms for part in parts)
        limit_ms = max(MINIMUM_TIME_LIMIT_MS, TIME_LIMIT_FACTOR * length_ms) if time_limit_ms is None else time_limit_ms
        self._limit_ms = limit_ms
        self._tally = _Tally()

    @property
    def report(self) -> DecodeReport:
        """What was decoded so far; complete after iteration."""
        return self._tally.report()

    def __iter__(self) -> Iterator[KeptFrame]:
        deadline = monotonic() + self._limit_ms / 1000
        end_us = 0
        for index, part in enumerate(self._parts):
            start_us = end_us if part.offset_ms is None else part.offset_ms * 1000
            for timed in self._timed_frames(index, part, max(start_us, end_us)):
                self._check_deadline(deadline)
                end_us = timed.time_us + self._tally.interval_us
                kept = self._sampler.offer(timed)
                if kept is not None:
                    self._tally.sampled += 1
                    yield kept.item
            self._tally.end_us = end_us
        last = self._sampler.finish(end_us)
        if last is not None:
            self._tally.sampled += 1
            yield last.item
        if self._tally.decoded == 0:
            raise PermanentFailure(
                f"None of the {self._tally.packets} coded pictures can be decoded.",
                subject=self._subject,
                remedy="The recording is damaged; export it again from the recorder.",
            )

    def _timed_frames(self, index: int, part: MediaPart, start_us: int) -> Iterator[Timed[KeptFrame]]:
        with container_files.open_video(part.path, self._limits.max_pixels, subject=self._subject) as container:
            stream = container_files.main_video_stream(container, subject=self._subject)
            container_files.check_picture_size(stream, self._limits.max_pixels, subject=self._subject)
            interval_us = round(MICROSECONDS / (part.probe.frame_rate_fps or float(FALLBACK_FPS)))
            clock = FrameClock(stream.time_base, interval_us, start_us=start_us, first_tick=stream.start_time)
            self._tally.begin_part(interval_us)
            for picture in _decode(container, stream, self._limits.max_pixels, self._tally):
                time_us = clock.tell(picture.pts, picture.dts)
                yield Timed(time_us, KeptFrame(index, picture.pts, time_us, picture))
            self._tally.end_part(clock)

    def _check_deadline(self, deadline: float) -> None:
        if monotonic() > deadline:
            raise PermanentFailure(
                f"Decoding took longer than its limit of {self._limit_ms / 1000:.0f} s.",
                subject=self._subject,
                remedy="Check that the recording is genuine, or give it a longer time limit.",
            )


class _Tally:
    """Counts while decoding."""

    def __init__(self) -> None:
        self.packets = 0
        self.decoded = 0
        self.sampled = 0
        self.lost_packets = 0
        self.concealed = 0
        self.lost_us = 0
        self.end_us = 0
        self.derived = 0
        self.corrected = 0
        self.size_changes = 0
        self.interval_us = 0
        self._size: tuple[int, int] | None = None
        self._part_packets = 0
        self._part_decoded = 0

    def begin_part(self, interval_us: int) -> None:
        self.interval_us = interval_us
        self._part_packets, self._part_decoded = self.packets, self.decoded

    def end_part(self, clock: FrameClock) -> None:
        lost = max(0, (self.packets - self._part_packets) - (self.decoded - self._part_decoded))
        self.lost_packets += lost
        self.lost_us += lost * self.interval_us
        self.derived += clock.derived
        self.corrected += clock.corrected

    def picture(self, picture: VideoFrame) -> None:
        self.decoded += 1
        self.concealed += picture.is_corrupt
        size = (picture.width, picture.height)
        self.size_changes += self._size is not None and size != self._size
        self._size = size

    def report(self) -> DecodeReport:
        return DecodeReport(
            packets=self.packets,
            decoded=self.decoded,
            sampled=self.sampled,
            lost_packets=self.lost_packets,
            concealed=self.concealed,
            lost_ms=round(self.lost_us / 1000),
            duration_ms=round(self.end_us / 1000),
            derived_times=self.derived,
            corrected_times=self.corrected,
            size_changes=self.size_changes,
            warnings=self._warnings(),
        )

    def _warnings(self) -> list[str]:
        found = []
        if self.lost_packets:
            share = 100 * self.lost_packets / max(1, self.packets)
            found.append(
                f"{self.lost_packets} of {self.packets} pictures ({share:.1f} %, about "
                f"{self.lost_us / MICROSECONDS:.1f} s) are damaged and could not be decoded."
            )
        if self.concealed:
            found.append(f"{self.concealed} pictures are damaged in parts and were decoded with visible errors.")
        if self.corrected:
            found.append(f"{self.corrected} timestamps went back and were corrected.")
        if self.size_changes:
            found.append("The picture size changes in the middle; boxes are given in pixels of the first size.")
        return found


def _decode(container: InputContainer, stream: VideoStream, max_pixels: int, tally: _Tally) -> Iterator[VideoFrame]:
    """Every picture that can be decoded, in display order; damage is skipped over."""
    import av

    stream.thread_type = "AUTO"
    stream.codec_context.options = {"max_pixels": str(max_pixels)}
    packets = container.demux(stream)
    while True:
        try:
            packet = next(packets, None)
        except av.FFmpegError:
            packet = None
        if packet is None or packet.size == 0:
            break
        tally.packets += not packet.is_discard
        try:
            pictures = packet.decode()
        except av.FFmpegError:
            continue
        for picture in pictures:
            tally.picture(picture)
            yield picture
    for picture in _drain(stream):
        tally.picture(picture)
        yield picture


def _drain(stream: VideoStream) -> Iterator[VideoFrame]:
    """Pictures still inside the decoder; damaged ones raise, so ask until the decoder says that it is empty."""
    import av

    while True:
        try:
            pictures = stream.decode(None)
        except av.EOFError:
            return
        except av.FFmpegError:
            continue
        if not pictures:
            return
        yield from pictures
