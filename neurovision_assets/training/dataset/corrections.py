"""``make correct``: a reviewer's word, an annotation like any other, with author and time.

Belongs here: the form of a corrections file, checking it, keeping it by kind. Does not belong here: which word counts
in the end (``merge``). A file is taken whole or not at all; the same word given twice is one.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Iterable, Mapping
from datetime import UTC
from pathlib import Path
from typing import Any, Self

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from neurovision_assets.training.annotations.draft import AnnotationError
from neurovision_assets.training.dataset.layout import KINDS, Layout
from neurovision_assets.training.dataset.masks import read_mask
from neurovision_assets.training.dataset.schemas import EVENT_KINDS, INSTRUMENTS, PHASES


class _Word(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class _Span(_Word):
    start_ms: int = Field(ge=0)
    end_ms: int = Field(ge=0)

    @model_validator(mode="after")
    def _has_length(self) -> Self:
        if self.end_ms <= self.start_ms:
            raise ValueError("end_ms must be after start_ms")
        return self


class PhaseWord(_Span):
    """From here to there it is this phase."""

    phase: str

    @field_validator("phase")
    @classmethod
    def _known(cls, name: str) -> str:
        return _one_of(PHASES, name)


class EventWord(_Span):
    """Something happened."""

    kind: str

    @field_validator("kind")
    @classmethod
    def _known(cls, name: str) -> str:
        return _one_of(EVENT_KINDS, name)


class EventsWord(_Span):
    """These are all events that touch the span."""

    events: tuple[EventWord, ...]


class BoxWord(_Word):
    """One instrument, pixels of the source picture."""

    instrument: str
    x_min_px: float
    y_min_px: float
    x_max_px: float
    y_max_px: float

    @field_validator("instrument")
    @classmethod
    def _known(cls, name: str) -> str:
        return _one_of(INSTRUMENTS, name)


class InstrumentsWord(_Word):
    """These are all instruments that are seen at the moment."""

    timestamp_ms: int = Field(ge=0)
    boxes: tuple[BoxWord, ...]


class AnatomyWord(_Word):
    """The class of every pixel of the source picture at the moment: a PNG of one byte a pixel, in base64."""

    timestamp_ms: int = Field(ge=0)
    png_base64: str

    @field_validator("png_base64")
    @classmethod
    def _is_a_mask(cls, text: str) -> str:
        try:
            read_mask(base64.b64decode(text, validate=True))
        except (binascii.Error, ValueError) as error:
            raise ValueError(f"not a mask: {error}") from error
        return text

    @property
    def png(self) -> bytes:
        """The PNG."""
        return base64.b64decode(self.png_base64)


class Correction(_Word):
    """What one person said of one operation at one time.

    Attributes:
        operation: its name in the data set, or the video_id of a video of this platform.
        author: the person's pseudonym.
        annotated_at: when, with the time zone.
        phases: spans of phases; what lies outside of them stays.
        instruments: moments with all of their boxes.
        anatomy: moments with their masks.
        events: spans with all of their events.
    """

    operation: str = Field(min_length=1)
    author: str = Field(min_length=1)
    annotated_at: AwareDatetime
    phases: tuple[PhaseWord, ...] = ()
    instruments: tuple[InstrumentsWord, ...] = ()
    anatomy: tuple[AnatomyWord, ...] = ()
    events: tuple[EventsWord, ...] = ()

    @property
    def last_moment_ms(self) -> int:
        """The latest moment that it speaks of, exclusive."""
        ends = [span.end_ms for span in self.phases] + [window.end_ms for window in self.events]
        moments = [seen.timestamp_ms for seen in self.instruments] + [mask.timestamp_ms for mask in self.anatomy]
        return max([*ends, *(moment + 1 for moment in moments)], default=0)


class CorrectionsFile(_Word):
    """The file that ``make correct`` takes."""

    corrections: tuple[Correction, ...] = Field(min_length=1)


def read_corrections(path: Path) -> tuple[Correction, ...]:
    """The corrections of a file.

    Raises:
        AnnotationError: it does not have the form; the place in it is named.
    """
    try:
        return CorrectionsFile.model_validate_json(path.read_bytes()).corrections
    except OSError as error:
        raise AnnotationError(
            f"The file cannot be read ({error.strerror}).", path=path, remedy="Check FILE=."
        ) from error
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"])) or None
        raise AnnotationError(
            f"{first['msg']}.", path=path, line=place, remedy="Correct it and give it again."
        ) from error


def check_corrections(
    corrections: tuple[Correction, ...], path: Path, operations: Mapping[str, Mapping[str, Any]]
) -> None:
    """Refuse words on operations that are not there, or on times beyond their end.

    Args:
        corrections: what was said.
        path: the file, for messages.
        operations: rows of the operations table by name.

    Raises:
        AnnotationError: the place in the file is named.
    """
    for number, correction in enumerate(corrections):
        place, row = f"corrections.{number}", operations.get(correction.operation)
        if row is None:
            raise AnnotationError(
                f"There is no operation '{correction.operation}'.",
                path=path,
                line=f"{place}.operation",
                remedy="Give its name in the data set, or the video_id of a processed video.",
            )
        if correction.last_moment_ms > row["duration_ms"]:
            raise AnnotationError(
                f"It speaks of {correction.last_moment_ms} ms, and the operation ends at {row['duration_ms']} ms.",
                path=path,
                line=place,
                remedy="Correct the times.",
            )


def keep_corrections(corrections: tuple[Correction, ...], layout: Layout) -> list[Path]:
    """Put each kind of each correction into a file of its own; gives the files that are new."""
    new = []
    for correction in corrections:
        for kind in KINDS:
            if not getattr(correction, kind):
                continue
            others = {other: () for other in KINDS if other != kind}
            text = correction.model_copy(update=others).model_dump_json(indent=1, exclude_defaults=True)
            digest = hashlib.sha256(text.encode()).hexdigest()[:12]
            path = layout.corrections(kind) / f"{correction.annotated_at.astimezone(UTC):%Y%m%dT%H%M%SZ}-{digest}.json"
            if not path.is_file():
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(text + "\n", encoding="utf-8")
                new.append(path)
    return new


def count_words(paths: Iterable[Path]) -> dict[str, int]:
    """How many spans and moments files of kept corrections speak of, by kind."""
    found = [Correction.model_validate_json(path.read_bytes()) for path in paths]
    return {kind: sum(len(getattr(correction, kind)) for correction in found) for kind in KINDS}


def kept_corrections(layout: Layout) -> list[Correction]:
    """All corrections, the earliest first; of two at one time the order is that of their files' names.

    Raises:
        AnnotationError: a file was altered and has the form no more.
    """
    found = []
    for kind in KINDS:
        for path in sorted(layout.corrections(kind).glob("*.json")):
            try:
                found.append(Correction.model_validate_json(path.read_bytes()))
            except ValidationError as error:
                raise AnnotationError(
                    f"{error.errors()[0]['msg']}.", path=path, remedy="Restore the file from git, or remove it."
                ) from error
    return sorted(found, key=lambda correction: correction.annotated_at)


def _one_of(names: tuple[str, ...], name: str) -> str:
    if name not in names:
        raise ValueError(f"'{name}' is none of {', '.join(names)}")
    return name
