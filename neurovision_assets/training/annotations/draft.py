"""What a reader of a layout gives: one operation at a time.

Belongs here: the form that all layouts are brought into, and the error that names a line. Does not belong here: any
layout, our tables (``importing``).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from neurovision_assets.training.dataset.schemas import THROUGHOUT
from resources.errors import PermanentFailure


class AnnotationError(PermanentFailure):
    """A file of annotations cannot be understood.

    Args:
        problem: what is wrong, one sentence.
        path: the file or folder.
        line: its line, from 1; None where lines mean nothing.
        remedy: what to do, one sentence.
    """

    def __init__(self, problem: str, *, path: Path, remedy: str, line: int | str | None = None) -> None:
        where = f"{path}, line {line}" if isinstance(line, int) else f"{path}, {line}" if line else str(path)
        super().__init__(problem, subject=where, remedy=remedy)


class Span(NamedTuple):
    """A phase or an event from `start_ms` to before `end_ms`."""

    start_ms: int
    end_ms: int
    name: str


class Box(NamedTuple):
    """An instrument's box at a moment, pixels of the source picture."""

    timestamp_ms: int
    instrument: str
    x_min_px: float
    y_min_px: float
    x_max_px: float
    y_max_px: float


class Who(NamedTuple):
    """Who was operated, by whom, where and what; an empty string where nobody says."""

    patient: str
    surgeon: str
    hospital: str
    operation_type: str


@dataclass(frozen=True)
class OperationDraft:
    """One operation as a layout has it.

    Attributes:
        name: in the set.
        who: people and place.
        duration_ms: length.
        labelled: whether phases are known throughout or at moments.
        size_px: width and height of the source picture, None without pictures.
        fps: of the video, None without one.
        video: its file.
        phases: in order.
        events: in order.
        boxes: at the moments of ``boxes_at``.
        boxes_at: moments that were looked at for boxes, None where the set has no boxes.
        presence: instruments seen at each moment that was looked at, None where the set has none, or has boxes.
        masks: moment and PNG of our class ids; read once.
        pictures: moment and file of single pictures, where there is no video.
        notes: what of the set was left out, a sentence each.
    """

    name: str
    who: Who
    duration_ms: int
    labelled: str = THROUGHOUT
    size_px: tuple[int, int] | None = None
    fps: float | None = None
    video: Path | None = None
    phases: tuple[Span, ...] = ()
    events: tuple[Span, ...] = ()
    boxes: tuple[Box, ...] = ()
    boxes_at: tuple[int, ...] | None = None
    presence: Mapping[int, tuple[str, ...]] | None = None
    masks: Iterable[tuple[int, bytes]] = ()
    pictures: tuple[tuple[int, Path], ...] = ()
    notes: tuple[str, ...] = field(default=())
