"""Small annotated sets for tests, made by the simulator.

Belongs here: making them. Does not belong here: tests.
"""

from __future__ import annotations

from pathlib import Path

from simulator.cohort import cohort
from simulator.dataset import Recording, write_set

SIZE_PX = (320, 240)


def simulated_set(out: Path, count: int, *, seed: int = 0, duration_s: float = 20.0, videos: bool = True) -> Path:
    """Write a set of short operations with small pictures at 4 a second, boxes and masks at one; gives the folder."""
    recording = Recording(fps=4.0, size_px=SIZE_PX, truth_fps=1.0, videos=videos, layouts=False)
    write_set(cohort(count, seed, duration_s), out, recording, lambda member: lambda done, total: None)
    return out
