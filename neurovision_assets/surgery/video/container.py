"""Opening an untrusted media file safely, and finding the recording in it.

Belongs here: the allowed formats, guards, reasons why a file cannot be opened, the choice of the track, rotation.
Does not belong here: timestamps (`timeline.py`), writing.

The demuxer sees only plain local containers: playlist and script formats (HLS, concat, DASH), which make a reader
open other files or addresses that an uploaded text names, are not among them.
"""

from __future__ import annotations

import errno
import math
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from resources.errors import NeuroVisionError, PermanentFailure, TransientFailure
from resources.object_store import Source, opened, size_of

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.packet import Packet
    from av.stream import Stream
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

ALLOWED_FORMATS = (
    "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpegts,mpeg,mpegvideo,asf,flv,mxf,ogg,dv,h264,hevc,m4v,ivf,obu,av1"
)
"""Demuxers that may read an upload: what recorders and editors write, none that follows references."""

OPEN_TIMEOUT_S = 60.0
"""Reading a header of a local file takes milliseconds; a minute means a storage that does not answer."""

DISPLAY_MATRIX_ENTRIES = 9
FIXED_POINT_ONE = 1 << 16
"""Display matrices hold 16.16 fixed point numbers (ISO/IEC 14496-12, `tkhd`)."""

BOX_HEADER_BYTES = 8
LARGE_BOX_HEADER_BYTES = 16


@dataclass(frozen=True)
class DisplayTurn:
    """How a coded picture must be turned for display."""

    rotation_deg: Literal[0, 90, 180, 270]
    warnings: tuple[str, ...]


def open_video(source: Source, max_pixels: int, *, subject: str) -> InputContainer:
    """Open a recording for reading: a local file, or an object that is loaded while it is read.

    `max_pixels` reaches the decoders that look into the stream while it is opened, so that no picture
    buffer of a larger size is ever allocated.

    Raises:
        PermanentFailure: the file is empty or no video that can be read.
        TransientFailure: the storage failed.
    """
    import av

    if size_of(source) == 0:
        raise PermanentFailure(
            "The file is empty (zero bytes).",
            subject=subject,
            remedy="Copy the recording again; the first copy was interrupted or the recorder wrote nothing.",
        )
    options = {
        "format_whitelist": ALLOWED_FORMATS,
        "protocol_whitelist": "file",
        "max_pixels": str(max_pixels),
    }
    try:
        opened = av.open(
            str(source.resolve()) if isinstance(source, Path) else source.open(),
            "r",
            options=options,
            metadata_errors="replace",
            timeout=(OPEN_TIMEOUT_S, None),
        )
    except av.FFmpegError as error:
        # The cause carries the path, and with it maybe a patient's name: it is not chained.
        raise _why_unreadable(source, subject, error) from None
    return opened


def _why_unreadable(source: Source, subject: str, error: Exception) -> NeuroVisionError:
    if isinstance(error, OSError):
        return storage_failure(error, subject)
    boxes = mp4_boxes(source)
    if boxes and "moov" not in boxes:
        return PermanentFailure(
            "The MP4 file has no index (moov box): the recording or its upload was cut off.",
            subject=subject,
            remedy="Upload the whole file again; a recorder's own repair tool may restore a cut recording.",
        )
    reason = getattr(error, "strerror", None) or type(error).__name__
    return PermanentFailure(
        f"The file is not a video in a known container ({reason}).",
        subject=subject,
        remedy="Upload an MP4, MOV, MKV, WebM, AVI, MPEG or WMV recording.",
    )


def storage_failure(error: OSError, subject: str) -> TransientFailure:
    """What a failed read or write means; the library's own message carries the path and is not passed on."""
    if error.errno == errno.ENOSPC:
        return TransientFailure("The disk is full.", subject=subject, remedy="Free some space.")
    reason = errno.errorcode.get(error.errno or 0, "unknown reason")
    return TransientFailure(
        f"The storage failed ({reason}).", subject=subject, remedy="Check the disk, its rights and its connection."
    )


def mp4_boxes(source: Source) -> list[str]:
    """Names of the top-level boxes of an ISO base media file (ISO/IEC 14496-12); empty for any other file."""
    size = size_of(source)
    names: list[str] = []
    position = 0
    with opened(source) as file:
        while position + BOX_HEADER_BYTES <= size:
            file.seek(position)
            header = file.read(LARGE_BOX_HEADER_BYTES)
            length, kind = struct.unpack(">I4s", header[:BOX_HEADER_BYTES])
            if not kind.isalnum() or (not names and kind not in (b"ftyp", b"moov", b"mdat", b"free", b"wide")):
                break
            names.append(kind.decode("ascii"))
            if length == 1 and len(header) == LARGE_BOX_HEADER_BYTES:
                length = struct.unpack(">Q", header[BOX_HEADER_BYTES:])[0]
            if length < BOX_HEADER_BYTES:
                break
            position += length
    return names


