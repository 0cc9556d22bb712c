"""Cholec80's layout (Twinanda et al., EndoNet, 2017): tab-separated text with a header.

`videoNN-phase.txt` names the phase of every frame of a clock of 25 a second, `videoNN-tool.txt` says at every 25th of
them which of the seven tools is seen. Frames count that clock whatever the rate of the video itself.

Belongs here: names and files of Cholec80. Does not belong here: what is true.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from collections.abc import Set as AbstractSet
from pathlib import Path
from typing import Final

from simulator.operation import OperationPlan
from simulator.vocabulary import INSTRUMENTS

CLOCK_FPS: Final = 25

PHASES: Final = {
    "preparation": "Preparation",
    "calot-triangle-dissection": "CalotTriangleDissection",
    "clipping-and-cutting": "ClippingCutting",
    "gallbladder-dissection": "GallbladderDissection",
    "gallbladder-packaging": "GallbladderPackaging",
    "cleaning-and-coagulation": "CleaningCoagulation",
    "gallbladder-extraction": "GallbladderRetraction",
}
"""Our names and the data set's, in the order of its class ids."""

NEAREST: Final = {
    "trocar-placement": "preparation",
    "adhesiolysis": "preparation",
    "drain-placement": "cleaning-and-coagulation",
    "port-closure": "gallbladder-extraction",
}
"""By hand: the phase of the seven under which each of the four others is filed."""

TOOLS: Final = ("Grasper", "Bipolar", "Hook", "Scissors", "Clipper", "Irrigator", "SpecimenBag")
"""In the order of `vocabulary.INSTRUMENTS`."""


def of_seven(phase: str) -> str:
    """One of the seven phases for each of ours."""
    return NEAREST.get(phase, phase)


def frame_phases(plan: OperationPlan) -> list[str]:
    """Our name of the phase at every frame of the clock."""
    count = plan.duration_ms * CLOCK_FPS // 1000
    return [plan.phase_at(frame * 1000 / CLOCK_FPS).phase for frame in range(count)]


def write(plan: OperationPlan, tools: Sequence[AbstractSet[str]], number: int, folder: Path) -> None:
    """Write both files; `tools` are the instruments seen in every second, from 0."""
    phases = [PHASES[of_seven(phase)] for phase in frame_phases(plan)]
    write_table(folder / "phase_annotations" / f"video{number:02d}-phase.txt", ("Frame", "Phase"), enumerate(phases))
    write_tools(folder / "tool_annotations" / f"video{number:02d}-tool.txt", tools)


def write_tools(path: Path, tools: Sequence[AbstractSet[str]]) -> None:
    """Write which tools are seen, a row a second."""
    rows = (
        (second * CLOCK_FPS, *(int(instrument in seen) for instrument in INSTRUMENTS))
        for second, seen in enumerate(tools)
    )
    write_table(path, ("Frame", *TOOLS), rows)


def write_table(path: Path, header: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Write rows under a header, separated by tabs."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = ("\t".join(map(str, row)) for row in (header, *rows))
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
