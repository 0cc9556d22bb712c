"""Command line: `python -m simulator --count N --seed S --out DIR` makes a set of operations with its truth.

Belongs here: progress, and what is said of a failure. Does not belong here: the arguments (`arguments`), making
anything (`dataset`).
"""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable

import av
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from simulator.arguments import parse_arguments
from simulator.cohort import Member, cohort
from simulator.dataset import Recording, write_set

STOPPED = 130
"""What shells give for a command that Ctrl-C ended."""


def main(words: list[str] | None = None) -> int:
    """Make the operations that the arguments ask for.

    Returns:
        0; 2 when they could not be made, 130 when it was stopped; one line on standard error says why.
    """
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
    try:
        with Progress(*columns) as progress:

            def watch(member: Member) -> Callable[[int, int], None]:
                task = progress.add_task(f"{member.name} of {asked.count}", total=None)
                return lambda done, total: progress.update(task, completed=done, total=total)

            there = write_set(cohort(asked.count, asked.seed, asked.duration_s), asked.out, recording, watch)
    except (OSError, ValueError, av.error.FFmpegError) as error:
        print(f"error: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"stopped: the same command goes on in {asked.out}", file=sys.stderr)
        return STOPPED
    if there:
        print(f"{there} of {asked.count} were in {asked.out} already")
    return 0


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    sys.exit(main())
