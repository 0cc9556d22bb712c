"""Makes the recordings, sound and hostile, that the tests of video and frames need.

Belongs here: writing small media files with PyAV and breaking them. Does not belong here: assertions.

Every picture carries its own number as ten bright or dark blocks along its upper edge, so that a test can read from a
stored frame which source frame it is, which way up it is and whether it is decoded right.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import numpy.typing as npt

from simulator.encoder import start_encoding

Image = npt.NDArray[np.uint8]

NUMBER_BITS = 10
DARK, BRIGHT = 30, 220

OPTIONS: dict[str, dict[str, str]] = {
    "libx264": {"preset": "veryfast", "mbtree": "0"},
    "libx265": {"preset": "ultrafast", "x265-params": "log-level=0"},
    "libsvtav1": {"preset": "8", "svtav1-params": "hierarchical-levels=3"},
    "libvpx-vp9": {"deadline": "realtime", "cpu-used": "8"},
}
"""Fast settings of the encoders that still draw the numbers right. With x264's macroblock tree the same pictures give
other bytes each time on processors with AVX-512: it reads memory that nothing was written to."""

FASTEST = {"libx264": {"preset": "ultrafast"}, "libsvtav1": {"preset": "12"}}
"""Settings for pictures without content."""


def numbered(index: int, width: int, height: int) -> Image:
    """A picture that moves with `index` and carries it as a number; [height, width, 3] RGB."""
    columns = np.arange(width)[None, :] * 6.0 / width + index / 10
    rows = np.arange(height)[:, None] * 5.0 / height
    texture = 110 + 60 * np.sin(columns) * np.cos(rows)
    picture = np.stack([texture, texture * 0.6, texture * 0.5], axis=2).astype(np.uint8)
    for bit in range(NUMBER_BITS):
        left, right = bit * width // NUMBER_BITS, (bit + 1) * width // NUMBER_BITS
        picture[: height // 4, left:right] = BRIGHT if index >> bit & 1 else DARK
    return picture


def read_number(picture: Image) -> int:
    """The number that `numbered` wrote into an upright picture without padding."""
    height, width = picture.shape[:2]
    middles = [(2 * bit + 1) * width // (2 * NUMBER_BITS) for bit in range(NUMBER_BITS)]
    levels = picture[height // 8].reshape(width, -1).mean(axis=1)
    return sum(1 << bit for bit, column in enumerate(middles) if levels[column] > (DARK + BRIGHT) / 2)


def write_clip(
    path: Path,
    *,
    codec: str = "libx264",
    count: int = 50,
    fps: int = 25,
    size: tuple[int, int] = (320, 240),
    pixel_format: str = "yuv420p",
    options: dict[str, str] | None = None,
    container_format: str | None = None,
    container_options: dict[str, str] | None = None,
    clockwise_deg: int = 0,
    times_ms: Sequence[int] | None = None,
    tags: dict[str, str] | None = None,
    sound: bool = False,
    picture: Callable[[int, int, int], Image] = numbered,
) -> Path:
    """Write a clip of numbered pictures.

    Args:
        path: the file.
        codec: name of an encoder.
        count: number of pictures; they are numbered from 0.
        fps: their rate, where `times_ms` does not tell.
        size: coded width and height.
        pixel_format: of the coded pictures.
        options: of the encoder, beside `OPTIONS`.
        container_format: FFmpeg's name; by the file's ending when None.
        container_options: of the muxer.
        clockwise_deg: turn that a player must make; the pictures are stored turned back.
        times_ms: display time of each picture.
        tags: metadata of the container and of the track.
        sound: whether a track of noise is added.
        picture: draws picture number, width, height.
    """
    turns = clockwise_deg // 90
    upright = size[::-1] if turns % 2 else size
    with av.open(str(path), "w", format=container_format, options=container_options or {}) as container:
        container.metadata.update(tags or {})
        stream: Any = container.add_stream(codec, rate=fps, options=OPTIONS.get(codec, {}) | (options or {}))
        stream.width, stream.height = size
        stream.pix_fmt = pixel_format
        # With slices in threads x264 writes other bytes when the machine is busy.
        stream.codec_context.thread_type = "FRAME"
        stream.metadata.update(tags or {})
        time_base = Fraction(1, fps) if times_ms is None else Fraction(1, 1000)
        stream.codec_context.time_base = time_base
        if clockwise_deg:
            stream.set_display_rotation(-clockwise_deg)
        noise = container.add_stream("aac", rate=48000) if sound else None
        start_encoding(container)
        for index in range(count):
            stored = np.ascontiguousarray(np.rot90(picture(index, *upright), turns))
            frame = av.VideoFrame.from_ndarray(stored, format="rgb24").reformat(format=pixel_format)
            frame.pts = index if times_ms is None else times_ms[index]
            frame.time_base = time_base
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
        if noise is not None:
            write_noise(container, noise, seconds=count / fps)
    return path


def write_noise(container: Any, stream: Any, *, seconds: float) -> None:
    """Fill a sound track with quiet noise."""
    generator = np.random.default_rng(0)
    samples = 1024
    for block in range(int(seconds * 48000 / samples) + 1):
        values = generator.normal(0, 0.01, (2, samples)).astype(np.float32)
        frame = av.AudioFrame.from_ndarray(values, format="fltp", layout="stereo")
        frame.sample_rate = 48000
        frame.pts = block * samples
        container.mux(stream.encode(frame))
    container.mux(stream.encode(None))


def write_sound_only(path: Path) -> Path:
    """An MP4 with a sound track and nothing else."""
    with av.open(str(path), "w") as container:
        write_noise(container, container.add_stream("aac", rate=48000), seconds=1)
    return path


def write_song_with_cover(path: Path) -> Path:
    """An M4A whose only picture is the cover of an album."""
    with av.open(str(path), "w", format="mp4") as container:
        sound = container.add_stream("aac", rate=48000)
        cover: Any = container.add_stream("mjpeg", rate=1)
        cover.width, cover.height, cover.pix_fmt = 64, 64, "yuvj420p"
        cover.disposition = av.stream.Disposition.attached_pic
        frame = av.VideoFrame.from_ndarray(numbered(1, 64, 64), format="rgb24").reformat(format="yuvj420p")
        frame.pts = 0
        container.mux(cover.encode(frame))
        container.mux(cover.encode(None))
        write_noise(container, sound, seconds=1)
    return path


def cut(source: Path, target: Path, share: float) -> Path:
    """The first part of a file, as a broken upload leaves it."""
    content = source.read_bytes()
    target.write_bytes(content[: int(len(content) * share)])
    return target


def packet_places(path: Path) -> list[tuple[int, int]]:
    """Offset and size of each video packet's payload in a file, found by its bytes."""
    content = path.read_bytes()
    with av.open(str(path)) as container:
        payloads = [bytes(packet) for packet in container.demux(video=0) if packet.size]
    places, position = [], 0
    for payload in payloads:
        position = content.index(payload, position)
        places.append((position, len(payload)))
        position += len(payload)
    return places