def video_streams(container: InputContainer) -> list[VideoStream]:
    """Tracks with moving pictures; cover art is none."""
    from av.stream import Disposition

    stills = Disposition.attached_pic | Disposition.still_image | Disposition.timed_thumbnails
    return [track for track in container.streams.video if not track.disposition & stills]


def main_video_stream(container: InputContainer, *, subject: str) -> VideoStream:
    """The track to analyse: the largest picture, the first of equals.

    Raises:
        PermanentFailure: there is no video track, or none with a known codec.
    """
    tracks = video_streams(container)
    if not tracks:
        has_sound = bool(container.streams.audio)
        raise PermanentFailure(
            "The file holds sound only, no pictures." if has_sound else "The file holds no video track.",
            subject=subject,
            remedy="Upload the video recording of the operation.",
        )
    known = [track for track in tracks if track.codec_context is not None]
    if not known:
        raise PermanentFailure(
            "The video's codec is unknown.",
            subject=subject,
            remedy="Convert the recording to H.264, HEVC, AV1, VP9 or MPEG-4.",
        )
    return max(known, key=lambda track: track.codec_context.width * track.codec_context.height)


def check_picture_size(stream: VideoStream, max_pixels: int, *, subject: str) -> None:
    """Refuse a picture that is too large, by its header alone.

    Raises:
        PermanentFailure: the header announces more pixels than allowed.
    """
    context = stream.codec_context
    width, height = max(context.width, context.coded_width), max(context.height, context.coded_height)
    if width * height > max_pixels:
        raise too_large(f"pictures of {width} x {height},", max_pixels, subject=subject)


def too_large(found: str, max_pixels: int, *, subject: str) -> PermanentFailure:
    """The refusal of a picture that is too large."""
    return PermanentFailure(
        f"The header announces {found} more than the limit of {max_pixels} pixels.",
        subject=subject,
        remedy="Convert the recording to 4K or less, or raise max_pixels if the recording is genuine.",
    )


def limit_decoder(stream: VideoStream, max_pixels: int, options: dict[str, str] | None = None) -> None:
    """Keep a decoder from allocating a picture that is too large, whatever the stream says later.

    Args:
        stream: before its first packet is decoded.
        max_pixels: the largest picture.
        options: other options of the decoder.
    """
    stream.codec_context.options = {"max_pixels": str(max_pixels), **(options or {})}


def packets(container: InputContainer, tracks: Sequence[Any], *, subject: str) -> Iterator[Packet[Any]]:
    """Packets of some tracks that carry data, up to the end of the file or to where it makes no sense any more.

    Raises:
        TransientFailure: the storage failed.
    """
    import av

    reading = container.demux(tracks)
    while True:
        try:
            packet = next(reading, None)
        except av.FFmpegError as error:
            if isinstance(error, OSError):
                raise storage_failure(error, subject) from None
            return
        if packet is None:
            return
        if packet.size:
            yield packet


def codec_name(stream: Stream) -> str:
    """FFmpeg's name of the codec, whichever decoder reads it (`av1`, not `libdav1d`)."""
    return str(stream.codec_context.codec.canonical_name)


def display_turn(picture: VideoFrame) -> DisplayTurn:
    """The clockwise turn that a picture's display matrix asks for."""
    matrix = display_matrix(picture)
    if matrix is None:
        return DisplayTurn(0, ())
    a, b, _, c, d, *_ = matrix
    # As av_display_rotation_get: columns are normalised, the angle is that of the first row.
    scale_0, scale_1 = math.hypot(a, c) or 1.0, math.hypot(b, d) or 1.0
    clockwise = math.degrees(math.atan2(b / scale_1, a / scale_0)) % 360
    turns: tuple[Literal[0, 90, 180, 270], ...] = (0, 90, 180, 270)
    rotation = turns[round(clockwise / 90) % 4]
    warnings = []
    if abs((clockwise - rotation + 180) % 360 - 180) > 1:
        warnings.append(f"The recording asks for a turn of {clockwise:.0f} degrees; {rotation} is applied.")
    if a * d - b * c < 0:
        warnings.append("The recording asks to be mirrored; it is shown as it was recorded.")
    return DisplayTurn(rotation, tuple(warnings))


def display_matrix(picture: VideoFrame) -> tuple[int, ...] | None:
    """The nine entries of a picture's display matrix, None without one."""
    from av.sidedata.sidedata import Type

    entries: Any = picture.side_data  # iterates over entries, not over keys as a mapping would
    for entry in entries:
        if entry.type == Type.DISPLAYMATRIX:
            return struct.unpack(f"={DISPLAY_MATRIX_ENTRIES}i", bytes(entry))
    return None
