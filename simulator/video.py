"""Writes the pictures of an operation as a video file.

Belongs here: encoding through PyAV, constant and variable frame rate. Does not belong here: pictures (`render`).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import cast

import av
import numpy as np
from av.video.stream import VideoStream

from simulator.encoder import start_encoding
from simulator.operation import OperationPlan
from simulator.view import Picture
from simulator.workers import pictures

TIME_BASE = Fraction(1, 90_000)
"""The clock of MPEG transport: fine enough for every usual rate."""
DEFAULT_CRF = {"libx264": 23, "libx265": 23, "libsvtav1": 32, "libvpx-vp9": 32}
OPTIONS = {
    "libx264": {"preset": "veryfast", "mbtree": "0"},
    "libx265": {"preset": "ultrafast"},
    "libsvtav1": {"preset": "10"},
}
"""Presets that keep the encoder cheaper than the renderer. x264's macroblock tree is left off: with AVX-512 it reads
memory that nothing was written to, and the same pictures give another file each time."""
KEPT_OF_VFR = 0.7
"""Share of the regular frames that a variable-rate video keeps."""


def frame_times(plan: OperationPlan, fps: float, *, vfr: bool = False) -> list[Fraction]:
    """Presentation times in seconds. With `vfr` some frames are left out, so that the gaps differ; never the first.

    Raises:
        ValueError: The rate is not finite, not above 0, or so low that no frame falls into the operation.
    """
    if not 0 < fps < math.inf:
        raise ValueError(f"{fps:g} pictures a second make no video: give a rate above 0")
    rate = Fraction(fps).limit_denominator(1001)
    count = int(Fraction(plan.duration_ms, 1000) * rate)
    if count == 0:
        seconds = plan.duration_ms / 1000
        raise ValueError(
            f"at {fps:g} pictures a second {seconds:g} s have none: give a higher rate or a longer operation"
        )
    times = [Fraction(number) / rate for number in range(count)]
    if not vfr:
        return times
    kept = np.random.default_rng([plan.seed, 800]).random(count) < KEPT_OF_VFR
    return [time for number, time in enumerate(times) if number == 0 or kept[number]]


def require_encoder(codec: str) -> None:
    """Refuse what names no video encoder of this FFmpeg.

    Raises:
        ValueError: It does not.
    """
    try:
        kind = av.codec.Codec(codec, "w").type
    except ValueError:
        raise ValueError(f"this FFmpeg has no encoder '{codec}': name one that it has, libx264 say") from None
    if kind != "video":
        raise ValueError(f"{codec} does not encode video: name a video encoder of FFmpeg, libx264 say")


def write_video(
    plan: OperationPlan,
    path: Path,
    fps: float = 25.0,
    width: int = 640,
    height: int = 480,
    codec: str = "libx264",
    crf: int | None = None,
    *,
    vfr: bool = False,
    processes: int = 1,
    faces: tuple[Picture, ...] = (),
    on_frame: Callable[[int, int], None] | None = None,
) -> int:
    """Render and encode the operation; returns the number of frames.

    `path` names the container by its ending (mp4, mkv, webm). `crf` is the encoder's quality, `DEFAULT_CRF`
    when left out. `processes` render side by side; the file is the same for any number of them. `faces` are real
    ones for out-of-body views (see `render_frame`). `on_frame(done, total)`
    is called after each frame. A failure leaves no file behind.

    Raises:
        ValueError: The rate is wrong (see `frame_times`), a side is under `render.SMALLEST_PX`, or this FFmpeg has
            no such encoder, or it does not encode video or does not go into this container.
        av.error.FFmpegError: The encoder does not take this size or quality, or the file cannot be written.
        OSError: The folder cannot be made, or the finished file cannot be moved to `path`.
    """
    path = Path(path)
    times = frame_times(plan, fps, vfr=vfr)
    require_encoder(codec)
    path.parent.mkdir(parents=True, exist_ok=True)
    quality = DEFAULT_CRF.get(codec) if crf is None else crf
    options = OPTIONS.get(codec, {}) | ({} if quality is None else {"crf": str(quality)})
    unfinished = path.with_name(f".{path.stem}.unfinished{path.suffix}")
    try:
        with av.open(str(unfinished), "w") as container:
            rate = Fraction(fps).limit_denominator(1001)
            stream = cast("VideoStream", container.add_stream(codec, rate=rate, options=options))
            stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
            stream.time_base = stream.codec_context.time_base = TIME_BASE
            # With slices in threads x264 writes other bytes when the machine is busy.
            stream.codec_context.thread_type = "FRAME"
            start_encoding(container)
            rendered = pictures(plan, [float(time * 1000) for time in times], width, height, processes, faces)
            for number, (time, picture) in enumerate(zip(times, rendered, strict=True)):
                frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
                frame.time_base, frame.pts = TIME_BASE, int(time / TIME_BASE)
                container.mux(stream.encode(frame))
                if on_frame is not None:
                    on_frame(number + 1, len(times))
            container.mux(stream.encode())
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)
    return len(times)
