"""One week of one model: its videos, which of them can be compared, and what came of it.

Belongs here: from the store to a verdict. Does not belong here: statistics (``compare``), Dagster (``asset``).
"""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from pydantic import BaseModel, ConfigDict

from neurovision_assets.artifacts import MAIN_TABLE, ArtifactReader, ArtifactRecord
from neurovision_assets.drift.compare import calculate_drift
from neurovision_assets.drift.config import ALARM_SCORE, DEFAULT, DriftConfig
from neurovision_assets.drift.figures import COLUMNS, ROW_OF, STAGES_OF, Row, features_row
from neurovision_assets.drift.reference import DriftReference, rounded
from neurovision_assets.staleness import Basis, basis_of
from neurovision_assets.surgery.pipeline import SURGERY
from neurovision_assets.uploads.names import RAW
from neurovision_assets.uploads.record import find_record
from resources.object_store import ObjectStore

BATCH_ROWS: Final = 256
NAMED: Final = 5
NOT_THERE: Final = "no result yet, or the stage failed"
OTHER_BASIS: Final = "computed with other models, settings or code"


class FigureDrift(BaseModel):
    """One figure; the fields are those of `compare.FigureShift`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    p_value: float
    score: float
    reference: float
    week: float
    videos: int


class ModelDrift(BaseModel):
    """What a week says of one model.

    Attributes:
        model: name in the model repository.
        videos: how many were compared.
        left_out: how many were not, by reason.
        operations: how many the reference has.
        source: where they come from.
        score: the largest of the figures' scores; None where the week could not be judged.
        unjudged: why not, empty otherwise.
        figures: the largest shift first.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: str
    videos: int
    left_out: dict[str, int]
    operations: int
    source: str
    score: float | None = None
    unjudged: str = ""
    figures: tuple[FigureDrift, ...] = ()

    @property
    def drifted(self) -> tuple[FigureDrift, ...]:
        """Figures above the alarm, the largest first."""
        return tuple(figure for figure in self.figures if figure.score > ALARM_SCORE)

    @property
    def sentence(self) -> str:
        """For people, one line."""
        if self.unjudged:
            return f"{self.model}: not judged, {self.unjudged}."
        if not self.drifted:
            return f"{self.model}: {self.videos} videos are like the reference (score {self.score:.2f})."
        told = [f"{one.name} {one.score:.2f} ({one.reference:.3g} → {one.week:.3g})" for one in self.drifted[:NAMED]]
        more = f" and {len(self.drifted) - NAMED} more" if len(self.drifted) > NAMED else ""
        return f"{self.model}: {self.videos} videos differ: {', '.join(told)}{more}."


class WeekDrift(BaseModel):
    """What a week says.

    Attributes:
        week: its first day.
        false_alarm_rate: of a week without drift, all models together.
        models: one each.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    week: dt.date
    false_alarm_rate: float
    models: tuple[ModelDrift, ...]

    @property
    def score(self) -> float | None:
        """The largest of the models' scores; None where none was judged."""
        return max((one.score for one in self.models if one.score is not None), default=None)


def videos_between(store: ObjectStore, video_ids: Iterable[str], start: dt.datetime, end: dt.datetime) -> Iterator[str]:
    """Videos that were registered from ``start`` to before ``end``; erased ones have no record any more."""
    for video_id in video_ids:
        info = store.stat(f"{RAW}/{video_id}/upload.json")
        if info is not None and info.modified_s >= start.timestamp():  # a record is never older than its registration
            record = find_record(store, video_id)
            if record is not None and start <= record.received_at < end:
                yield video_id


def drift_of_model(
    model: str,
    videos: Sequence[str],
    reference: DriftReference | None,
    reader: ArtifactReader,
    config: DriftConfig = DEFAULT,
) -> ModelDrift:
    """Compare a week's videos with the model's reference.

    Raises:
        PermanentFailure: a stored table was altered.
        ConfigurationError: SciPy is not installed.
    """
    if reference is None:
        unjudged = "there is no reference for the models and settings that are used now"
        return ModelDrift(model=model, videos=0, left_out={}, operations=0, source="", unjudged=unjudged)
    found = [row_of_video(model, video_id, reference.basis, reader) for video_id in videos]
    rows = [row for row in found if not isinstance(row, str)]
    told = ModelDrift(
        model=model,
        videos=len(rows),
        left_out=dict(Counter(reason for reason in found if isinstance(reason, str))),
        operations=len(reference.operations),
        source=reference.source,
    )
    if len(reference.operations) < config.min_reference:
        few = f"the reference has {len(reference.operations)} operations, {config.min_reference} are needed"
        return told.model_copy(update={"unjudged": few})
    if len(rows) < config.min_videos:
        few = f"{len(rows)} videos of the week can be compared, {config.min_videos} are needed"
        return told.model_copy(update={"unjudged": few})
    shifts = calculate_drift(list(reference.operations.values()), rows, tests=len(STAGES_OF), config=config)
    figures = tuple(FigureDrift(**vars(shift)) for shift in shifts)
    return told.model_copy(update={"score": max(figure.score for figure in figures), "figures": figures})


def row_of_video(model: str, video_id: str, basis: dict[str, Basis], reader: ArtifactReader) -> Row | str:
    """A video's row, or why it has none that could be compared."""
    row: Row = {}
    frames = reader.record(SURGERY["frames"].asset, video_id)
    for stage in STAGES_OF[model]:
        record = reader.record(SURGERY[stage].asset, video_id)
        if record is None or frames is None:
            return NOT_THERE
        if basis_of(record.provenance).model_copy(update={"inputs": {}}) != basis[stage]:
            return OTHER_BASIS
        row |= _stage_row(stage, record, int(frames.counts["rows"]), reader)
    return rounded(row)


def _stage_row(stage: str, record: ArtifactRecord, frames: int, reader: ArtifactReader) -> Row:
    columns = list(COLUMNS[stage])
    if stage == "features":  # 8 KB a frame: a long video is read piece by piece
        return features_row(reader.batches(record, MAIN_TABLE, columns, BATCH_ROWS))
    return ROW_OF[stage](reader.table(record, columns=columns), frames)
