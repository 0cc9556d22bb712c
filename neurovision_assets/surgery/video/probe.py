"""What a recording is: codec, size, clock, rotation, and whether it can be used at all.

Belongs here: reading headers and packets, decoding one picture, refusing what cannot be used. Does not belong here:
writing (`remux.py`), decoding the whole (`frames/decode.py`).
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel, ConfigDict, Field

from neurovision_assets.surgery.video import container as container_files
from neurovision_assets.surgery.video.timeline import Timeline, TimelineReader
from resources.errors import PermanentFailure

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.packet import Packet
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

HOUR_MS = 3_600_000


CUT_OFF_MS = 1000
CUT_OFF_SHARE = 0.02
"""Headers round, and count the last frame's time differently: less than this is no sign of a cut."""


class VideoLimits(BaseModel):
    """What is refused before it can harm.

    Attributes:
        max_pixels: largest coded picture. The default is two DCI 4K pictures one above the other (4096 x 4320),
            the largest that stereoscopic endoscopes record; 8K (33 million) is not a surgical format, and a
            decoder holds some twenty pictures of 50 MB at this size already.
        max_duration_ms: longest recording. The longest operations on record take about a day.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    max_pixels: int = Field(default=4096 * 4320, ge=1)
    max_duration_ms: int = Field(default=24 * HOUR_MS, ge=1)


class VideoProbe(BaseModel):
    """What was found out about a recording. No field holds text that the file's author could choose.

    Attributes:
        container: FFmpeg's name of the container format.
        codec: FFmpeg's name of the video codec (`h264`, `hevc`, `av1`, `vp9`, `mpeg4`, ...).
        profile: the codec's profile, if it has one.
        pixel_format: FFmpeg's name of the pixel format.
        bit_depth: bits a colour component.
        width_px: width of the coded picture.
        height_px: height of the coded picture.
        rotation_deg: clockwise turn that stands the picture upright: 0, 90, 180 or 270.
        display_width_px: width after rotation, in coded pixels.
        display_height_px: height after rotation, in coded pixels.
        pixel_aspect: width of a coded pixel over its height, 1.0 for square ones.
        frame_rate_mode: whether the intervals between frames are all alike.
        frame_rate_fps: true average over the whole recording.
        first_timestamp_ms: display time of the first frame on the container's clock, None where there is none.
        duration_ms: from the first frame to the end of the last one.
        missing_ms: what the file's header promises beyond its last picture; 0 where the file is whole.
        size_bytes: size of the file.
        frame_count: video packets, one for each picture.
        is_interlaced: whether the first picture consists of two fields.
        audio_codec: codec of the first sound track, None without sound.
        warnings: what a reader of results should know, one sentence each.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    container: str
    codec: str
    profile: str | None
    pixel_format: str
    bit_depth: int
    width_px: int
    height_px: int
    rotation_deg: Literal[0, 90, 180, 270]
    display_width_px: int
    display_height_px: int
    pixel_aspect: float
    frame_rate_mode: Literal["constant", "variable"]
    frame_rate_fps: float
    first_timestamp_ms: int | None
    duration_ms: int
    missing_ms: int = 0
    size_bytes: int
    frame_count: int
    is_interlaced: bool
    audio_codec: str | None
    warnings: list[str]


def probe_video(path: Path, limits: VideoLimits | None = None, *, subject: str) -> VideoProbe:
    """Find out what a recording is, reading every packet and decoding one picture.

    Args:
        path: a local file.
        limits: what is refused; the defaults of `VideoLimits` when None.
        subject: a neutral name for messages (an object key, a video_id): file names carry patients' names.

    Raises:
        PermanentFailure: the file is empty, no video, cut off, without pictures, of an unknown codec, too large,
            or nothing in it can be decoded.
    """
    limits = limits or VideoLimits()
    with container_files.open_video(path, limits.max_pixels, subject=subject) as container:
        stream = container_files.main_video_stream(container, subject=subject)
        container_files.check_picture_size(stream, limits.max_pixels, subject=subject)
        container_files.limit_decoder(stream, limits.max_pixels)
        reader, first = TimelineReader(stream), _FirstPicture(stream)
        for packet in container_files.packets(container, [stream], subject=subject):
            reader.add(packet)
            first.offer(packet)
        first.offer(None)
        timeline = reader.finish()
        if first.picture is None:
            raise _why_no_picture(timeline, first, limits, subject)
        if timeline.duration_ms > limits.max_duration_ms:
            raise PermanentFailure(
                f"The recording claims to last {timeline.duration_ms / HOUR_MS:.1f} hours; "
                f"the limit is {limits.max_duration_ms / HOUR_MS:.1f}.",
                subject=subject,
                remedy="Split the recording, or raise max_duration_ms if its clock is right.",
            )
        return _describe(container, stream, first.picture, timeline, path.stat().st_size)


