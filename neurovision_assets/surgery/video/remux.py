"""A copy of a recording without anything that names a person, its pictures untouched (NV-168).

Belongs here: copying packets into a fresh container, the proof that none was changed. Does not belong here:
decoding, where the copy is kept.

The fresh container carries no tags: no title, times, places, device or handler names, chapters, subtitles or data
tracks; FFmpeg's own version is left out too, so that the same input gives the same bytes. The display matrix
(rotation) is kept, so that players show the copy upright. What an encoder wrote inside the coded pictures (SEI
messages) stays: removing it would change the stream that the copy must keep.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict

from neurovision_assets.surgery.video import container as container_files
from neurovision_assets.surgery.video.payload import Layout, PayloadDigest, layout_of
from neurovision_assets.surgery.video.probe import VideoLimits
from neurovision_assets.surgery.video.timestamps import FittingTimes
from resources.errors import NeuroVisionError, PermanentFailure

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.stream import Stream
    from av.video.stream import VideoStream

MP4_VIDEO = frozenset({"h264", "hevc", "av1", "vp9", "mpeg4", "mpeg2video"})
MP4_AUDIO = frozenset({"aac", "mp3", "ac3", "eac3", "alac", "opus", "flac"})

UNTIMED_SUFFIXES = {"avi": ".avi", "h264": ".h264", "hevc": ".hevc", "m4v": ".m4v", "obu": ".obu"}
"""Containers without display times. Another container would need times that nobody knows, so a recording in one
of them stays in it; written in FFmpeg's exact mode they hold no tags either."""

EXACT_OPTIONS = {"fflags": "bitexact"}
MP4_OPTIONS = {"empty_hdlr_name": "1"}
"""Options that keep a muxer from writing names, versions and random numbers of its own."""


class RemuxResult(BaseModel):
    """What the copy is.

    Attributes:
        container: FFmpeg's name of the container that was written.
        suffix: the usual end of such a file's name, with the dot.
        video_sha256: SHA-256 over the payloads of all video packets, the same in source and copy; over their NAL
            units where only what stands between them changed (`payload.py`).
        video_packets: packets in the copy.
        repaired_timestamps: packets whose missing or backward timestamp was made to fit the container.
        audio_codec: codec of the sound that was kept, None without sound.
        size_bytes: size of the copy.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    container: str
    suffix: str
    video_sha256: str
    video_packets: int
    repaired_timestamps: int
    audio_codec: str | None
    size_bytes: int


def remux(
    source: Path, target: Path, *, keep_audio: bool, subject: str, limits: VideoLimits | None = None
) -> RemuxResult:
    """Copy the main video track, and the first sound track when asked, into a container without metadata.

    Args:
        source: a local file that `probe_video` accepted.
        target: the file to write; the end of its name has no meaning, see `RemuxResult.suffix`.
        keep_audio: whether sound is copied too.
        subject: a neutral name for messages.
        limits: guards while opening.

    Raises:
        PermanentFailure: the tracks cannot be copied, or the copy's pictures differ from the source's.
        TransientFailure: the disk is full or failed.
    """
    import av

    max_pixels = (limits or VideoLimits()).max_pixels
    try:
        with container_files.open_video(source, max_pixels, subject=subject) as reading:
            copy = _copy(reading, target, keep_audio, subject)
        written = _digest_of(target, copy.layout_written, max_pixels, subject)
    except (NeuroVisionError, av.FFmpegError, OSError) as error:
        target.unlink(missing_ok=True)
        raise _failure(error, subject) from None
    if written != copy.video_sha256:
        target.unlink(missing_ok=True)
        raise PermanentFailure(
            "The copy without metadata does not hold the same pictures as the upload.",
            subject=subject,
            remedy="Convert the recording to MP4 (H.264) and upload it again; keep the original for inspection.",
        )
    return RemuxResult(
        container=copy.container,
        suffix=copy.suffix,
        video_sha256=copy.video_sha256,
        video_packets=copy.video_packets,
        repaired_timestamps=copy.repaired_timestamps,
        audio_codec=copy.audio_codec,
        size_bytes=target.stat().st_size,
    )


@dataclass(frozen=True)
class _Plan:
    """Which container, and how its packets compare with the source's."""

    container: str
    suffix: str
    layout_read: Layout
    layout_written: Layout


