"""How long the report of a two-hour operation takes, and how large its page is.

Promised: under 10 s, HTML under 15 MB. ``python -m benchmarks.report [--dense]``

The operation is simulated at its full length, with as many events and changes of instruments as the labels of real ones
say, and recorded at the rate of stored frames. ``--dense`` takes an operation of a minute 120 times over instead, with
some four times as many findings.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from benchmarks.measure import Steal, covered_s, machine, process, repeated, sample, scratch, stage_spans
from simulator.operation import plan_operation
from simulator.video import write_video

MINUTES = 120
SEED = 9_000_500
FPS, WIDTH_PX, HEIGHT_PX = 2.0, 640, 480
MEGABYTE = 1e6


def main(arguments: Sequence[str] = ()) -> None:
    """Run the main job on two hours and look at its last stage."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.report")
    parser.add_argument("--dense", action="store_true", help="a minute 120 times over")
    dense = parser.parse_args(arguments).dense
    print(f"report of a {MINUTES}-minute operation{', dense' if dense else ''} ({machine()})")
    with scratch() as folder:
        home = folder / "home"
        home.mkdir()
        video = folder / "operation_120.mp4"
        if dense:
            repeated(sample(folder), video, MINUTES)
        else:
            full_length(video)
        with Steal() as steal:
            done = process(video, home)
        spans = stage_spans(home, done)
        [page] = (home / "surgery" / "report").glob("*.html")
        print(
            f"report {covered_s([spans['report']]):.1f} s, HTML {page.stat().st_size / MEGABYTE:.1f} MB, "
            f"of {done.wall_s:.0f} s in all, peak {done.peak_bytes / MEGABYTE:.0f} MB, "
            f"taken by other machines {steal.share:.0%}"
        )


def full_length(video: Path) -> None:
    """Render an operation that is not compressed in time."""
    plan = plan_operation(SEED, MINUTES * 60.0)
    write_video(plan, video, fps=FPS, width=WIDTH_PX, height=HEIGHT_PX, processes=2)


if __name__ == "__main__":
    import sys

    main(sys.argv[1:])
