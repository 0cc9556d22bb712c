"""Everything that a report says, as data without a language.

Belongs here: the report's schema. Does not belong here: words (`texts`), computing (`build`), formats.

Times are milliseconds on the operation's clock, shares and scores 0 to 1 and rounded to four digits, boxes pixels of
the stored frame. A change of the fields' meaning raises ``REPORT_SCHEMA_VERSION``.
"""

from __future__ import annotations

import datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from neurovision_assets.provenance import ModelUse, Provenance
from neurovision_assets.surgery.report.config import ReportConfig

REPORT_SCHEMA_VERSION = 1

Component = Literal["features", "phases", "instruments", "anatomy", "events"]
Verdict = Literal["reliable", "uncertain", "out-of-domain"]
TrustReason = Literal[
    "novel-pictures",
    "some-novel-pictures",
    "low-mean-confidence",
    "many-low-confidence-frames",
    "low-detection-score",
    "novelty-not-measured",
    "phases-not-measured",
]
WarningKind = Literal["frozen", "dark", "blurred", "lost"]


class Record(BaseModel):
    """Base of every part: frozen, no unknown fields."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class VideoFacts(Record):
    """What is known of the recording and, from the sidecar, of the operation.

    Attributes:
        video_id: the partition.
        operation_id: the hospital's id of the operation.
        operation_type: as the sidecar says it.
        surgeon: as the sidecar says it.
        department: as the sidecar says it.
        date: day of the operation.
        patient_pseudonym: keyed pseudonym; the only trace of the patient.
        duration_ms: of the whole operation, all files together.
        width_px: of the source picture, upright.
        height_px: of the source picture, upright.
        fps: of the source, frames a second (the mean where it varies).
        codec: of the source.
        upload_sha256: of the uploaded file, one a part, in order.
    """

    video_id: str
    operation_id: str | None = None
    operation_type: str | None = None
    surgeon: str | None = None
    department: str | None = None
    date: datetime.date | None = None
    patient_pseudonym: str | None = None
    duration_ms: int = Field(ge=0)
    width_px: int = Field(ge=1)
    height_px: int = Field(ge=1)
    fps: float = Field(gt=0)
    codec: str
    upload_sha256: tuple[str, ...]


class DecodingLoss(Record):
    """What the decoder could not read.

    Attributes:
        lost_packets: packets that gave no picture.
        lost_ms: time of the recording without a picture.
        missing_ms: time that the file's header promises and that is not in the file: it was cut off.
    """

    lost_packets: int = Field(default=0, ge=0)
    lost_ms: int = Field(default=0, ge=0)
    missing_ms: int = Field(default=0, ge=0)


class Trust(Record):
    """How far the models can be believed on these pictures; None where a figure could not be measured."""

    verdict: Verdict
    reasons: tuple[TrustReason, ...]
    mean_phase_confidence: float | None
    low_confidence_share: float | None
    novel_share: float | None
    mean_detection_score: float | None


class PhaseSegment(Record):
    """One uninterrupted stretch of a phase; `share` is of the whole duration."""

    index: int
    phase: str
    start_ms: int
    end_ms: int
    duration_ms: int
    share: float
    mean_confidence: float
    key_frame: int | None


class InstrumentTotal(Record):
    """How much an instrument was used.

    Attributes:
        instrument: class.
        total_ms: time in view; overlapping uses count once.
        uses: how many times it was taken into use.
        share: of the whole duration.
        mean_score: mean detection score over its frames.
    """

    instrument: str
    total_ms: int
    uses: int
    share: float
    mean_score: float


class InstrumentUse(Record):
    """One use of an instrument."""

    instrument: str
    use_index: int
    start_ms: int
    end_ms: int
    duration_ms: int
    mean_score: float
    frame_count: int


class StructureVisibility(Record):
    """How often and how large a tissue was seen.

    Attributes:
        structure: class.
        frame_count: frames in which it was seen.
        visible_share: of all analysed frames.
        mean_area_fraction: of the picture, over the frames in which it was seen.
        mean_confidence: mean probability inside its masks.
    """

    structure: str
    frame_count: int
    visible_share: float
    mean_area_fraction: float
    mean_confidence: float


class Event(Record):
    """Something that a rule found; `phase` is the phase at its start."""

    index: int
    kind: str
    start_ms: int
    end_ms: int
    duration_ms: int
    score: float
    phase: str | None
    rule: str
    rule_version: str
    detail: str
    evidence_frames: tuple[int, ...]
    key_frame: int | None


class Span(Record):
    """A stretch of time, end exclusive."""

    start_ms: int
    end_ms: int


class QualityWarning(Record):
    """A flaw of the recording that a reader must know; `spans` are its longest stretches."""

    kind: WarningKind
    share: float
    spans: tuple[Span, ...] = ()


class Quality(Record):
    """How good the pictures are; shares are of all stored frames."""

    frame_count: int
    frozen_share: float
    dark_share: float
    blurred_share: float
    lost_packets: int
    lost_ms: int
    warnings: tuple[QualityWarning, ...]


class MissingComponent(Record):
    """A part that the report lacks.

    Attributes:
        component: which part.
        reason: its stage failed, the profile switched it off, or its result is not there.
        detail: the failure's own words.
    """

    component: Component
    reason: Literal["failed", "disabled", "absent"]
    detail: str | None = None


class Caption(Record):
    """Why a picture was chosen: the phase segment or event with this index."""

    kind: Literal["phase", "event"]
    index: int


class Box(Record):
    """A detected instrument on a key frame, pixels of the stored frame."""

    instrument: str
    score: float
    x_min_px: float
    y_min_px: float
    x_max_px: float
    y_max_px: float


class Mask(Record):
    """A tissue on a key frame; `rle` is COCO's compressed run lengths in the stored frame."""

    structure: str
    confidence: float
    area_fraction: float
    rle: str


