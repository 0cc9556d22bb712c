"""The layout of the M2CAI 2016 challenge: `workflow_video_NN.txt` and `tool_video_NN.txt`.

As Cholec80's, with an eighth phase, trocar placement, and other file names (Stauder et al., The TUM LapChole dataset,
2016; Twinanda et al. 2017).

Belongs here: names and files of the challenge. Does not belong here: what is true.
"""

from __future__ import annotations

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from pathlib import Path
from typing import Final

from simulator.layouts import cholec80
from simulator.operation import OperationPlan

PHASES: Final = {"trocar-placement": "TrocarPlacement", **cholec80.PHASES}
"""Our names and the challenge's, in the order of its class ids."""


def write(plan: OperationPlan, tools: Sequence[AbstractSet[str]], number: int, folder: Path) -> None:
    """Write both files; `tools` are the instruments seen in every second, from 0."""
    ours = cholec80.frame_phases(plan)
    phases = [PHASES[phase if phase in PHASES else cholec80.of_seven(phase)] for phase in ours]
    workflow = folder / "workflow" / f"workflow_video_{number:02d}.txt"
    cholec80.write_table(workflow, ("Frame", "Phase"), enumerate(phases))
    cholec80.write_tools(folder / "tool" / f"tool_video_{number:02d}.txt", tools)
