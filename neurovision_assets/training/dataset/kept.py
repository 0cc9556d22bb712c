"""Corrections as they lie in the data sets' repository, each kind of each in a file of its own.

Belongs here: the files' names and text, writing, reading, counting. Does not belong here: the form of a correction
(``corrections``), which word counts in the end (``merge``). The same word given twice is one file.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from datetime import UTC
from pathlib import Path

from pydantic import ValidationError

from neurovision_assets.training.annotations.draft import AnnotationError
from neurovision_assets.training.dataset.corrections import Correction, in_words
from neurovision_assets.training.dataset.layout import CORRECTIONS, KINDS, Layout


def texts_of(corrections: Iterable[Correction], layout: Layout) -> dict[Path, str]:
    """The text of every file that corrections become; nothing is written.

    Raises:
        AnnotationError: a text could not be read again; written, it would stop all learning.
    """
    texts = {}
    for correction in corrections:
        for kind in KINDS:
            if not getattr(correction, kind):
                continue
            others = {other: () for other in KINDS if other != kind}
            text = correction.model_copy(update=others).model_dump_json(indent=1, exclude_defaults=True)
            digest = hashlib.sha256(text.encode()).hexdigest()[:12]
            path = layout.corrections(kind) / f"{correction.annotated_at.astimezone(UTC):%Y%m%dT%H%M%SZ}-{digest}.json"
            _parsed(text, path, "Correct what was given; nothing was taken.")
            texts[path] = text + "\n"
    return texts


def keep(texts: Mapping[Path, str]) -> list[Path]:
    """Write the files of corrections; gives those that are new."""
    new = [path for path in texts if not path.is_file()]
    for path in new:
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_suffix(".partial")
        partial.write_text(texts[path], encoding="utf-8")
        partial.replace(path)
    return new


def kept_corrections(layout: Layout) -> list[Correction]:
    """All corrections, the earliest first; of two at one time the order is that of their files' names.

    Raises:
        AnnotationError: a file was altered and has the form no more.
    """
    remedy = f"Correct or remove the file; in {layout.root}, dvc checkout {CORRECTIONS} brings back what was recorded."
    paths = [path for kind in KINDS for path in sorted(layout.corrections(kind).glob("*.json"))]
    found = [_parsed(path.read_bytes(), path, remedy) for path in paths]
    return sorted(found, key=lambda correction: correction.annotated_at)


def count_words(corrections: Iterable[Correction]) -> dict[str, int]:
    """How many spans and moments corrections speak of, by kind."""
    found = list(corrections)
    return {kind: sum(len(getattr(correction, kind)) for correction in found) for kind in KINDS}


def _parsed(text: str | bytes, path: Path, remedy: str) -> Correction:
    try:
        return Correction.model_validate_json(text)
    except ValidationError as error:
        problem, place = in_words(error)
        raise AnnotationError(problem, path=path, line=place, remedy=remedy) from error
