"""Releases of models without a training: the files that a promotion and a refusal leave.

Belongs here: writing them with the classes that trainings use. Does not belong here: tests.
"""

import datetime as dt

from neurovision_assets.training.candidate.home import METRICS_FILE, VERDICT_FILE, CandidateRecord, TrainingHome
from neurovision_assets.training.evaluation.report import EvaluationReport, ModelFigures
from neurovision_assets.training.gate.verdict import Verdict
from resources.inference.notes import VersionNote
from resources.inference.releases import publish
from resources.object_store import sha256_of_file
from tests.marts_home import BEGAN, MartsHome

TRAINED = BEGAN + dt.timedelta(days=2)


def promote(home: MartsHome) -> None:
    """A segmenter of a retraining is served instead of the one that came with the code."""
    repository = home.inference.models
    seeded = repository.describe("phase_segmenter").identity
    file = home.settings.home / "new.onnx"
    file.write_bytes(b"a model that nobody runs here")
    digest = sha256_of_file(file)
    candidate(home, "phase_segmenter", digest, "1.1.0", production=seeded.digest, f1=0.9, reason="")
    note = VersionNote(
        release="1.1.0",
        digest=digest,
        parameters={"data_revision": "rev1", "model_version": "1.1.0"},
        mlflow_run_id="m1",
        data_hash="h",
        learned_from=("somebody",),
        chosen_on=(),
        installed=TRAINED,
    )
    publish(repository, "phase_segmenter", file, note, instead_of=seeded.digest)


def refuse(home: MartsHome) -> None:
    """A detector that was not better."""
    seeded = home.inference.models.describe("instrument_detector").identity
    reason = "not_better_than_production"
    candidate(home, "instrument_detector", "d" * 64, "1.1.0", production=seeded.digest, f1=0.5, reason=reason)


def candidate(
    home: MartsHome, model: str, digest: str, release: str, *, production: str, f1: float, reason: str
) -> None:
    training = TrainingHome(folder=str(home.settings.training))
    folder = training.new_candidate(model, "run1")
    record = CandidateRecord(
        model=model,
        digest=digest,
        weights_hash="w",
        extractor_digest="",
        mlflow_run_id="m1",
        data_revision="rev1",
        data_version="v1.0",
        data_hash="h",
        learned_from=("somebody",),
        chosen_on=(),
        settings={},
        best_epoch=1,
        figures={},
        trained=TRAINED,
    )
    training.publish(folder, record)
    report = EvaluationReport(
        model=model,
        data_revision="rev1",
        known_to_production=(),
        operation_types={"a": "x", "b": "x"},
        classes={"a": (1, 1), "b": (1, 1)},
        candidate=figures(digest, f1),
        production=figures(production, 0.625),
    )
    (folder / METRICS_FILE).write_text(report.model_dump_json())
    verdict = Verdict(status="rejected" if reason else "promoted", reason=reason, release=release)
    (folder / VERDICT_FILE).write_text(verdict.model_dump_json())


def figures(digest: str, f1: float) -> ModelFigures:
    told = {"accuracy": 0.75, "f1": f1, "overlap": 0.5}
    return ModelFigures(digest=digest, metrics=told, videos={"a": told, "b": told}, calibration_error=0.125, report={})
