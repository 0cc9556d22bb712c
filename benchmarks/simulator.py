"""How fast operations are simulated on one core.

Promised: 640×480 at 25 fps at least in real time, the truth alone at 2 fps 20 times as fast as real time.
``python -m benchmarks.simulator``
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager

from benchmarks.measure import Steal, machine, scratch

SEEDS = (1, 2, 3)
SIZE = (640, 480)
FPS = 25
TRUTH_FPS = 2
SPREAD = 150
"""Pictures of an operation that are rendered, evenly over its time."""
ENCODED_S = 20.0


@contextmanager
def told(what: str, unit: str, amount: float) -> Iterator[None]:
    """Print how much of the amount the block did in a second, of the clock and of the core's own time."""
    with Steal() as steal:
        wall, processor = time.perf_counter(), time.process_time()
        yield
        wall, processor = time.perf_counter() - wall, time.process_time() - processor
    print(
        f"{what}: {amount / wall:.1f} {unit}, {amount / processor:.1f} {unit} of the core's own time, "
        f"taken by other machines {steal.share:.0%}"
    )


def main() -> None:
    """Print pictures a second without and with encoding, and how many times real time the truth alone is."""
    print(f"simulator, 640×480, one of the cores ({machine()}, load {os.getloadavg()[0]:.1f})")
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(cores)})
    try:
        _measure()
    finally:
        os.sched_setaffinity(0, cores)


def _measure() -> None:
    import cv2

    from simulator.operation import plan_operation
    from simulator.render import render_frame, truth_at
    from simulator.video import write_video

    cv2.setNumThreads(1)
    with scratch() as folder:
        for seed in SEEDS:
            plan, short = plan_operation(seed), plan_operation(seed, ENCODED_S)
            moments = [number * plan.duration_ms / SPREAD for number in range(SPREAD)]
            halves = range(0, plan.duration_ms, 1000 // TRUTH_FPS)
            render_frame(plan, 0, *SIZE)
            with told(f"seed {seed}, pictures", "fps", SPREAD):
                for at in moments:
                    render_frame(plan, at, *SIZE)
            with told(f"seed {seed}, with H.264", "fps", FPS * ENCODED_S):
                write_video(short, folder / "film.mp4", FPS, *SIZE)
            with told(f"seed {seed}, truth alone at {TRUTH_FPS} fps", "× real time", plan.duration_ms / 1000):
                for at in halves:
                    truth_at(plan, at, *SIZE)


if __name__ == "__main__":
    main()
