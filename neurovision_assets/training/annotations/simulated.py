"""The simulator's own folder, with exact truth.

    index.csv                           an operation a row: patient, surgeon, hospital, type, size, rate
    operation_001.mp4
    truth/operation_001/phases.csv, events.csv, boxes.csv, operation.json, anatomy/00001000.png

Spans of instruments in the body (`instruments.csv`) are not taken: boxes say when one is seen. Neither are
disturbances of the picture, which nothing learns.

Belongs here: names and files of the simulator. Does not belong here: our tables.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from neurovision_assets.training.annotations.draft import AnnotationError, Box, OperationDraft, Span, Who
from neurovision_assets.training.annotations.reading import finite_number, known, required, whole_number
from neurovision_assets.training.dataset.schemas import EVENT_KINDS, INSTRUMENTS, PHASES

CORNERS: Final = ("x_min_px", "y_min_px", "x_max_px", "y_max_px")
OPERATION_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,99}")
Rows = list[tuple[int, dict[str, str]]]


def read(folder: Path) -> Iterator[OperationDraft]:
    """The operations of a folder that ``make simulate`` wrote.

    Raises:
        AnnotationError: a file is missing or cannot be understood.
    """
    index = folder / "index.csv"
    required([index] if index.is_file() else [], folder, "index.csv of make simulate")
    columns = ("operation", "patient", "surgeon", "hospital", "operation_type", "duration_ms", "width_px", "height_px")
    for line, row in _rows(index, (*columns, "fps")):
        yield _operation(folder, index, line, row)


def _operation(folder: Path, index: Path, line: int, row: dict[str, str]) -> OperationDraft:
    if not OPERATION_NAME.fullmatch(row["operation"]):  # it becomes the name of files
        remedy = "Name it with letters, digits, '_' and '-'."
        raise AnnotationError(f"'{row['operation']}' is no name.", path=index, line=line, remedy=remedy)
    truth, video = folder / "truth" / row["operation"], folder / f"{row['operation']}.mp4"
    masks = sorted((truth / "anatomy").glob("*.png"))
    sampled = [(whole_number(path.stem, path, "name"), path) for path in masks]
    return OperationDraft(
        name=row["operation"],
        who=Who(row["patient"], row["surgeon"], row["hospital"], row["operation_type"]),
        duration_ms=whole_number(row["duration_ms"], index, line),
        size_px=(whole_number(row["width_px"], index, line), whole_number(row["height_px"], index, line)),
        fps=finite_number(row["fps"], index, line) if video.is_file() else None,
        video=video if video.is_file() else None,
        phases=_spans(truth / "phases.csv", "phase", PHASES),
        events=_spans(truth / "events.csv", "kind", EVENT_KINDS),
        boxes=tuple(_boxes(truth / "boxes.csv")) if sampled else (),
        boxes_at=tuple(moment for moment, _ in sampled) if sampled else None,
        masks=((moment, path.read_bytes()) for moment, path in sampled),
    )


def _spans(path: Path, column: str, names: tuple[str, ...]) -> tuple[Span, ...]:
    return tuple(
        Span(
            whole_number(row["start_ms"], path, line),
            whole_number(row["end_ms"], path, line),
            known({name: name for name in names}, row[column], path, line, column),
        )
        for line, row in _rows(path, ("start_ms", "end_ms", column))
    )


def _boxes(path: Path) -> Iterator[Box]:
    for line, row in _rows(path, ("timestamp_ms", "instrument", *CORNERS)):
        name = known({name: name for name in INSTRUMENTS}, row["instrument"], path, line, "instrument")
        corners = [finite_number(row[corner], path, line) for corner in CORNERS]
        yield Box(whole_number(row["timestamp_ms"], path, line), name, *corners)


def _rows(path: Path, columns: tuple[str, ...]) -> Rows:
    """Line number and values by column.

    Raises:
        AnnotationError: the file or a column is missing, a line is shorter than the header, or it is no text.
    """
    if not path.is_file():
        raise AnnotationError("The file is missing.", path=path, remedy="Simulate the set again.")
    try:
        with path.open(newline="", encoding="utf-8") as file:
            reader = csv.DictReader(file)
            rows = [(reader.line_num, row) for row in reader]
    except (UnicodeDecodeError, csv.Error) as error:
        raise AnnotationError(f"This is no table ({error}).", path=path, remedy="Simulate the set again.") from error
    missing = [column for column in columns if column not in (reader.fieldnames or ())]
    if missing:
        raise AnnotationError(f"There is no column {missing[0]}.", path=path, line=1, remedy="Simulate the set again.")
    for line, row in rows:
        if any(row[column] is None for column in columns):
            raise AnnotationError("The line is too short.", path=path, line=line, remedy="Simulate the set again.")
    return rows
