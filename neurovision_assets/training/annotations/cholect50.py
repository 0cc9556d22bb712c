"""CholecT50 (Nwoye et al., Rendezvous, 2022): phase and boxes of instruments' tips, a row an instrument and second.

    labels/VID70.json            or VID70.json
    videos/VID70/000008.png      or VID70/000008.jpg; the name is the second

A row is [triplet, instrument, score, x, y, w, h, verb, target, score, x, y, w, h, phase], boxes relative to the
picture, -1 for what is not there. Verbs and targets are not taken: no model of ours tells them. Where only single
seconds are labelled, as in the challenge's validation set, each label holds for its second alone.

Belongs here: names, ids and files of CholecT50. Does not belong here: our tables.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from neurovision_assets.training.annotations.cholec80 import CHOLECYSTECTOMY, HOSPITAL, number_of, patient_of
from neurovision_assets.training.annotations.draft import AnnotationError, Box, OperationDraft, Who
from neurovision_assets.training.annotations.reading import first_match, joined, json_file, known, required
from neurovision_assets.training.dataset.schemas import INSTRUMENTS, MOMENTS, PHASES, THROUGHOUT

SECOND_MS: Final = 1000
ROW_LENGTH: Final = 15
INSTRUMENT, BOX, PHASE = 1, slice(3, 7), 14
NOTHING: Final = -1
ORIGINAL_SIZE_PX: Final = (854, 480)
"""Size of the published pictures; taken where only labels are there."""
SPELLINGS: Final = {"carlot-triangle-dissection": "calot-triangle-dissection"}
_INSTRUMENTS: Final = {name: name for name in INSTRUMENTS}
_PHASES: Final = {name: name for name in PHASES}


@dataclass(frozen=True)
class _Rows:
    """The rows of one file, and how its ids are read."""

    path: Path
    instruments: dict[str, str]
    phases: dict[str, str]
    by_second: dict[int, list[list[float]]]

    def place(self, second: int) -> str:
        return f"annotations.{second}"


def read(folder: Path) -> Iterator[OperationDraft]:
    """The operations of a folder in CholecT50's layout.

    Raises:
        AnnotationError: a file cannot be understood, or there is none.
    """
    for path in required(first_match(folder, "labels/VID*.json", "VID*.json"), folder, "labels/VID01.json"):
        yield _operation(folder, path)


def _operation(folder: Path, path: Path) -> OperationDraft:
    rows, number = _rows(path), number_of(path, r"VID(\d+)\.json")
    seconds = sorted(rows.by_second)
    pictures = {
        picture: _second_of(picture)
        for picture in first_match(folder, f"videos/{path.stem}/*", f"data/{path.stem}/*", f"{path.stem}/*")
    }
    labelled = {second: picture for picture, second in pictures.items() if second in rows.by_second}
    size_px = _size_of(next(iter(pictures))) if pictures else ORIGINAL_SIZE_PX
    return OperationDraft(
        name=path.stem,
        who=Who(patient_of(number), "cholec80-unknown", HOSPITAL, CHOLECYSTECTOMY),
        duration_ms=(max(seconds) + 1) * SECOND_MS,
        labelled=THROUGHOUT if seconds == list(range(len(seconds))) else MOMENTS,
        size_px=size_px,
        phases=joined([(at * SECOND_MS, (at + 1) * SECOND_MS, _phase(rows, at)) for at in seconds]),
        boxes=tuple(box for second in seconds for box in _boxes(rows, second, size_px)),
        boxes_at=tuple(second * SECOND_MS for second in seconds),
        pictures=tuple((second * SECOND_MS, labelled[second]) for second in sorted(labelled)),
        notes=tuple(_notes(path, len(pictures), len(labelled), len(seconds))),
    )


def _rows(path: Path) -> _Rows:
    content = json_file(path)
    try:
        categories, annotations = content["categories"], content["annotations"]
        by_second = {int(second): list(rows) for second, rows in annotations.items()}
        instruments: dict[str, str] = dict(categories["instrument"])
        phases: dict[str, str] = dict(categories["phase"])
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise AnnotationError(
            f"This is no file of labels as CholecT50 has them ({error!r}).",
            path=path,
            remedy="Take the file from the data set again.",
        ) from error
    if not by_second:
        raise AnnotationError("There are no labels in it.", path=path, remedy="Leave the file out.")
    return _Rows(
        path,
        {key: known(_INSTRUMENTS, name, path, "categories", "instrument") for key, name in instruments.items()},
        {key: known(_PHASES, SPELLINGS.get(name, name), path, "categories", "phase") for key, name in phases.items()},
        by_second,
    )


def _phase(rows: _Rows, second: int) -> str:
    """The phase of a second, which all of its rows must agree on."""
    found = {_checked(rows, second, row)[PHASE] for row in rows.by_second[second]}
    if len(found) != 1:
        raise AnnotationError(
            f"The rows name {len(found)} phases.", path=rows.path, line=rows.place(second), remedy="Name one phase."
        )
    return known(rows.phases, str(int(found.pop())), rows.path, rows.place(second), "phase")


def _boxes(rows: _Rows, second: int, size_px: tuple[int, int]) -> Iterator[Box]:
    for row in rows.by_second[second]:
        if row[INSTRUMENT] == NOTHING:
            continue
        name = known(rows.instruments, str(int(row[INSTRUMENT])), rows.path, rows.place(second), "instrument")
        x, y, width, height = row[BOX]
        if min(x, y, width, height) < 0:
            raise AnnotationError(
                f"The {name} has no box.",
                path=rows.path,
                line=rows.place(second),
                remedy="Add it, or drop the row.",
            )
        corners = (x * size_px[0], y * size_px[1], (x + width) * size_px[0], (y + height) * size_px[1])
        yield Box(second * SECOND_MS, name, *corners)


def _checked(rows: _Rows, second: int, row: Any) -> Sequence[Any]:
    is_whole = isinstance(row, list) and len(row) == ROW_LENGTH
    if not is_whole or not all(isinstance(value, int | float) and math.isfinite(value) for value in row):
        raise AnnotationError(
            f"A row has not {ROW_LENGTH} numbers.",
            path=rows.path,
            line=rows.place(second),
            remedy="Take the file from the data set again.",
        )
    return list(row)


def _second_of(picture: Path) -> int:
    if not picture.stem.isdecimal():
        raise AnnotationError(
            "The name of a picture must be its second.", path=picture, remedy="Name it 000012.png, or remove it."
        )
    return int(picture.stem)


def _size_of(picture: Path) -> tuple[int, int]:
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(picture) as image:
            return image.size
    except (OSError, UnidentifiedImageError) as error:
        raise AnnotationError(
            "This is no picture.", path=picture, remedy="Take the file from the data set again."
        ) from error


def _notes(path: Path, pictures: int, labelled: int, seconds: int) -> Iterator[str]:
    if not pictures:
        yield f"{path.stem}: no pictures are there; boxes are taken as of {ORIGINAL_SIZE_PX[0]}x{ORIGINAL_SIZE_PX[1]}"
        return
    if pictures > labelled:
        yield f"{path.stem}: {pictures - labelled} of {pictures} pictures have no label and were left out"
    if seconds > labelled:
        yield f"{path.stem}: {seconds - labelled} of {seconds} labelled seconds have no picture"
