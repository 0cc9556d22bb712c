"""What of a set a folder holds already, so that an interrupted one goes on and a small one grows.

Belongs here: how a set was made, which of its operations are whole. Does not belong here: making them (`dataset`), the
index's columns (`cohort`).
"""

from __future__ import annotations

import csv
import fcntl
import hashlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import takewhile
from pathlib import Path

HOW_MADE = "recording.json"
INDEX = "index.csv"
FILES_OF_A_SET = (INDEX, "operation_*", "truth", "layouts")
"""What tells that a folder holds a set, also one that was not finished."""
REMEDY = "give another OUT=, or remove it"


def sources_digest() -> str:
    """SHA-256 of the simulator's own files: the same digest, the same operations."""
    digest = hashlib.sha256()
    for path in sorted(Path(__file__).parent.rglob("*")):
        if path.is_file() and path.suffix != ".pyc":
            digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()


@contextmanager
def held(out: Path) -> Iterator[None]:
    """Keep other processes from making a set in this folder meanwhile.

    Raises:
        BlockingIOError: another one makes a set there.
    """
    folder = os.open(out, os.O_RDONLY)
    try:
        try:
            fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise BlockingIOError(f"{out}: another process makes a set there: wait, or give another OUT=") from error
        yield
    finally:
        os.close(folder)


def begin(out: Path, how_made: Mapping[str, object], rows: Sequence[Mapping[str, object]]) -> int:
    """Write down how the set is made, or go on with the one that was begun in this folder in the same way.

    Args:
        out: the set's folder; it exists.
        how_made: what decides the files beside the operations themselves, as JSON has it; `videos`, whether there are.
        rows: what the index will say of each operation.

    Returns:
        How many of the operations are there, whole, before the first that is not.

    Raises:
        FileExistsError: the folder holds another set, or one of which nothing tells how it was made; nothing was
            written.
    """
    found = next((path for pattern in FILES_OF_A_SET for path in sorted(out.glob(pattern))), None)
    wanted = json.loads(json.dumps(how_made))
    if found is None:
        (out / HOW_MADE).write_text(json.dumps(wanted, indent=2) + "\n", encoding="utf-8")
        return 0
    told = _how_made(out / HOW_MADE)
    if told is None:
        raise FileExistsError(f"{out} holds a set already, {found.name} is there: {REMEDY}")
    for name in sorted({*wanted, *told}):
        if told.get(name) != wanted.get(name):
            raise FileExistsError(
                f"{out} holds a set with another {name}, {told.get(name)} and not {wanted.get(name)}: {REMEDY}"
            )
    whole = _index(out / INDEX)
    if any(there != {name: str(value) for name, value in row.items()} for there, row in zip(whole, rows, strict=False)):
        raise FileExistsError(f"{out} holds a set of other operations, its {INDEX} tells which: {REMEDY}")
    kept = takewhile(lambda row: _has_files(out, row["operation"], videos=bool(wanted["videos"])), whole[: len(rows)])
    return len(list(kept))


def _has_files(out: Path, name: str, *, videos: bool) -> bool:
    """Whether nobody removed an operation that the index names."""
    return (out / "truth" / name).is_dir() and (not videos or (out / f"{name}.mp4").is_file())


def _how_made(path: Path) -> dict[str, object] | None:
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return None
    return told if isinstance(told, dict) else None


def _index(path: Path) -> list[dict[str, str]]:
    if not path.exists():
        return []
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))
