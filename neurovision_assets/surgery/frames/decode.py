"""Decoding a recording and letting through only the frames that the sampling rule keeps.

Belongs here: the files of a recording on one clock, the choice of frames. Does not belong here: how a file is decoded
(`read.py`), what was lost (`damage.py`), scaling and compression (`encode.py`), the rule itself (`sampling.py`).

Nothing is held but the decoder's own pictures and one candidate: memory does not grow with the length.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from neurovision_assets.surgery.frames.clock import MICROSECONDS, FrameClock
from neurovision_assets.surgery.frames.config import Sampling
from neurovision_assets.surgery.frames.damage import DecodeReport, Tally
from neurovision_assets.surgery.frames.needed import Grid
from neurovision_assets.surgery.frames.read import Deadline, PictureReader
from neurovision_assets.surgery.frames.sampling import GridSampler, Timed
from neurovision_assets.surgery.video.probe import VideoLimits, VideoProbe
from resources.errors import PermanentFailure
from resources.object_store import Source

if TYPE_CHECKING:
    from av.video.frame import VideoFrame

MINIMUM_TIME_LIMIT_MS = 2 * 3_600_000
TIME_LIMIT_FACTOR = 6
"""Decoding may take two hours, or six times the length of the recording if that is more."""


@dataclass(frozen=True)
class MediaPart:
    """One file of a recording.

    Attributes:
        source: a local file, or an object that is read where it lies.
        probe: what `probe_video` said about it (rotation, rate and length are taken from there).
        offset_ms: where it begins on the recording's clock; None: where the part before ends.
    """

    source: Source
    probe: VideoProbe
    offset_ms: int | None = None


@dataclass(frozen=True)
class KeptFrame:
    """A decoded picture that the sampling rule kept.

    Attributes:
        part_index: position of its file in the recording.
        source_pts: its timestamp in the file's own ticks, None where it carries none.
        time_us: microseconds since the start of the recording.
        picture: as decoded: coded size, not yet turned.
    """

    part_index: int
    source_pts: int | None
    time_us: int
    picture: VideoFrame

    @property
    def timestamp_ms(self) -> int:
        """The time in whole milliseconds; half of one counts up, so that a millisecond apart stays apart."""
        return (self.time_us + 500) // 1000


def length_ms(parts: Sequence[MediaPart]) -> int:
    """Length of a recording by its probes, from the start of the first part to the end of the last one."""
    end = 0
    for part in parts:
        end = _start_ms(part, end) + part.probe.duration_ms
    return end


def _start_ms(part: MediaPart, end_ms: int) -> int:
    # Parts do not overlap: a later one never goes back in time.
    return end_ms if part.offset_ms is None else max(part.offset_ms, end_ms)


class FrameDecoder:
    """Decodes the parts of a recording; iterate once, then read `report`.

    Args:
        parts: the files in their order.
        fps: kept frames a second.
        sampling: how exactly they must meet the grid, see `FramesConfig`.
        subject: a neutral name for messages.
        limits: guards of the decoder.
        time_limit_ms: give up after this long; None: the larger of two hours and 6 times the recording's length.

    Raises:
        PermanentFailure: while iterating, when nothing in any part can be decoded, or the time is over.
    """

    def __init__(
        self,
        parts: Sequence[MediaPart],
        *,
        fps: float,
        sampling: Sampling = "exact",
        subject: str,
        limits: VideoLimits | None = None,
        time_limit_ms: int | None = None,
    ) -> None:
        if not parts:
            raise ValueError("a recording has at least one part")
        self._parts = parts
        self._limits = limits or VideoLimits()
        self._subject = subject
        self._fps = fps
        self._sampling = sampling
        self._sampler: GridSampler[KeptFrame] = GridSampler(fps)
        generous_ms = max(MINIMUM_TIME_LIMIT_MS, TIME_LIMIT_FACTOR * length_ms(parts))
        self._time_limit_ms = generous_ms if time_limit_ms is None else time_limit_ms
        self._tally = Tally()

    @property
    def report(self) -> DecodeReport:
        """What was decoded and what was lost; complete after iteration."""
        return self._tally.report()

    def __iter__(self) -> Iterator[KeptFrame]:
        deadline = Deadline(self._time_limit_ms, subject=self._subject)
        for index, part in enumerate(self._parts):
            for timed in self._part(index, part, deadline):
                kept = self._sampler.offer(timed)
                if kept is not None:
                    self._tally.sampled += 1
                    yield kept.item
        last = self._sampler.finish(self._tally.until_us)
        if last is not None:
            self._tally.sampled += 1
            yield last.item
        if self._tally.decoded == 0:
            raise PermanentFailure(
                "None of its pictures can be decoded.",
                subject=self._subject,
                remedy="The recording is damaged; export it again from the recorder.",
            )

    def _part(self, index: int, part: MediaPart, deadline: Deadline) -> Iterator[Timed[KeptFrame]]:
        """Decoded pictures of one file on the recording's clock, which hears of the others too."""
        start_us = 1000 * _start_ms(part, round(self._tally.end_us / 1000))
        interval_us = round(MICROSECONDS / part.probe.frame_rate_fps)
        clock: FrameClock | None = None
        grid = Grid(self._fps, start_us, interval_us) if self._sampling == "near" else None
        reader = PictureReader(part.source, limits=self._limits, deadline=deadline, subject=self._subject, grid=grid)
        for pts, dts, picture in reader:
            if clock is None:
                first_tick = reader.tally.earliest_pts
                clock = FrameClock(reader.time_base, interval_us, start_us=start_us, first_tick=first_tick)
            time_us = clock.tell(pts, dts)
            if picture is not None:
                yield Timed(time_us, KeptFrame(index, pts, time_us, picture))
        has_constant_rate = part.probe.frame_rate_mode == "constant"
        self._tally.add(reader.tally, clock, interval_us, has_constant_rate=has_constant_rate)