class KeyFrame(Record):
    """A picture worth looking at."""

    frame_index: int
    timestamp_ms: int
    captions: tuple[Caption, ...]
    boxes: tuple[Box, ...]
    masks: tuple[Mask, ...]


class Series(Record):
    """Curves over time in equal steps, for charts; None where no frame fell into a step.

    Attributes:
        step_ms: width of a step; step i covers [i · step_ms, (i + 1) · step_ms).
        phase_confidence: mean confidence of the named phase.
        novelty: mean novelty.
        area_fraction: mean share of the picture, by structure.
    """

    step_ms: int
    phase_confidence: tuple[float | None, ...] | None
    novelty: tuple[float | None, ...] | None
    area_fraction: dict[str, tuple[float | None, ...]]


class Counts(Record):
    """The job's result (NV-133): rows that the report lists; None where a component is missing."""

    status: Literal["completed"] = "completed"
    phases_count: int | None
    instruments_count: int | None
    anatomy_count: int | None
    events_count: int | None


class Source(Record):
    """Where a figure comes from.

    Attributes:
        stage: asset key; the provenance record of that asset names models, code and inputs.
        table: which of the stage's tables.
        columns: the columns that were read.
        where: value of a column that selects the rows; empty for all rows.
        row_count: rows that went into the figure.
        first_frame: first of the stored frames behind it.
        last_frame: last of them.
    """

    stage: str
    table: str
    columns: tuple[str, ...]
    where: dict[str, str | int] = {}
    row_count: int
    first_frame: int | None = None
    last_frame: int | None = None


class Report(Record):
    """One operation's report.

    ``sources`` maps a figure's id to its origin. Ids: ``trust.FIELD``, ``phase.INDEX``, ``instrument.NAME``,
    ``use.NAME.INDEX``, ``structure.NAME``, ``event.INDEX``, ``quality.FIELD``, ``video``.
    """

    schema_version: int = REPORT_SCHEMA_VERSION
    video: VideoFacts
    profile: str
    config: ReportConfig
    counts: Counts
    trust: Trust
    phases: tuple[PhaseSegment, ...]
    instruments: tuple[InstrumentTotal, ...]
    uses: tuple[InstrumentUse, ...]
    structures: tuple[StructureVisibility, ...]
    events: tuple[Event, ...]
    quality: Quality
    missing: tuple[MissingComponent, ...]
    key_frames: tuple[KeyFrame, ...]
    series: Series
    sources: dict[str, Source]
    models: tuple[ModelUse, ...]
    provenance: tuple[Provenance, ...]

    def absence(self, component: Component) -> MissingComponent | None:
        """Why a component is missing, None when it is there."""
        return next((item for item in self.missing if item.component == component), None)

    def key_frame(self, frame_index: int | None) -> KeyFrame | None:
        """The key frame of this index, None when it is not among them."""
        return next((item for item in self.key_frames if item.frame_index == frame_index), None)