class _FirstPicture:
    """Decodes only until the first picture appears: proof that the rest can be."""

    def __init__(self, stream: VideoStream) -> None:
        self._stream = stream
        self.picture: VideoFrame | None = None
        self.was_size_refused = False

    def offer(self, packet: Packet[VideoStream] | None) -> None:
        """Try the next packet; None at the end, where a decoder gives what it held back."""
        import av

        if self.picture is not None:
            return
        try:
            self.picture = next(iter(self._stream.decode(packet)), None)
        except av.error.ArgumentError:
            self.was_size_refused = True  # what decoders answer to a size above max_pixels
        except av.FFmpegError:
            return


def _why_no_picture(timeline: Timeline, first: _FirstPicture, limits: VideoLimits, subject: str) -> PermanentFailure:
    if first.was_size_refused:
        return container_files.too_large("pictures of an invalid size or", limits.max_pixels, subject=subject)
    if timeline.packet_count == 0:
        return PermanentFailure(
            "The file has a video track but not one picture in it.",
            subject=subject,
            remedy="Export the recording again from the recorder.",
        )
    return PermanentFailure(
        f"None of its {timeline.packet_count} pictures can be decoded.",
        subject=subject,
        remedy="The file is damaged or encrypted; export the recording again from the recorder.",
    )


def _missing_ms(stream: VideoStream, timeline: Timeline) -> int:
    """How much a header that was written first promises and a file that was cut off does not hold."""
    if stream.duration is None or stream.time_base is None:
        return 0
    missing_ms = round(float(stream.duration * stream.time_base) * 1000) - timeline.duration_ms
    return missing_ms if missing_ms > max(CUT_OFF_MS, CUT_OFF_SHARE * timeline.duration_ms) else 0


def _describe(
    container: InputContainer, stream: VideoStream, picture: VideoFrame, timeline: Timeline, size_bytes: int
) -> VideoProbe:
    context = stream.codec_context
    turn = container_files.display_turn(picture)
    sideways = turn.rotation_deg in (90, 270)
    width, height = picture.width, picture.height
    audio = next((track for track in container.streams.audio if track.codec_context is not None), None)
    bit_depth = max(component.bits for component in picture.format.components)
    aspect = stream.sample_aspect_ratio or context.sample_aspect_ratio
    warnings = [*timeline.warnings, *turn.warnings, *_picture_warnings(container, picture)]
    missing_ms = _missing_ms(stream, timeline)
    if missing_ms:
        warnings.append(f"The file is cut off: its header tells of {missing_ms / 1000:.1f} s more than there is.")
    return VideoProbe(
        container=container.format.name,
        codec=container_files.codec_name(stream),
        profile=context.profile,
        pixel_format=picture.format.name,
        bit_depth=bit_depth,
        width_px=width,
        height_px=height,
        rotation_deg=turn.rotation_deg,
        display_width_px=height if sideways else width,
        display_height_px=width if sideways else height,
        pixel_aspect=float(aspect) if aspect else 1.0,
        frame_rate_mode=timeline.mode,
        frame_rate_fps=timeline.frame_rate_fps,
        first_timestamp_ms=timeline.first_timestamp_ms,
        duration_ms=timeline.duration_ms,
        missing_ms=missing_ms,
        size_bytes=size_bytes,
        frame_count=timeline.packet_count,
        is_interlaced=picture.interlaced_frame,
        audio_codec=container_files.codec_name(audio) if audio is not None else None,
        warnings=warnings,
    )


def _picture_warnings(container: InputContainer, picture: VideoFrame) -> list[str]:
    from av.video.reformatter import ColorTrc

    warnings = []
    if picture.interlaced_frame:
        warnings.append("The pictures are interlaced; fields are not separated, moving edges look like combs.")
    if picture.color_trc in (ColorTrc.SMPTE2084, ColorTrc.ARIB_STD_B67):
        warnings.append("The recording is high dynamic range; colours are not mapped to the standard range.")
    track_count = len(container_files.video_streams(container))
    if track_count > 1:
        warnings.append(f"The file has {track_count} video tracks; only the largest one is used.")
    return warnings
