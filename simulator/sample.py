"""The bundled sample operation: one fixed minute, rendered on demand.

It has the seven Cholec80 phases, trocar placement and port closure, all seven instruments, and clips, smoke, a
bleeding, exchanges and an out-of-body view.

Belongs here: the one sample that documents and first runs speak of. Does not belong here: anything with a choice.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from simulator.operation import OperationPlan, plan_operation
from simulator.video import write_video

SAMPLE_SEED = 2026
SAMPLE_DURATION_S = 60.0


def sample_plan() -> OperationPlan:
    """The plan of the sample."""
    return plan_operation(SAMPLE_SEED, SAMPLE_DURATION_S)


def write_sample(path: Path, on_frame: Callable[[int, int], None] | None = None) -> OperationPlan:
    """Render the sample (640x480, 25 fps, H.264) to `path` and return its plan, which is its truth."""
    plan = sample_plan()
    processes = len(os.sched_getaffinity(0))
    write_video(plan, path, fps=25.0, width=640, height=480, codec="libx264", processes=processes, on_frame=on_frame)
    return plan
