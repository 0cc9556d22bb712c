"""``make import``: an annotated set, whatever its layout, becomes tables in the data sets' repository.

Belongs here: which layouts there are, drafts to rows, putting a whole set in place. Does not belong here: the layouts,
DVC. A set appears whole or not at all, and under its name it replaces what was there.
"""

from __future__ import annotations

import filecmp
import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from neurovision_assets.tables import TableContract
from neurovision_assets.training.annotations import cholec80, cholecseg8k, cholect50, m2cai16, simulated
from neurovision_assets.training.annotations.draft import AnnotationError, OperationDraft, Span
from neurovision_assets.training.dataset.folder import DatasetFolder, write_rows
from neurovision_assets.training.dataset.layout import EXTERNAL, VIDEOS, Layout, checked_set_name
from neurovision_assets.training.dataset.schemas import (
    BOXES,
    BOXES_KIND,
    EVENT_SPANS,
    MASKS,
    OPERATIONS,
    PHASE_SPANS,
    PICTURES,
    PRESENCE,
    PRESENCE_KIND,
    SEEN_MOMENTS,
)
from resources.errors import PermanentFailure, TransientFailure

Rows = list[dict[str, Any]]
READERS: Final[dict[str, Callable[[Path], Iterator[OperationDraft]]]] = {
    "cholec80": cholec80.read,
    "m2cai16": m2cai16.read,
    "cholect50": cholect50.read,
    "cholecseg8k": cholecseg8k.read,
    "simulator": simulated.read,
}
PEOPLE: Final = ("patient", "surgeon", "hospital", "operation_type")
"""What ``raw/metadata/operations.json`` says of an operation, and a person may complete there."""


@dataclass(frozen=True)
class Imported:
    """What was taken in.

    Attributes:
        name: the set's.
        rows: how many, by table.
        notes: what was left out, a sentence each.
    """

    name: str
    rows: dict[str, int]
    notes: tuple[str, ...]


def import_set(dataset: str, source: Path, layout: Layout, name: str | None = None) -> Imported:
    """Take in a set.

    Args:
        dataset: its layout, a key of ``READERS``.
        source: the folder that holds it.
        layout: where it goes.
        name: what it is called there; the layout's name when None.

    Raises:
        AnnotationError: a file cannot be understood; file, line and remedy are named.
        PermanentFailure: there is no such layout, or the name cannot be one.
        TransientFailure: a file cannot be copied, or the disk is full.
    """
    if dataset not in READERS:
        raise PermanentFailure(
            f"There is no importer for '{dataset}'.", subject="DATASET", remedy=f"Take one of {', '.join(READERS)}."
        )
    if not source.is_dir():
        raise AnnotationError("There is no such folder.", path=source, remedy="Give the set's folder: PATH_TO=folder.")
    name = checked_set_name(name or dataset)
    partial = layout.root / EXTERNAL / f".{name}"
    shutil.rmtree(partial, ignore_errors=True)
    try:
        writer = _SetWriter(DatasetFolder(partial), layout, name)
        for draft in READERS[dataset](source):
            writer.add(draft)
        imported = writer.finish()
        writer.put_videos()
        shutil.rmtree(layout.imported(name).root, ignore_errors=True)
        partial.replace(layout.imported(name).root)
    except OSError as error:
        raise TransientFailure(
            f"A file cannot be read or copied ({error.strerror or error}).",
            subject=str(error.filename or source),
            remedy="Remove the cause and import the set again; what was imported before is still there.",
        ) from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    note_people(layout, writer.operations)
    return imported


