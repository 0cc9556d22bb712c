"""``make correct``: a reviewer's word, an annotation like any other, with author and time.

Belongs here: the form of a corrections file, reading it. Does not belong here: whether the words fit their operation
(``correction_checks``), keeping them (``kept``), which word counts in the end (``merge``).
"""

from __future__ import annotations

import base64
import binascii
from pathlib import Path
from typing import Annotated, Final, Self

from pydantic import (
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    field_validator,
    model_validator,
)

from neurovision_assets.training.annotations.draft import AnnotationError
from neurovision_assets.training.dataset.masks import read_mask
from neurovision_assets.training.dataset.schemas import EVENT_KINDS, INSTRUMENTS, PHASES

_IN_WORDS: Final = {
    "missing": "The field is missing",
    "extra_forbidden": "There is no field of that name",
    "finite_number": "A number must be finite, not NaN or Infinity",
    "greater_than_equal": "A time must not be negative",
    "timezone_aware": "The time needs its zone, as in 2026-01-05T10:00:00Z",
    "string_too_short": "The text is empty",
    "too_short": "The list is empty",
}
"""What is wrong, by pydantic's type of error."""
_OF_WRONG_KIND: Final = {
    "int": "A whole number is wanted here",
    "float": "A number is wanted here",
    "string": "A text is wanted here",
    "datetime": "A time is wanted here, as in 2026-01-05T10:00:00Z",
    "tuple": "A list is wanted here",
    "model": "An object in braces is wanted here",
}
"""The same by how the type of error begins."""


class _Word(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


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
    author: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]
    annotated_at: AwareDatetime
    phases: tuple[PhaseWord, ...] = ()
    instruments: tuple[InstrumentsWord, ...] = ()
    anatomy: tuple[AnatomyWord, ...] = ()
    events: tuple[EventsWord, ...] = ()


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
        problem, place = in_words(error)
        raise AnnotationError(problem, path=path, line=place, remedy="Correct it and give it again.") from error


def in_words(error: ValidationError) -> tuple[str, str | None]:
    """The first thing that is wrong, one sentence, and its place: ``corrections.0.phases.1.phase``, counted from 0."""
    first = error.errors()[0]
    kind, place = first["type"], ".".join(map(str, first["loc"])) or None
    if kind == "value_error":
        return f"{first['ctx']['error']}.", place
    if kind == "json_invalid":
        return f"The file is not JSON ({first['ctx']['error']}).", place
    wanted = _OF_WRONG_KIND.get(kind.partition("_")[0], "The value has not the right form")
    return f"{_IN_WORDS.get(kind, wanted)}.", place


def _one_of(names: tuple[str, ...], name: str) -> str:
    if name not in names:
        raise ValueError(f"'{name}' is none of {', '.join(names)}")
    return name
