"""Every picture of one file that can be decoded and is needed.

Belongs here: the decoder's settings, what is done when it meets damage, the time limit. Does not belong here: which
pictures are needed (`needed.py`) and kept, their times on the recording's clock.

A whole file is decoded by all cores. Damage is patched up by decoders from whatever pictures they have at hand, and
with several threads that differs from run to run; the same recording would give other pictures each time. So the
fast decoder stops at the first complaint, before it gives out anything patched, and a single careful thread decodes the
file from its start, passing over the pictures that were given out already. It decodes what is not needed as well, so
that all damage is counted, but gives out the same pictures: the stored frames do not depend on who decoded them.
"""

from __future__ import annotations

import heapq
import sys
from collections.abc import Iterator
from time import monotonic
from typing import TYPE_CHECKING, NamedTuple

from neurovision_assets.surgery.frames.coded import coded_reader
from neurovision_assets.surgery.frames.damage import PartTally
from neurovision_assets.surgery.frames.needed import Grid, Need, Verdict
from neurovision_assets.surgery.video import container as container_files
from neurovision_assets.surgery.video.probe import VideoLimits
from neurovision_assets.surgery.video.remux import UNTIMED_SUFFIXES
from neurovision_assets.surgery.video.timestamps import FALLBACK_TIME_BASE
from resources.errors import PermanentFailure
from resources.object_store import Source

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.packet import Packet
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

STRICT = {"err_detect": "explode"}
"""The decoder tells the smallest error instead of patching it up silently."""


STUCK_AFTER_DAMAGE = frozenset({"av1"})
"""Decoders that go on refusing good pictures after a bad one; emptied, they start anew at the next key frame."""


class Deadline:
    """A limit to the time that decoding may take.

    Args:
        limit_ms: how long from now.
        subject: a neutral name for messages.
    """

    def __init__(self, limit_ms: int, *, subject: str) -> None:
        self._limit_ms = limit_ms
        self._subject = subject
        self._end = monotonic() + limit_ms / 1000

    def check(self) -> None:
        """Raise PermanentFailure when the time is over."""
        if monotonic() > self._end:
            raise PermanentFailure(
                f"Decoding took longer than its limit of {self._limit_ms / 1000:.0f} s.",
                subject=self._subject,
                remedy="Check that the recording is genuine, or allow it more time.",
            )


class Shown(NamedTuple):
    """A source picture in order of display.

    Attributes:
        pts: its display time in the file's ticks, None where it carries none.
        dts: its decode time, None where it is unknown.
        picture: None where no kept frame needs it.
    """

    pts: int | None
    dts: int | None
    picture: VideoFrame | None


