"""How fast frames come out of ten minutes of full HD, against ffmpeg on the same cores.

Promised: never slower than ffmpeg writing JPEGs of the same size and quality; half as fast again where B-frames allow
it. ``python -m benchmarks.frames [--recordings "no B-frames" …] [--runs 3]``; it needs the command ``ffmpeg``.

Belongs here: three simulated recordings, the two programs side by side. Does not belong here: whether the
pictures are right (`tests/test_frames_near.py`).
"""

from __future__ import annotations

import argparse
import os
import resource
import shutil
import statistics
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from benchmarks.measure import Steal, machine, repeated, scratch
from neurovision_assets.surgery.frames.config import FramesConfig
from neurovision_assets.surgery.frames.decode import MediaPart
from neurovision_assets.surgery.frames.encode import sample_to_batches
from neurovision_assets.surgery.video.probe import probe_video
from simulator.sample import sample_plan
from simulator.video import TIME_BASE
from simulator.view import Picture
from simulator.workers import pictures

RUNS = 3
SIZE = (1920, 1080)
RATE = 25
RENDERED_S, LENGTH_S = 20, 600
FIRST_MS = 10_000
"""The operation is under way: instruments, tissue, motion."""
BITRATE = 5_000_000
"""What recorders give full HD: 4 to 6 Mbit/s."""
KEPT_OF_VARIABLE = 0.7

ENCODERS = {"B-frames": {}, "no B-frames": {"bf": "0"}, "variable rate": {}}
"""x264's own preset `medium` but for what is named."""

FFMPEG_FILTER = "fps=2,scale=640:480:force_original_aspect_ratio=decrease,pad=640:480:-1:-1"
FFMPEG_QUALITY = ("-qmin", "1", "-q:v", "1")
"""Quantisation steps next to libjpeg's at quality 95: the first AC step is 2 in both."""


@dataclass(frozen=True)
class Cost:
    """What one run took.

    Attributes:
        wall_s: from start to end.
        cpu_s: processor time of all its threads; other work on the machine changes it little.
        stored: frames that were stored.
        stored_bytes: of their JPEGs or the table.
    """

    wall_s: float
    cpu_s: float
    stored: int
    stored_bytes: int


