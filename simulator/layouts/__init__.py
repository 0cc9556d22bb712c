"""Writes the truth of operations in the layouts of the public data sets, so that their readers can be tried on it.

Belongs here: one module a data set, each with where its layout is described. Does not belong here: our own truth folder
(`truth`), reading (the importers').

    cholec80/phase_annotations/video01-phase.txt, tool_annotations/video01-tool.txt
    m2cai16/workflow/workflow_video_01.txt, tool/tool_video_01.txt
    cholect50/labels/VID01.json
    cholecseg8k/video01/video01_00080/frame_80_endo.png and its three masks
"""

from __future__ import annotations

from pathlib import Path

from simulator.layouts import cholec80, cholecseg8k, cholect50, m2cai16
from simulator.operation import OperationPlan
from simulator.render import truth_at

NAMES = ("cholec80", "m2cai16", "cholect50", "cholecseg8k")
SECOND_MS = 1000


def write_layouts(plan: OperationPlan, number: int, folder: Path, size: tuple[int, int]) -> None:
    """Write an operation's truth in all four layouts.

    Args:
        plan: the operation.
        number: its number in the data set, from 1.
        folder: gets a folder for each data set.
        size: width and height of its pictures in pixels.
    """
    seen = [truth_at(plan, at, *size) for at in range(0, plan.duration_ms, SECOND_MS)]
    tools = [{one.instrument for one in truth.instruments} for truth in seen]
    cholec80.write(plan, tools, number, folder / "cholec80")
    m2cai16.write(plan, tools, number, folder / "m2cai16")
    cholect50.write(seen, number, folder / "cholect50", size)
    cholecseg8k.write(plan, number, folder / "cholecseg8k", size)
