"""Reading that several layouts share: tables in text, numbers, names, spans from labels.

Belongs here: what would otherwise be written twice. Does not belong here: any layout. Every error names file and line.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from neurovision_assets.training.annotations.draft import AnnotationError, Span

T = TypeVar("T")
SHOWN_NAMES = 12
DOWNLOAD_AGAIN = "Take the file from the data set again."


def text_rows(path: Path, columns: int) -> Iterator[tuple[int, list[str]]]:
    """Line number and fields of every line with something in it, separated by tabs or spaces.

    Raises:
        AnnotationError: a line has another number of fields, or the file is no text.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise AnnotationError(f"The file cannot be read ({error}).", path=path, remedy=DOWNLOAD_AGAIN) from error
    for number, line in enumerate(lines, 1):
        fields = line.split()
        if fields and len(fields) != columns:
            raise AnnotationError(
                f"There are {len(fields)} fields and {columns} are expected.",
                path=path,
                line=number,
                remedy=DOWNLOAD_AGAIN,
            )
        if fields:
            yield number, fields


def whole_number(text: str, path: Path, line: int | str) -> int:
    """A whole number from 0.

    Raises:
        AnnotationError: it is none.
    """
    if not text.isdecimal():
        raise AnnotationError(f"'{text}' is no whole number.", path=path, line=line, remedy="Correct the line.")
    return int(text)


def finite_number(text: str, path: Path, line: int | str) -> float:
    """A finite number.

    Raises:
        AnnotationError: it is none.
    """
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise AnnotationError(f"'{text}' is no number.", path=path, line=line, remedy="Correct the line.")
    return value


def known(names: Mapping[str, T], name: str, path: Path, line: int | str, what: str) -> T:
    """What a name of the set means.

    Raises:
        AnnotationError: the set has no such name.
    """
    if name not in names:
        raise AnnotationError(
            f"There is no {what} '{name}'.",
            path=path,
            line=line,
            remedy=f"Correct it; known are {', '.join(list(names)[:SHOWN_NAMES])}.",
        )
    return names[name]


def json_file(path: Path) -> Any:
    """The content of a JSON file.

    Raises:
        AnnotationError: it cannot be read; the line is named.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except json.JSONDecodeError as error:
        raise AnnotationError(
            f"This is not JSON ({error.msg}).", path=path, line=error.lineno, remedy=DOWNLOAD_AGAIN
        ) from error
    except (OSError, UnicodeDecodeError) as error:
        raise AnnotationError(f"The file cannot be read ({error}).", path=path, remedy=DOWNLOAD_AGAIN) from error


def joined(labels: Sequence[tuple[int, int, str]]) -> tuple[Span, ...]:
    """Spans from labels (start_ms, end_ms, name) in order: neighbours of one name that touch become one."""
    spans: list[Span] = []
    for start_ms, end_ms, name in labels:
        if spans and spans[-1].name == name and spans[-1].end_ms == start_ms:
            spans[-1] = Span(spans[-1].start_ms, end_ms, name)
        else:
            spans.append(Span(start_ms, end_ms, name))
    return tuple(spans)


def first_match(folder: Path, *patterns: str) -> list[Path]:
    """Files of the first pattern that finds any, in order of their names."""
    return next((found for pattern in patterns if (found := sorted(folder.glob(pattern)))), [])


def required(files: Sequence[Path], folder: Path, expected: str) -> Sequence[Path]:
    """The files themselves.

    Raises:
        AnnotationError: there are none.
    """
    if not files:
        raise AnnotationError(
            f"Nothing of this data set is there; {expected} is expected.",
            path=folder,
            remedy="Give the folder that holds it: PATH_TO=folder.",
        )
    return files


def video_facts(path: Path) -> tuple[tuple[int, int], float, int]:
    """Width and height upright, frames a second on average, and length in ms of a video.

    Raises:
        PermanentFailure: it cannot be decoded.
    """
    from neurovision_assets.surgery.video.probe import probe_video

    probe = probe_video(path, subject=path.name)
    return (probe.display_width_px, probe.display_height_px), probe.frame_rate_fps, probe.duration_ms
