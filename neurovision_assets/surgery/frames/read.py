"""Every picture of one file that can be decoded.

Belongs here: the decoder's settings, what is done when it meets damage, the time limit. Does not belong here: which
pictures are kept, their times on the recording's clock.

A whole file is decoded by all cores. Damage is patched up by decoders from whatever pictures they have at hand, and
with several threads that differs from run to run; the same recording would give other pictures each time. So the
fast decoder stops at the first complaint, before it gives out anything patched, and a single careful thread decodes the
file from its start, passing over the pictures that were given out already.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING

from neurovision_assets.surgery.frames.damage import PartTally
from neurovision_assets.surgery.video import container as container_files
from neurovision_assets.surgery.video.probe import VideoLimits
from neurovision_assets.surgery.video.timestamps import FALLBACK_TIME_BASE
from resources.errors import PermanentFailure

if TYPE_CHECKING:
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


class PictureReader:
    """The pictures of a file in display order; iterate once.

    Args:
        path: a local file.
        limits: guards of the decoder.
        deadline: when to give up.
        subject: a neutral name for messages.
    """

    def __init__(self, path: Path, *, limits: VideoLimits, deadline: Deadline, subject: str) -> None:
        self._path = path
        self._max_pixels = limits.max_pixels
        self._deadline = deadline
        self._subject = subject
        self.time_base = FALLBACK_TIME_BASE
        """Seconds a tick of the file's timestamps; known with the first picture."""
        self.tally = PartTally()
        """What was read and decoded; complete after iteration."""

    def __iter__(self) -> Iterator[VideoFrame]:
        given_out = 0
        try:
            for picture in self._decode(is_careful=False):
                given_out += 1
                yield picture
        except _DamageError:
            self.tally = PartTally()
            self.tally.is_careful = True
            for position, picture in enumerate(self._decode(is_careful=True)):
                if position >= given_out:
                    yield picture

    def _decode(self, *, is_careful: bool) -> Iterator[VideoFrame]:
        with container_files.open_video(self._path, self._max_pixels, subject=self._subject) as container:
            stream = container_files.main_video_stream(container, subject=self._subject)
            container_files.check_picture_size(stream, self._max_pixels, subject=self._subject)
            self.time_base = stream.time_base or FALLBACK_TIME_BASE
            container_files.limit_decoder(stream, self._max_pixels, {} if is_careful else STRICT)
            if is_careful:
                stream.thread_count = 1
            else:
                stream.thread_type = "AUTO"
            for packet in container_files.packets(container, [stream], subject=self._subject):
                self._deadline.check()
                self.tally.read(packet)
                yield from self._pictures(stream, packet, is_careful=is_careful)
            yield from self._pictures(stream, None, is_careful=is_careful)

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


class _DamageError(Exception):
    """The fast decoder met damage."""