def videos(folder: Path) -> dict[str, Path]:
    """The three recordings; those that the folder holds already are not made again."""
    short = {name: folder / f"{name.replace(' ', '_')}.mp4" for name in ENCODERS}
    if not all(path.exists() for path in short.values()):
        _render(short)
    long = {name: folder / f"long_{path.name}" for name, path in short.items()}
    for name, path in long.items():
        if not path.exists():
            repeated(short[name], path, LENGTH_S // RENDERED_S)
    return long


def _render(paths: dict[str, Path]) -> None:
    """One rendering, encoded in three ways at once."""
    times_ms = [1000 * number / RATE for number in range(RATE * RENDERED_S)]
    is_kept = np.random.default_rng(1).random(len(times_ms)) < KEPT_OF_VARIABLE
    tracks = {name: _Track(path, ENCODERS[name]) for name, path in paths.items()}
    cores = len(os.sched_getaffinity(0))
    rendered = pictures(sample_plan(), [FIRST_MS + time_ms for time_ms in times_ms], *SIZE, cores)
    for number, (time_ms, picture) in enumerate(zip(times_ms, rendered, strict=True)):
        for name, track in tracks.items():
            if name != "variable rate" or number == 0 or is_kept[number]:
                track.add(picture, time_ms)
    for track in tracks.values():
        track.close()


class _Track:
    """A file that is being encoded."""

    def __init__(self, path: Path, options: dict[str, str]) -> None:
        import av

        self._file = av.open(str(path), "w")
        self._stream = self._file.add_stream("libx264", rate=RATE, options={"preset": "medium", **options})
        self._stream.width, self._stream.height = SIZE
        self._stream.pix_fmt, self._stream.bit_rate = "yuv420p", BITRATE
        self._stream.time_base = self._stream.codec_context.time_base = TIME_BASE

    def add(self, picture: Picture, time_ms: float) -> None:
        import av

        frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
        frame.time_base, frame.pts = TIME_BASE, int(time_ms / 1000 / TIME_BASE)
        self._file.mux(self._stream.encode(frame))

    def close(self) -> None:
        self._file.mux(self._stream.encode())
        self._file.close()


@contextmanager
def _cpu(who: int) -> Iterator[Callable[[], float]]:
    """Processor time since the start, of this process or of its children."""

    def spent() -> float:
        used = resource.getrusage(who)
        return used.ru_utime + used.ru_stime

    before = spent()
    yield lambda: spent() - before


def ours(video: Path, folder: Path) -> Cost:
    """The frames stage without Dagster: decode, scale, measure, compress, write the table."""
    target = folder / "frames.parquet"
    part = MediaPart(video, probe_video(video, subject=video.stem))
    started = time.monotonic()
    with _cpu(resource.RUSAGE_SELF) as cpu_s:
        batches = sample_to_batches([part], FramesConfig(), subject=video.stem)
        rows = 0
        with pq.ParquetWriter(target, batches.schema, compression="zstd", use_dictionary=False) as writer:
            for batch in batches:
                writer.write_batch(batch)
                rows += batch.num_rows
        return Cost(time.monotonic() - started, cpu_s(), rows, target.stat().st_size)


def ffmpeg(video: Path, folder: Path) -> Cost:
    """The command line, all cores, JPEGs into a folder."""
    target = folder / f"jpegs_{video.stem}"
    target.mkdir(exist_ok=True)
    command = ["ffmpeg", "-v", "error", "-y", "-i", str(video), "-an", "-vf", FFMPEG_FILTER, *FFMPEG_QUALITY]
    started = time.monotonic()
    with _cpu(resource.RUSAGE_CHILDREN) as cpu_s:
        subprocess.run([*command, str(target / "%06d.jpg")], check=True)
        wall_s, spent_s = time.monotonic() - started, cpu_s()
    sizes = [path.stat().st_size for path in target.iterdir()]
    return Cost(wall_s, spent_s, len(sizes), sum(sizes))


def compare(name: str, video: Path, folder: Path, runs: int) -> None:
    """Print what both took, run in turns, and how much faster than ffmpeg we were in each turn."""
    with Steal() as steal:
        turns = [(ffmpeg(video, folder), ours(video, folder)) for _ in range(runs)]
    print(f"{name}, {video.stat().st_size / 1e6:.0f} MB, taken by other machines {steal.share:.0%}")
    for program, costs in zip(("ffmpeg", "frames"), zip(*turns, strict=True), strict=True):
        walls, cpus = ([getattr(cost, field) for cost in costs] for field in ("wall_s", "cpu_s"))
        stored = f"{costs[0].stored} frames, {costs[0].stored_bytes / 1e6:.1f} MB"
        print(f"  {program} {_spread(walls)} s, processor {_spread(cpus)} s, {stored}")
    faster = [theirs.wall_s / own.wall_s for theirs, own in turns]
    cheaper = [theirs.cpu_s / own.cpu_s for theirs, own in turns]
    print(f"  {_spread(faster, 2)} times as fast, {_spread(cheaper, 2)} by processor time", flush=True)


def _spread(values: list[float], digits: int = 1) -> str:
    return f"{statistics.median(values):.{digits}f} ({min(values):.{digits}f}–{max(values):.{digits}f})"


def main(arguments: Sequence[str] = ()) -> None:
    """Compare on each recording."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.frames")
    parser.add_argument("--recordings", nargs="+", choices=list(ENCODERS), default=list(ENCODERS))
    parser.add_argument("--runs", type=int, default=RUNS)
    chosen = parser.parse_args(arguments)
    if shutil.which("ffmpeg") is None:
        print("frames: not measured, the command ffmpeg is missing; install it with: sh scripts/system-packages.sh")
        return
    print(f"frames of {LENGTH_S // 60} minutes {SIZE[0]}×{SIZE[1]}, H.264, {BITRATE / 1e6:.0f} Mbit/s ({machine()})")
    with scratch() as folder:
        for name, video in videos(folder).items():
            if name in chosen.recordings:
                compare(name, video, folder, chosen.runs)


if __name__ == "__main__":
    import sys

    main(sys.argv[1:])
