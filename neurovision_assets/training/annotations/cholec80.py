"""Cholec80 (Twinanda et al., EndoNet, 2017): phases of every frame and tools of every second, 80 operations.

    phase_annotations/video01-phase.txt   Frame, Phase; frames of a clock of 25 a second
    tool_annotations/video01-tool.txt     Frame and a column a tool, 0 or 1
    videos/video01.mp4

The folder may also hold the phase files alone. Files without a header and with the ids 0..6, as evaluations pass them
on, are read too. Who operated is not published: the surgeon is one unknown for all.

Belongs here: names and clock of Cholec80, and the reading that m2cai16 shares. Does not belong here: our tables.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from neurovision_assets.training.annotations.draft import AnnotationError, OperationDraft, Span, Who
from neurovision_assets.training.annotations.reading import (
    first_match,
    joined,
    known,
    required,
    text_rows,
    video_facts,
    whole_number,
)

CLOCK_FPS: Final = 25
CLOCK_STEP_MS: Final = 1000 // CLOCK_FPS
CHOLECYSTECTOMY: Final = "laparoscopic-cholecystectomy"
HOSPITAL: Final = "strasbourg"

PHASES: Final = {
    "Preparation": "preparation",
    "CalotTriangleDissection": "calot-triangle-dissection",
    "ClippingCutting": "clipping-and-cutting",
    "GallbladderDissection": "gallbladder-dissection",
    "GallbladderPackaging": "gallbladder-packaging",
    "CleaningCoagulation": "cleaning-and-coagulation",
    "GallbladderRetraction": "gallbladder-extraction",
}
"""The set's names and ours, in the order of its ids 0..6."""

TOOLS: Final = {
    "Grasper": "grasper",
    "Bipolar": "bipolar",
    "Hook": "hook",
    "Scissors": "scissors",
    "Clipper": "clipper",
    "Irrigator": "irrigator",
    "SpecimenBag": "specimen-bag",
}


@dataclass(frozen=True)
class PhaseLabels:
    """Phases of one operation, and the length that they cover."""

    spans: tuple[Span, ...]
    duration_ms: int


def patient_of(number: int) -> str:
    """The patient of a Cholec80 video; CholecT50 and CholecSeg8k show the same operations under the same numbers."""
    return f"cholec80-patient{number:02d}"


def read(folder: Path) -> Iterator[OperationDraft]:
    """The operations of a folder in Cholec80's layout.

    Raises:
        AnnotationError: a file cannot be understood, or there is none.
    """
    files = first_match(folder, "phase_annotations/video*-phase.txt", "video*-phase.txt")
    for path in required(files, folder, "phase_annotations/video01-phase.txt"):
        stem = path.name.removesuffix("-phase.txt")
        number = number_of(path, r"video(\d+)-phase\.txt")
        labels = read_phases(path, PHASES)
        tools = folder / "tool_annotations" / f"{stem}-tool.txt"
        who = Who(patient_of(number), "cholec80-unknown", HOSPITAL, CHOLECYSTECTOMY)
        presence = read_tools(tools) if tools.is_file() else None
        yield with_video(
            first_match(folder, f"videos/{stem}.mp4", f"{stem}.mp4"),
            OperationDraft(stem, who, labels.duration_ms, phases=labels.spans, presence=presence),
        )


def number_of(path: Path, pattern: str) -> int:
    """The operation's number in a file's name.

    Raises:
        AnnotationError: there is none.
    """
    match = re.fullmatch(pattern, path.name)
    if match is None:
        raise AnnotationError("The name holds no operation's number.", path=path, remedy="Give it the set's own name.")
    return int(match[1])


def read_phases(path: Path, phases: Mapping[str, str]) -> PhaseLabels:
    """The phases of a file; a label holds until the next one, the last as long as the one before.

    Args:
        path: the file.
        phases: the set's names and ours, in the order of its ids.

    Raises:
        AnnotationError: a line cannot be understood, or frames are missing or twice.
    """
    names = {**phases, **{str(number): ours for number, ours in enumerate(phases.values())}}
    frames, labels = [], []
    for line, (frame, phase) in text_rows(path, 2):
        if (frame, phase) == ("Frame", "Phase"):
            continue
        frames.append(whole_number(frame, path, line))
        labels.append(known(names, phase, path, line, "phase"))
        _check_step(frames, path, line)
    if len(frames) < 2:
        raise AnnotationError("There are fewer than two labels.", path=path, remedy="Take the file from the set again.")
    starts_ms = [frame * CLOCK_STEP_MS for frame in frames]
    step_ms = starts_ms[1] - starts_ms[0]
    return PhaseLabels(
        joined([(start, start + step_ms, name) for start, name in zip(starts_ms, labels, strict=True)]),
        starts_ms[-1] + step_ms,
    )


def _check_step(frames: list[int], path: Path, line: int) -> None:
    if len(frames) == 1:
        wrong = "the first frame is not 0" if frames[0] else ""
    else:
        step = frames[1] - frames[0]
        wrong = f"frame {frames[-1]} follows {frames[-2]}" if frames[-1] - frames[-2] != step or step <= 0 else ""
    if wrong:
        raise AnnotationError(
            f"Frames do not follow each other evenly from 0: {wrong}.",
            path=path,
            line=line,
            remedy="Complete or correct the lines around it.",
        )


def read_tools(path: Path) -> dict[int, tuple[str, ...]]:
    """Instruments that are seen at each labelled moment in ms.

    Raises:
        AnnotationError: a line cannot be understood.
    """
    seen: dict[int, tuple[str, ...]] = {}
    columns: list[str] = []
    for line, (frame, *values) in text_rows(path, 1 + len(TOOLS)):
        if not columns:
            columns = [known(TOOLS, name, path, line, "tool") for name in values]
            continue
        for value in values:
            if value not in {"0", "1"}:
                raise AnnotationError(
                    f"'{value}' is neither 0 nor 1.", path=path, line=line, remedy="Correct the line."
                )
        moment_ms = whole_number(frame, path, line) * CLOCK_STEP_MS
        if seen and moment_ms <= max(seen):
            raise AnnotationError(
                f"Frame {frame} does not come after the one before.", path=path, line=line, remedy="Correct the line."
            )
        seen[moment_ms] = tuple(name for name, value in zip(columns, values, strict=True) if value == "1")
    return seen


def with_video(videos: list[Path], draft: OperationDraft) -> OperationDraft:
    """The operation with its video's size, rate and length, where there is one."""
    if not videos:
        return draft
    size_px, fps, duration_ms = video_facts(videos[0])
    return replace(draft, video=videos[0], size_px=size_px, fps=fps, duration_ms=duration_ms)