class PictureReader:
    """The pictures of a file in display order; iterate once.

    Args:
        source: a local file, or an object that is read where it lies.
        limits: guards of the decoder.
        deadline: when to give up.
        subject: a neutral name for messages.
        grid: where pictures are needed; None: everywhere.
    """

    def __init__(
        self, source: Source, *, limits: VideoLimits, deadline: Deadline, subject: str, grid: Grid | None = None
    ) -> None:
        self._source = source
        self._max_pixels = limits.max_pixels
        self._deadline = deadline
        self._subject = subject
        self._grid = grid
        self.time_base = FALLBACK_TIME_BASE
        """Seconds a tick of the file's timestamps; known with the first picture."""
        self.tally = PartTally()
        """What was read and decoded; complete after iteration."""

    def __iter__(self) -> Iterator[Shown]:
        given_out = 0
        try:
            for shown in self._decode(is_careful=False):
                given_out += shown.picture is not None
                yield shown
        except _DamageError:
            self.tally = PartTally()
            self.tally.is_careful = True
            for shown in self._decode(is_careful=True):
                if given_out <= 0:
                    yield shown
                given_out -= shown.picture is not None

    def _decode(self, *, is_careful: bool) -> Iterator[Shown]:
        with container_files.open_video(self._source, self._max_pixels, subject=self._subject) as container:
            stream = container_files.main_video_stream(container, subject=self._subject)
            container_files.check_picture_size(stream, self._max_pixels, subject=self._subject)
            self.time_base = stream.time_base or FALLBACK_TIME_BASE
            container_files.limit_decoder(stream, self._max_pixels, {} if is_careful else STRICT)
            if is_careful:
                stream.thread_count = 1
            else:
                stream.thread_type = "AUTO"
            order = _DisplayOrder(self.tally)
            for packet, is_needed in self._verdicts(container, stream):
                self._deadline.check()
                if not is_needed:
                    order.leave_out(packet)
                if is_needed or is_careful:
                    for picture in self._pictures(stream, packet, is_careful=is_careful):
                        yield from order.place(picture)
            for picture in self._pictures(stream, None, is_careful=is_careful):
                yield from order.place(picture)
            yield from order.rest()

    def _verdicts(self, container: InputContainer, stream: VideoStream) -> Iterator[Verdict]:
        """All packets, and whether they are needed."""
        need = self._need(container, stream)
        for packet in container_files.packets(container, [stream], subject=self._subject):
            self.tally.read(packet)
            if need is None:
                yield packet, True
            else:
                yield from need.add(packet)
        if need is not None:
            yield from need.finish()

    def _need(self, container: InputContainer, stream: VideoStream) -> Need | None:
        """What tells needed pictures apart; None where all are, or where nothing certain can be told."""
        reader, reorders = coded_reader(stream), stream.codec_context.reorder_depth > 0
        is_untimed = reorders and container.format.name in UNTIMED_SUFFIXES
        if self._grid is None or reader is None or is_untimed:
            return None
        return Need(reader, self._grid, self.time_base, reorders=reorders)

    def _pictures(
        self, stream: VideoStream, packet: Packet[VideoStream] | None, *, is_careful: bool
    ) -> Iterator[VideoFrame]:
        """Pictures that a packet brings out, or without one those still inside the decoder."""
        import av

        while True:
            try:
                pictures = stream.decode(packet)
            except av.error.EOFError:
                return
            except av.FFmpegError:
                if not is_careful:
                    raise _DamageError from None
                self.tally.errors += 1
                if container_files.codec_name(stream) in STUCK_AFTER_DAMAGE:
                    stream.codec_context.flush_buffers()
                pictures = []
            for picture in pictures:
                if picture.is_corrupt and not is_careful:
                    raise _DamageError
                self.tally.picture(picture)
                yield picture
            if packet is not None or not pictures:
                return


class _DisplayOrder:
    """Puts what is not needed back among the pictures, so that the clock hears of all of them.

    Args:
        tally: counts of the file.
    """

    def __init__(self, tally: PartTally) -> None:
        self._tally = tally
        self._left_out: list[int] = []

    def leave_out(self, packet: Packet[VideoStream]) -> None:
        """A packet is not needed; its display time is known."""
        if packet.pts is not None and not packet.is_discard:
            heapq.heappush(self._left_out, packet.pts)

    def place(self, picture: VideoFrame) -> Iterator[Shown]:
        """A picture came out of the decoder."""
        if picture.pts is not None:
            yield from self._before(picture.pts)
        if self._left_out and self._left_out[0] == picture.pts:
            heapq.heappop(self._left_out)
            yield Shown(picture.pts, picture.dts, None)
        else:
            yield Shown(picture.pts, picture.dts, picture)

    def rest(self) -> Iterator[Shown]:
        """What is shown after the last picture."""
        yield from self._before(sys.maxsize)

    def _before(self, tick: int) -> Iterator[Shown]:
        while self._left_out and self._left_out[0] < tick:
            pts = heapq.heappop(self._left_out)
            # The careful thread decodes all: what did not come out is lost, not left out.
            if not self._tally.is_careful:
                self._tally.left_out += 1
                yield Shown(pts, None, None)


class _DamageError(Exception):
    """The fast decoder met damage."""