@dataclass(frozen=True)
class _Copy:
    """A finished copy, not yet verified."""

    container: str
    suffix: str
    layout_written: Layout
    video_sha256: str
    video_packets: int
    repaired_timestamps: int
    audio_codec: str | None


def _plan(reading: InputContainer, video: VideoStream, audio_codec: str | None) -> _Plan:
    """Its own kind for a container without display times, else MP4 where it holds the codecs, else Matroska."""
    kind = reading.format.name
    if kind in UNTIMED_SUFFIXES:
        return _Plan(kind, UNTIMED_SUFFIXES[kind], Layout.OPAQUE, Layout.OPAQUE)
    fits_mp4 = container_files.codec_name(video) in MP4_VIDEO and (audio_codec is None or audio_codec in MP4_AUDIO)
    name, suffix = ("mp4", ".mp4") if fits_mp4 else ("matroska", ".mkv")
    if layout_of(video) is Layout.START_CODES:
        return _Plan(name, suffix, Layout.START_CODES, Layout.LENGTHS)
    return _Plan(name, suffix, Layout.OPAQUE, Layout.OPAQUE)


def _copy(reading: InputContainer, target: Path, keep_audio: bool, subject: str) -> _Copy:
    """Copy packets as they come; a damaged one is carried like any other."""
    import av

    video = container_files.main_video_stream(reading, subject=subject)
    audio = _sound(reading) if keep_audio else None
    audio_codec = None if audio is None else container_files.codec_name(audio)
    plan = _plan(reading, video, audio_codec)
    digest = PayloadDigest(plan.layout_read)
    tracks: list[Any] = [video] if audio is None else [video, audio]
    options = EXACT_OPTIONS | (MP4_OPTIONS if plan.container == "mp4" else {})
    video_packets = 0
    with av.open(str(target), "w", format=plan.container, options=options) as writing:
        copies = {track.index: writing.add_stream_from_template(track, opaque=True) for track in tracks}
        times = {track.index: FittingTimes(track) for track in tracks}
        for packet in container_files.packets(reading, tracks, subject=subject):
            if packet.stream_index == video.index:
                digest.update(packet)
                video_packets += 1
            if plan.container not in UNTIMED_SUFFIXES:
                times[packet.stream_index].fit(packet)
            packet.stream = copies[packet.stream_index]
            writing.mux(packet)
    repaired = sum(track_times.repaired for track_times in times.values())
    return _Copy(
        plan.container, plan.suffix, plan.layout_written, digest.hexdigest(), video_packets, repaired, audio_codec
    )


def _sound(reading: InputContainer) -> Stream | None:
    return next((track for track in reading.streams.audio if track.codec_context is not None), None)


def _digest_of(path: Path, layout: Layout, max_pixels: int, subject: str) -> str:
    """Digest of a written copy's video packets."""
    with container_files.open_video(path, max_pixels, subject=subject) as reading:
        video = container_files.main_video_stream(reading, subject=subject)
        digest = PayloadDigest(layout)
        for packet in container_files.packets(reading, [video], subject=subject):
            digest.update(packet)
    return digest.hexdigest()


def _failure(error: Exception, subject: str) -> NeuroVisionError:
    """What a failed copy means; messages of libraries carry paths and are not passed on."""
    import av

    if isinstance(error, NeuroVisionError):
        return error
    if isinstance(error, OSError):
        return container_files.storage_failure(error, subject)
    reason = error.strerror if isinstance(error, av.FFmpegError) else type(error).__name__
    return PermanentFailure(
        f"The recording cannot be copied into a clean container ({reason}).",
        subject=subject,
        remedy="Convert the recording to MP4 (H.264) and upload it again.",
    )