def damage(source: Path, target: Path, first: int, last: int) -> Path:
    """A copy with the payloads of the packets `first` to `last - 1` overwritten by noise."""
    content = bytearray(source.read_bytes())
    noise = random.Random(0)
    for position, size in packet_places(source)[first:last]:
        content[position : position + size] = noise.randbytes(size)
    target.write_bytes(content)
    return target


def replace_bytes(source: Path, target: Path, old: bytes, new: bytes) -> Path:
    """A copy with one byte string replaced by another of the same length, everywhere."""
    content = source.read_bytes()
    assert old in content
    assert len(old) == len(new)
    target.write_bytes(content.replace(old, new))
    return target


def write_oversized(path: Path, *, codec: str = "libx264", size: tuple[int, int] = (7680, 4320)) -> Path:
    """One flat picture of enormous size: a few kilobytes that become a hundred megabytes."""
    width, height = size
    with av.open(str(path), "w") as container:
        options = FASTEST.get(codec, {})
        stream: Any = container.add_stream(codec, rate=25, options=options)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        start_encoding(container)
        frame = av.VideoFrame(width, height, "yuv420p")
        for plane in frame.planes:
            plane.update(bytes([128]) * plane.buffer_size)
        frame.pts = 0
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def repeat(source: Path, target: Path, times: int) -> Path:
    """A longer recording: the packets of a clip again and again, not encoded anew."""
    with av.open(str(source)) as reading, av.open(str(target), "w") as writing:
        stream = reading.streams.video[0]
        packets = [(bytes(p), p.pts, p.dts, p.duration, p.is_keyframe) for p in reading.demux(stream) if p.size]
        copy = writing.add_stream_from_template(stream, opaque=True)
        length = stream.duration or 0
        for turn in range(times):
            for payload, pts, dts, duration, is_keyframe in packets:
                packet = av.Packet(payload)
                packet.time_base = stream.time_base or Fraction(1, 1000)
                packet.pts, packet.dts = (pts or 0) + turn * length, (dts or 0) + turn * length
                packet.duration = duration
                packet.is_keyframe = is_keyframe
                packet.stream = copy
                writing.mux(packet)
    return target
