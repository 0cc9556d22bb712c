"""Command line: `python -m simulator --count N --seed S --out DIR` makes operations with their truth.

Belongs here: arguments and progress. Does not belong here: making anything.

DIR/operation_001.mp4 and operation_001.json are what a hospital would upload; DIR/truth/operation_001/ is the truth.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from simulator.cast import hospital_named
from simulator.operation import plan_operation
from simulator.truth import sidecar, write_sampled_truth, write_truth
from simulator.video import write_video


def parse_arguments(words: list[str] | None = None) -> argparse.Namespace:
    """The command line's arguments."""
    parser = argparse.ArgumentParser(prog="python -m simulator", description="Simulate operations with their truth.")
    parser.add_argument("--count", type=int, default=1, help="number of operations (default 1)")
    parser.add_argument("--seed", type=int, default=0, help="seed of the first; the next ones count up (default 0)")
    parser.add_argument("--out", type=Path, required=True, help="folder to write to")
    parser.add_argument("--duration-s", type=float, default=240.0, help="length of each in seconds (default 240)")
    parser.add_argument("--fps", type=float, default=25.0, help="frames per second (default 25)")
    parser.add_argument("--width", type=int, default=640, help="picture width in pixels, even (default 640)")
    parser.add_argument("--height", type=int, default=480, help="picture height in pixels, even (default 480)")
    parser.add_argument("--codec", default="libx264", help="FFmpeg encoder: libx264, libx265, libsvtav1 …")
    parser.add_argument("--crf", type=int, default=None, help="encoder quality (default: usual for the codec)")
    parser.add_argument("--vfr", action="store_true", help="variable frame rate: leave out some frames")
    parser.add_argument("--truth-fps", type=float, default=0.0, help="also write boxes and masks at this rate")
    return parser.parse_args(words)


def main(words: list[str] | None = None) -> None:
    """Make the operations that the arguments ask for."""
    asked = parse_arguments(words)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns) as progress:
        for number in range(1, asked.count + 1):
            _make(asked, number, progress)


def _make(asked: argparse.Namespace, number: int, progress: Progress) -> None:
    """One operation: video, sidecar, truth."""
    name = f"operation_{number:03d}"
    plan = plan_operation(asked.seed + number - 1, asked.duration_s)
    task = progress.add_task(f"{name} of {asked.count}", total=None)
    write_video(
        plan,
        asked.out / f"{name}.mp4",
        asked.fps,
        asked.width,
        asked.height,
        asked.codec,
        asked.crf,
        vfr=asked.vfr,
        on_frame=lambda done, total: progress.update(task, completed=done, total=total),
    )
    card = sidecar(plan, name, hospital_named(plan.hospital).department)
    (asked.out / f"{name}.json").write_text(json.dumps(card, indent=2) + "\n", encoding="utf-8")
    truth = asked.out / "truth" / name
    write_truth(plan, truth)
    if asked.truth_fps > 0:
        write_sampled_truth(plan, truth, asked.truth_fps, asked.width, asked.height)


if __name__ == "__main__":
    main()
