"""The sidecar ``NAME.json``: what a person or a hospital system tells about an upload.

Belongs here: its contract, reading it, the patient's pseudonym. Does not belong here: finding its video
(``listing``). No text made here repeats a value of the sidecar: reasons are read by many, patients' data by few.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import hmac
import json
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    HttpUrl,
    SecretStr,
    StrictInt,
    StringConstraints,
    ValidationError,
    model_validator,
)
from pydantic_core import PydanticCustomError

from neurovision_assets.uploads.names import VIDEO_ENDINGS, ending_of
from resources.errors import ConfigurationError, PermanentFailure
from resources.settings import require_secret

SIDECAR_MAX_BYTES = 64 * 1024
PARTS_MAX = 200
TITLE_LENGTHS = (3, 200)
PATIENT_ID_MAX = 200
PSEUDONYM_DIGITS = 16
# Shorter patient numbers stand in other texts by accident ("7" in "operation_007").
RECOGNISABLE_ID_LENGTH = 4
PRIORITIES = {"normal": 0, "high": 10}


class RefusedUpload(PermanentFailure):
    """The upload goes to ``rejected/`` with this text as its reason; the text names no file and no person."""

    def __init__(self, problem: str, *, remedy: str) -> None:
        super().__init__(problem, subject="the upload", remedy=remedy)

    @property
    def reason(self) -> str:
        """What is wrong and what to do."""
        return f"{self.problem} {self.remedy}"


def _checked_title(title: str) -> str:
    shortest, longest = TITLE_LENGTHS
    if not shortest <= len(title) <= longest:
        raise PydanticCustomError("title_length", f"Title must be between {shortest} and {longest} characters")
    return title


def _checked_part(name: str) -> str:
    if name.startswith(".") or "/" in name or "\\" in name:
        raise PydanticCustomError("part_name", "must be a plain file name, without a folder")
    if ending_of(name) not in VIDEO_ENDINGS:
        raise PydanticCustomError("part_ending", "is not the name of a video file")
    return name


def _checked_parts(parts: tuple[str, ...]) -> tuple[str, ...]:
    if not 1 <= len(parts) <= PARTS_MAX:
        raise PydanticCustomError("parts_count", f"must list 1 to {PARTS_MAX} files")
    if len(set(parts)) != len(parts):
        raise PydanticCustomError("part_twice", "lists a file twice")
    return parts


def _no_bool(value: Any) -> Any:
    if isinstance(value, bool):
        raise PydanticCustomError("priority", "must be 'normal', 'high' or a whole number")
    return value


def _checked_date(value: Any) -> dt.date:
    """A calendar date only: pydantic would also take seconds since 1970."""
    try:
        return dt.datetime.strptime(value, "%Y-%m-%d").date()
    except (TypeError, ValueError):
        raise PydanticCustomError("date", "must be a date as in 2026-01-31") from None


def _checked_patient(patient_id: SecretStr) -> SecretStr:
    bare = patient_id.get_secret_value().strip()
    if not 1 <= len(bare) <= PATIENT_ID_MAX:
        raise PydanticCustomError("patient_length", f"must have 1 to {PATIENT_ID_MAX} characters")
    return SecretStr(bare)


NO_CONTROL_CHARACTERS = r"^[^\x00-\x1f\x7f]*$"
SingleLine = Annotated[str, StringConstraints(pattern=NO_CONTROL_CHARACTERS)]
Line = Annotated[SingleLine, StringConstraints(min_length=1, max_length=200)]
Part = Annotated[str, StringConstraints(max_length=255, pattern=NO_CONTROL_CHARACTERS), AfterValidator(_checked_part)]


class Sidecar(BaseModel):
    """What a sidecar may say; everything is optional.

    Attributes:
        operation_id: 1–55 letters, digits or ``_``; becomes the readable part of the video_id.
        operation_type: for example ``cholecystectomy``.
        surgeon: who operated.
        department: where.
        date: of the operation, ISO 8601.
        patient_id: leaves the sidecar only as a pseudonym.
        profile: analysis profile by name.
        priority: ``normal``, ``high`` or a whole number, higher first.
        callback_url: told when the video is done or has failed; http or https.
        title: 3–200 characters (CA-023).
        description: free text.
        parts: file names of an operation that was recorded in several files, in order.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", str_strip_whitespace=True, hide_input_in_errors=True)

    operation_id: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_]{0,54}$")] | None = None
    operation_type: Line | None = None
    surgeon: Line | None = None
    department: Line | None = None
    date: Annotated[dt.date, BeforeValidator(_checked_date)] | None = None
    patient_id: Annotated[SecretStr, AfterValidator(_checked_patient)] | None = None
    profile: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,62}$")] | None = None
    priority: Annotated[
        Literal["normal", "high"] | Annotated[StrictInt, Field(ge=-1000, le=1000)], BeforeValidator(_no_bool)
    ] = "normal"
    callback_url: HttpUrl | None = None
    title: Annotated[SingleLine, AfterValidator(_checked_title)] | None = None
    description: (
        Annotated[str, StringConstraints(max_length=5000, pattern=r"^[^\x00-\x08\x0b\x0c\x0e-\x1f\x7f]*$")] | None
    ) = None
    parts: Annotated[tuple[Part, ...], AfterValidator(_checked_parts)] | None = None

    @model_validator(mode="after")
    def _patient_stays_where_it_is(self) -> Sidecar:
        texts = (
            self.operation_id,
            self.operation_type,
            self.surgeon,
            self.department,
            self.profile,
            self.callback_url and str(self.callback_url),
            self.title,
            self.description,
        )
        if any(text and self.mentions_patient(text) for text in texts):
            raise PydanticCustomError("patient_repeated", "another field repeats patient_id")
        return self

    def mentions_patient(self, text: str) -> bool:
        """Whether a text that others will see contains the patient's number."""
        if self.patient_id is None:
            return False
        patient = self.patient_id.get_secret_value().casefold()
        return len(patient) >= RECOGNISABLE_ID_LENGTH and patient in text.casefold()

    @property
    def run_priority(self) -> int:
        """Priority as Dagster's run queue counts it."""
        return PRIORITIES[self.priority] if isinstance(self.priority, str) else self.priority


