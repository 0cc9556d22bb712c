"""M2CAI 2016 challenge: two sets of videos, one with phases (`workflow_video_NN`), one with tools (`tool_video_NN`).

    workflow/workflow_video_01.txt   Frame, Phase: Cholec80's and trocar placement (Stauder et al. 2016)
    tool/tool_video_01.txt           Frame and a column a tool (Twinanda et al. 2017)
    *.mp4                            beside their files

The tool videos come from Cholec80, and it is not published from which operations: a test on one of these sets says
little about a model that learned from the other. The same number in both sets does not mean the same operation.

Belongs here: names and files of the challenge. Does not belong here: our tables.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from neurovision_assets.training.annotations import cholec80
from neurovision_assets.training.annotations.draft import OperationDraft, Who
from neurovision_assets.training.annotations.reading import first_match, required

PHASES: Final = {"TrocarPlacement": "trocar-placement", **cholec80.PHASES}
"""The set's names and ours, in the order of its ids."""


def read(folder: Path) -> Iterator[OperationDraft]:
    """The operations of a folder in the challenge's layout.

    Raises:
        AnnotationError: a file cannot be understood, or there is none.
    """
    workflow = first_match(folder, "workflow/workflow_video_*.txt", "*/workflow_video_*.txt", "workflow_video_*.txt")
    tool = first_match(folder, "tool/tool_video_*.txt", "*/tool_video_*.txt", "tool_video_*.txt")
    required([*workflow, *tool], folder, "workflow/workflow_video_01.txt or tool/tool_video_01.txt")
    for path in workflow:
        labels = cholec80.read_phases(path, PHASES)
        draft = OperationDraft(path.stem, _who(path, "workflow"), labels.duration_ms, phases=labels.spans)
        yield cholec80.with_video(first_match(path.parent, f"{path.stem}.mp4"), draft)
    for path in tool:
        seen = cholec80.read_tools(path)
        duration_ms = max(seen, default=0) + 1000
        draft = OperationDraft(path.stem, _who(path, "tool"), duration_ms, presence=seen)
        yield cholec80.with_video(first_match(path.parent, f"{path.stem}.mp4"), draft)


def _who(path: Path, kind: str) -> Who:
    number = cholec80.number_of(path, rf"{kind}_video_(\d+)\.txt")
    patient = f"m2cai16-{kind}-patient{number:02d}"
    return Who(patient, "m2cai16-unknown", "m2cai16-unknown", cholec80.CHOLECYSTECTOMY)
