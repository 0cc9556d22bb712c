"""Where trainings keep their files: below the data home, never in the code.

Belongs here: folders and the record of a candidate. Does not belong here: training, judging.

    candidates/MODEL/RUN/    repository/ (Triton's layout), candidate.json, metrics.json, verdict.json, …
    candidates/MODEL/RUN/judged  where the run trained none: name of the folder of the one that it judges
    candidates/MODEL/last    name of the newest folder
    checkpoints/MODEL.npz    of the training that goes on now
    data/REVISION/           a version of the data, fetched once
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import dagster as dg
from pydantic import BaseModel, ConfigDict

from resources.errors import PermanentFailure

TRAINING_CODE_VERSION: Final = "1"
"""Raised when the same data and settings would give other weights: an older checkpoint is then not gone on from."""
RECORD_FILE: Final = "candidate.json"
METRICS_FILE: Final = "metrics.json"
GOLDEN_FILE: Final = "golden.npz"
WEIGHTS_FILE: Final = "weights.npz"
VERDICT_FILE: Final = "verdict.json"
LAST_FILE: Final = "last"
JUDGED_FILE: Final = "judged"


class CandidateRecord(BaseModel):
    """What a candidate is and what it was made of.

    Attributes:
        model: name in the model repository.
        digest: SHA-256 of its file.
        weights_hash: of its weights, whatever the file's encoding.
        extractor_digest: of the backbone that its features came from, empty where it reads pictures.
        mlflow_run_id: the training.
        data_revision: of the data, with which DVC finds it.
        data_version: its tag, ``v1.0``, empty without one.
        data_hash: of its content.
        learned_from: operations that it was trained on.
        chosen_on: operations that chose its best epoch.
        settings: of the training, defaults filled in.
        best_epoch: number of the epoch that was kept.
        figures: of that epoch.
        trained: UTC.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: str
    digest: str
    weights_hash: str
    extractor_digest: str
    mlflow_run_id: str
    data_revision: str
    data_version: str
    data_hash: str
    learned_from: tuple[str, ...]
    chosen_on: tuple[str, ...]
    settings: dict[str, Any]
    best_epoch: int
    figures: dict[str, float]
    trained: datetime


class TrainingHome(dg.ConfigurableResource):  # type: ignore[type-arg]
    """Folders of all trainings.

    Args:
        folder: below which they lie.
        preset: of ``params.yaml``, where a run names none.
    """

    folder: str
    preset: str = "laptop"

    @property
    def root(self) -> Path:
        """The folder."""
        return Path(self.folder)

    def checkpoint(self, model: str) -> Path:
        """Where a model's training goes on from after a kill."""
        return self.root / "checkpoints" / f"{model}.npz"

    def data(self, revision: str) -> Path:
        """Where a version of the data is fetched to."""
        return self.root / "data" / revision

    def lock(self, model: str) -> Path:
        """Held while a model is trained."""
        self.root.mkdir(parents=True, exist_ok=True)
        return self.root / f".{model}.lock"

    def new_candidate(self, model: str, run_id: str) -> Path:
        """An empty folder for a candidate."""
        folder = self.root / "candidates" / model / run_id
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def publish(self, folder: Path, record: CandidateRecord) -> None:
        """Write the record, then let the folder be the model's newest candidate."""
        _replace(folder / RECORD_FILE, record.model_dump_json(indent=1))
        _replace(folder.parent / LAST_FILE, folder.name)

    def candidate_of(self, model: str, run_ids: Iterable[str]) -> tuple[Path, CandidateRecord]:
        """The candidate that one of some runs trained: the first that trained one.

        A run must judge its own: another one of the model may be trained beside it. Where none of the runs has trained
        (the evaluation was started alone), it is the one that was the model's newest when this run first asked: its
        later steps judge the same.

        Args:
            model: its name.
            run_ids: this run first, then those that it repeats a part of.

        Raises:
            PermanentFailure: none was trained yet.
        """
        known = list(run_ids)
        for run_id in known:
            folder = self.root / "candidates" / model / run_id
            judged = folder / JUDGED_FILE
            if judged.is_file():
                folder = folder.parent / judged.read_text(encoding="utf-8")
            if (folder / RECORD_FILE).is_file():
                return folder, _record(folder)
        newest, record = self.last_candidate(model)
        if known:
            _replace(self.new_candidate(model, known[0]) / JUDGED_FILE, newest.name)
        return newest, record

    def last_candidate(self, model: str) -> tuple[Path, CandidateRecord]:
        """The newest candidate of a model.

        Raises:
            PermanentFailure: none was trained yet.
        """
        pointer = self.root / "candidates" / model / LAST_FILE
        try:
            folder = pointer.parent / pointer.read_text(encoding="utf-8")
            return folder, _record(folder)
        except FileNotFoundError as error:
            raise PermanentFailure(
                "No candidate was trained yet.", subject=model, remedy=f"Train one: make retrain MODEL={model}"
            ) from error


def repeated_runs(instance: dg.DagsterInstance, run: dg.DagsterRun) -> Iterator[str]:
    """A run, the run that it re-executes a part of, and so on to the first."""
    known: dg.DagsterRun | None = run
    while known is not None:
        yield known.run_id
        known = instance.get_run_by_id(known.parent_run_id) if known.parent_run_id else None


def _record(folder: Path) -> CandidateRecord:
    return CandidateRecord.model_validate_json((folder / RECORD_FILE).read_bytes())


def _replace(path: Path, text: str) -> None:
    partial = path.with_name(f".{path.name}.partial")
    with partial.open("w", encoding="utf-8") as stream:
        stream.write(text)
        stream.flush()
        os.fsync(stream.fileno())
    partial.replace(path)