def parse_sidecar(data: bytes) -> Sidecar:
    """Read a sidecar.

    Raises:
        RefusedUpload: it is too large, not JSON or breaks the contract; fields are named, values never.
    """
    if len(data) > SIDECAR_MAX_BYTES:
        raise RefusedUpload(
            f"The sidecar is larger than {SIDECAR_MAX_BYTES} bytes.",
            remedy="Check that it is the sidecar, then upload both again.",
        )
    try:
        content = json.loads(data.decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        place = f" (line {error.lineno}, column {error.colno})" if isinstance(error, json.JSONDecodeError) else ""
        raise RefusedUpload(
            f"The sidecar is not JSON in UTF-8{place}.", remedy="Correct it, then upload it and its video again."
        ) from None
    if not isinstance(content, dict):
        raise RefusedUpload(
            "The sidecar is not a JSON object.", remedy="Correct it, then upload it and its video again."
        )
    try:
        return Sidecar.model_validate(content)
    except ValidationError as error:
        problems = "; ".join(
            _plain(problem["loc"], problem["type"], problem["msg"], content) for problem in error.errors()
        )
        raise RefusedUpload(
            f"The sidecar breaks its contract: {problems}.", remedy="Correct it, then upload it and its video again."
        ) from None


def anonymize_patient_id(patient_id: str, key: str) -> str:
    """Pseudonym of a patient (NV-163): HMAC-SHA256 under the key, its first 16 hex digits.

    Keyed (RFC 2104), because a plain hash of a number with a known suffix can be tried out.
    """
    return hmac.new(key.encode(), patient_id.strip().encode(), hashlib.sha256).hexdigest()[:PSEUDONYM_DIGITS]


def pseudonym_of(sidecar: Sidecar) -> str | None:
    """The pseudonym of the sidecar's patient, None where it names none.

    Raises:
        RefusedUpload: there is a patient and no key.
    """
    if sidecar.patient_id is None:
        return None
    try:
        key = require_secret("anonymization_salt")
    except ConfigurationError as error:
        raise RefusedUpload(
            f"The sidecar carries patient data and {error.subject} is not set, so no pseudonym can be made.",
            remedy=f"Put {error.subject} into the platform's environment, then upload both files again.",
        ) from None
    return anonymize_patient_id(sidecar.patient_id.get_secret_value(), key)


def _plain(place: tuple[int | str, ...], kind: str, message: str, content: dict[str, Any]) -> str:
    """One problem in words. An unknown field is given by its position: its name may be anything, a person's too."""
    if not place:
        return message
    field = str(place[0])
    if kind == "extra_forbidden":
        return f"field {list(content).index(field) + 1} is not known (known are {', '.join(Sidecar.model_fields)})"
    entry = next((f", entry {step + 1}" for step in place[1:] if isinstance(step, int)), "")
    return f"{field}{entry}: {message}"
