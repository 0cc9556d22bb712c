"""Command line: `python -m simulator --count N --seed S --out DIR` makes a set of operations with its truth.

Belongs here: arguments and progress. Does not belong here: making anything (`dataset`).
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from simulator.cohort import Member, cohort
from simulator.dataset import Recording, write_set


def parse_arguments(words: list[str] | None = None) -> argparse.Namespace:
    """The command line's arguments."""
    parser = argparse.ArgumentParser(prog="python -m simulator", description="Simulate operations with their truth.")
    parser.add_argument("--count", type=int, default=1, help="number of operations (default 1)")
    parser.add_argument("--seed", type=int, default=0, help="seed of the first; the next ones count up (default 0)")
    parser.add_argument("--out", type=Path, required=True, help="folder to write to")
    parser.add_argument("--duration-s", type=float, default=240.0, help="length of each in seconds (default 240)")
    parser.add_argument("--fps", type=float, default=25.0, help="frames per second (default 25)")
    parser.add_argument("--size", type=_size, default=None, help="as 640x480, even (default: the hospital's own)")
    parser.add_argument("--codec", default="libx264", help="FFmpeg encoder: libx264, libx265, libsvtav1 …")
    parser.add_argument("--crf", type=int, default=None, help="encoder quality (default: usual for the codec)")
    parser.add_argument("--vfr", action="store_true", help="variable frame rate: leave out some frames")
    parser.add_argument("--truth-fps", type=float, default=1.0, help="boxes and masks a second, 0 for none (default 1)")
    parser.add_argument("--truth-only", action="store_true", help="no videos")
    parser.add_argument("--no-layouts", action="store_true", help="truth in our tables only")
    return parser.parse_args(words)


def _size(word: str) -> tuple[int, int]:
    """Width and height from `640x480`."""
    width, height = word.split("x")
    return int(width), int(height)


def main(words: list[str] | None = None) -> None:
    """Make the operations that the arguments ask for."""
    asked = parse_arguments(words)
    recording = Recording(
        fps=asked.fps,
        size_px=asked.size,
        codec=asked.codec,
        crf=asked.crf,
        vfr=asked.vfr,
        truth_fps=asked.truth_fps,
        videos=not asked.truth_only,
        layouts=not asked.no_layouts,
    )
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns) as progress:

        def watch(member: Member) -> Callable[[int, int], None]:
            task = progress.add_task(f"{member.name} of {asked.count}", total=None)
            return lambda done, total: progress.update(task, completed=done, total=total)

        write_set(cohort(asked.count, asked.seed, asked.duration_s), asked.out, recording, watch)


if __name__ == "__main__":
    main()
