"""The figures of a candidate and of the served model, as a file (NV-069).

Belongs here: the record, and how it is made of both models' answers. Does not belong here: formulas
(``models/scoring``), whether the figures are good enough (``gate``).
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from models.contracts import EXTRACTOR, SEGMENTER
from models.data import Operation
from models.evaluate import JUDGES, Judged, VideoScore
from models.scoring.headline import Headline, mean_headline
from neurovision_assets.training.candidate.home import METRICS_FILE, CandidateRecord
from neurovision_assets.training.candidate.pictures import CONFUSION_FILE, draw_confusion
from neurovision_assets.training.candidate.train import REPOSITORY, copy_served
from resources.errors import PermanentFailure
from resources.inference.notes import read_note
from resources.inference.repository import ModelRepository


class ModelFigures(BaseModel):
    """One model on the held-out videos.

    Attributes:
        digest: of its file.
        metrics: means over videos: accuracy, f1, overlap.
        videos: the same of each video, by its name.
        calibration_error: expected, 0..1.
        report: the field's full scores.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    digest: str
    metrics: dict[str, float]
    videos: dict[str, Headline]
    calibration_error: float
    report: dict[str, Any]


class EvaluationReport(BaseModel):
    """What the gate looks at.

    Attributes:
        model: name in the model repository.
        data_revision: of the version whose split ``test`` was answered.
        known_to_production: operations of ``test`` that were left out: the served model learned from them or was
            chosen on them, and a comparison on them would favour it.
        operation_types: of each video, by its name.
        classes: of each video: how many its truth has, how many the candidate's answer.
        candidate: figures of the candidate.
        production: figures of the model that was served at that time.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: str
    data_revision: str
    known_to_production: tuple[str, ...]
    operation_types: dict[str, str]
    classes: dict[str, tuple[int, int]]
    candidate: ModelFigures
    production: ModelFigures

    def of_videos(self, figure: str) -> tuple[dict[str, float], dict[str, float]]:
        """One figure of every video, of the candidate and of the served model."""
        ours, theirs = (
            {name: figures[figure] for name, figures in one.videos.items()} for one in (self.candidate, self.production)
        )
        return ours, theirs

    def scores(self) -> list[VideoScore]:
        """The candidate's videos as its judge gave them."""
        return [
            VideoScore(name, self.operation_types[name], figures, *self.classes[name])
            for name, figures in self.candidate.videos.items()
        ]


def known_to_served(served: ModelRepository, model: str, operations: Iterable[str]) -> list[str]:
    """Which of the operations the served version learned from, or was chosen on."""
    note = read_note(served.file(model, served.describe(model).identity.version).parent)
    known = {*note.learned_from, *note.chosen_on} if note else set()
    return sorted(known.intersection(operations))


def evaluate(
    folder: Path, record: CandidateRecord, operations: Sequence[Operation], served: ModelRepository
) -> EvaluationReport:
    """Let both models answer, and write ``metrics.json`` and the confusion matrix beside the candidate.

    Args:
        folder: the candidate's.
        record: the candidate's.
        operations: of the split ``test``.
        served: the runtime repository.

    Raises:
        PermanentFailure: the served model knows all of them.
    """
    judge = JUDGES[record.model]
    known = known_to_served(served, record.model, [operation.name for operation in operations])
    operations = [operation for operation in operations if operation.name not in known]
    if not operations:
        raise PermanentFailure(
            f"The served model learned from all {len(known)} operations of the split 'test', or was chosen on them.",
            subject=f"model {record.model}",
            remedy="Import further operations: make import DATASET=…, make dataset.",
        )
    ours = judge(folder / REPOSITORY, operations)
    with tempfile.TemporaryDirectory() as scratch:
        digest = copy_served(served, record.model, Path(scratch))
        if record.model == SEGMENTER:
            copy_served(served, EXTRACTOR, Path(scratch))
        theirs = judge(Path(scratch), operations)
    report = EvaluationReport(
        model=record.model,
        data_revision=record.data_revision,
        known_to_production=tuple(known),
        operation_types={video.name: video.operation_type for video in ours.videos},
        classes={video.name: (video.there, video.said) for video in ours.videos},
        candidate=_figures(record.digest, ours),
        production=_figures(digest, theirs),
    )
    (folder / METRICS_FILE).write_text(report.model_dump_json(indent=1), encoding="utf-8")
    draw_confusion(ours.confusion, ours.labels, folder / CONFUSION_FILE)
    return report


def read_report(folder: Path) -> EvaluationReport:
    """The report of a candidate that was evaluated."""
    return EvaluationReport.model_validate_json((folder / METRICS_FILE).read_bytes())


def _figures(digest: str, judged: Judged) -> ModelFigures:
    return ModelFigures(
        digest=digest,
        metrics=mean_headline(video.figures for video in judged.videos),
        videos={video.name: video.figures for video in judged.videos},
        calibration_error=judged.calibration_error,
        report=judged.report,
    )