class _SetWriter:
    """Gathers rows operation by operation; pictures and masks go to files at once, so that few are in memory."""

    def __init__(self, folder: DatasetFolder, layout: Layout, name: str) -> None:
        self._folder = folder
        self._layout = layout
        self._name = name
        self.operations: Rows = []
        self._rows: dict[TableContract, Rows] = {each: [] for each in (PHASE_SPANS, EVENT_SPANS, BOXES, PRESENCE)}
        self._moments: Rows = []
        self._masks: Rows = []
        self._pictures = 0
        self._videos: dict[Path, Path] = {}
        self._notes: list[str] = []

    def add(self, draft: OperationDraft) -> None:
        """Take in one operation."""
        operation = f"{self._name}_{draft.name.lower()}"
        said = {"operation": operation, "author": self._name, "annotated_at": None}
        self.operations.append(self._operation(operation, draft))
        self._rows[PHASE_SPANS] += [{**said, **_span(span, "phase")} for span in draft.phases]
        self._rows[EVENT_SPANS] += [{**said, **_span(span, "kind")} for span in draft.events]
        self._rows[BOXES] += [{**said, **box._asdict()} for box in draft.boxes]
        for moment_ms in draft.boxes_at or ():
            self._moments.append({**said, "timestamp_ms": moment_ms, "kind": BOXES_KIND})
        for moment_ms, names in (draft.presence or {}).items():
            self._moments.append({**said, "timestamp_ms": moment_ms, "kind": PRESENCE_KIND})
            seen = [{"operation": operation, "timestamp_ms": moment_ms, "instrument": each} for each in names]
            self._rows[PRESENCE] += seen
        self._masks += [{**said, "timestamp_ms": at, "png": png} for at, png in draft.masks]
        self._pictures += write_rows(
            self._folder.pictures_path(PICTURES, operation),
            PICTURES,
            (
                {"operation": operation, "timestamp_ms": moment_ms, "picture": path.read_bytes()}
                for moment_ms, path in draft.pictures
            ),
        )
        self._notes += draft.notes

    def finish(self) -> Imported:
        """Write the tables."""
        written = {OPERATIONS: self.operations, **self._rows, SEEN_MOMENTS: self._moments, MASKS: self._masks}
        rows = {contract.name: self._folder.write(contract, rows) for contract, rows in written.items()}
        found = {**rows, PICTURES.name: self._pictures, "videos": len(self._videos)}
        return Imported(self._name, found, tuple(self._notes))

    def put_videos(self) -> None:
        """Copy the videos into the repository; one that is there already is left alone."""
        for source, target in self._videos.items():
            if target.is_file() and filecmp.cmp(source, target, shallow=False):
                continue
            target.parent.mkdir(parents=True, exist_ok=True)
            partial = target.with_name(f".{target.name}.partial")
            try:
                shutil.copyfile(source, partial)
                partial.replace(target)  # never into the old file: it may be a link into DVC's cache
            finally:
                partial.unlink(missing_ok=True)

    def _operation(self, operation: str, draft: OperationDraft) -> dict[str, Any]:
        video = ""
        if draft.video is not None:
            target = self._layout.video(operation, draft.video.suffix.lower())
            self._videos[draft.video] = target
            video = f"{VIDEOS}/{target.name}"
        width_px, height_px = draft.size_px or (None, None)
        return {
            "operation": operation,
            **draft.who._asdict(),
            "source": self._name,
            "duration_ms": draft.duration_ms,
            "width_px": width_px,
            "height_px": height_px,
            "fps": draft.fps,
            "video": video,
            "labelled": draft.labelled,
        }


def note_people(layout: Layout, operations: Rows) -> None:
    """Write down who, where and what of new operations; what a person has completed stays (NV-007)."""
    known = read_people(layout)
    for row in operations:
        before = known.get(row["operation"], {})
        known[row["operation"]] = {key: before.get(key) or row[key] for key in PEOPLE}
    layout.metadata.parent.mkdir(parents=True, exist_ok=True)
    records = [{"operation": operation, **known[operation]} for operation in sorted(known)]
    layout.metadata.write_text(json.dumps(records, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def read_people(layout: Layout) -> dict[str, dict[str, str]]:
    """Who, where and what, by operation.

    Raises:
        PermanentFailure: the file cannot be understood.
    """
    if not layout.metadata.is_file():
        return {}
    try:
        records = json.loads(layout.metadata.read_text(encoding="utf-8"))
        return {record["operation"]: {key: str(record[key]) for key in PEOPLE} for record in records}
    except (ValueError, KeyError, TypeError) as error:
        raise PermanentFailure(
            f"The file cannot be understood ({error!r}).", subject=str(layout.metadata), remedy="Correct it."
        ) from error


def _span(span: Span, column: str) -> dict[str, Any]:
    return {"start_ms": span.start_ms, "end_ms": span.end_ms, column: span.name}
