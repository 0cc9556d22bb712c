"""Writes the pictures of an operation as a video file.

Belongs here: encoding through PyAV, constant and variable frame rate. Does not belong here: pictures (`render`).
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

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
    """Presentation times in seconds. With `vfr` some frames are left out, so that the gaps differ; never the first."""
    rate = Fraction(fps).limit_denominator(1001)
    count = int(Fraction(plan.duration_ms, 1000) * rate)
    times = [Fraction(number) / rate for number in range(count)]
    if not vfr:
        return times
    kept = np.random.default_rng([plan.seed, 800]).random(count) < KEPT_OF_VFR
    return [time for number, time in enumerate(times) if number == 0 or kept[number]]


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
        av.error.FFmpegError: The codec is unknown to this FFmpeg or does not take this size.
        ValueError: The codec does not encode video.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    quality = DEFAULT_CRF.get(codec) if crf is None else crf
    options = OPTIONS.get(codec, {}) | ({} if quality is None else {"crf": str(quality)})
    times = frame_times(plan, fps, vfr=vfr)
    unfinished = path.with_name(f".{path.stem}.unfinished{path.suffix}")
    try:
        with av.open(str(unfinished), "w") as container:
            stream = container.add_stream(codec, rate=Fraction(fps).limit_denominator(1001), options=options)
            if not isinstance(stream, VideoStream):
                raise ValueError(f"{codec} does not encode video: name a video encoder of FFmpeg, libx264 say")
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
