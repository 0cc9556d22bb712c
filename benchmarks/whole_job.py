"""The whole main job on ten minutes of full HD, against ffmpeg decoding the same file to nothing.

Promised: at most twice ffmpeg's time with profile ``fast_debug``, four times with ``production``.
``python -m benchmarks.whole_job``; it needs the command ``ffmpeg``.
"""

from __future__ import annotations

import subprocess
import time
from pathlib import Path

from benchmarks.frames import videos
from benchmarks.measure import Steal, covered_s, machine, process, scratch, stage_spans

PROMISED = {"fast_debug": 2.0, "production": 4.0}
RECORDING = "B-frames"
ROUNDS = 2


def ffmpeg_s(video: Path) -> float:
    """Wall time of decoding everything and writing nothing, on all cores."""
    started = time.monotonic()
    subprocess.run(["ffmpeg", "-v", "error", "-i", str(video), "-an", "-f", "null", "-"], check=True)
    return time.monotonic() - started


def compare(video: Path, profile: str, home: Path) -> None:
    """Both in turn; a table of the stages."""
    home.mkdir()
    with Steal() as steal:
        decoding_s = ffmpeg_s(video)
        done = process(video, home, profile)
    spans = stage_spans(home, done)
    print(
        f"{profile}: {done.wall_s:.1f} s, ffmpeg {decoding_s:.1f} s, ratio {done.wall_s / decoding_s:.2f} "
        f"(promised {PROMISED[profile]:.1f}), taken by other machines {steal.share:.0%}"
    )
    own = {stage: end_s - start_s for stage, (start_s, end_s) in spans.items()}
    print("  " + ", ".join(f"{stage} {seconds:.1f}" for stage, seconds in own.items()))
    print(f"  beyond the stages {done.wall_s - covered_s(spans.values()):.1f} s", flush=True)


def main() -> None:
    """Print both profiles, twice."""
    print(f"the whole main job, 10 minutes 1920×1080 at 25 fps ({machine()})")
    with scratch() as folder:
        video = videos(folder)[RECORDING]
        for number in range(ROUNDS):
            for profile in PROMISED:
                compare(video, profile, folder / f"home_{profile}_{number}")


if __name__ == "__main__":
    main()
