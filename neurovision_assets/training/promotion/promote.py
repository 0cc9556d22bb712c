"""From a judged candidate to what is served.

Belongs here: the order of the steps, and what each refusal leaves behind. Does not belong here: the questions
(``gate``). The runtime repository is written before MLflow's alias: what is served is the truth, and an alias that
a crash left behind is brought up to date at the next look (``aliases``).
"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from models.contracts import EXTRACTOR
from neurovision_assets.training.candidate.home import GOLDEN_FILE, CandidateRecord
from neurovision_assets.training.candidate.train import REPOSITORY
from neurovision_assets.training.evaluation.report import EvaluationReport
from neurovision_assets.training.gate.config import GateConfig
from neurovision_assets.training.gate.refusal import EXTRACTOR_REPLACED, SERVED_MEANWHILE, Refusal
from neurovision_assets.training.gate.staging import Staged, run_staging_tests
from neurovision_assets.training.gate.verdict import Verdict, comparison_of, questions
from neurovision_assets.training.kinds import ModelKind
from neurovision_assets.training.promotion.aliases import repair_aliases
from resources.inference.notes import DATA_PARAMETER, RELEASE_PARAMETER, VersionNote
from resources.inference.releases import ServedMeanwhile, publish
from resources.inference.repository import MODEL_FILE, ModelRepository
from resources.model_registry import ModelRegistry, RegisteredVersion, next_release

REFUSED_TAG = "refused"


def promote(
    kind: ModelKind,
    folder: Path,
    record: CandidateRecord,
    report: EvaluationReport,
    config: GateConfig,
    served: ModelRepository,
    registry: ModelRegistry,
) -> Verdict:
    """Ask everything, register, test in staging, and serve the candidate; or say why not.

    Raises:
        TransientFailure: MLflow does not answer; nothing is served that was not before, and the next run goes on.
    """
    repair_aliases(kind, served, registry)
    comparison = comparison_of(report, config)
    refusal = questions(report, config) or _check_extractor(record, served)
    if refusal:
        return Verdict(status="rejected", **refusal.model_dump(), comparison=comparison)
    version = _register(kind, record, report, registry)
    refusal, passed = run_staging_tests(_staged(kind, folder, version.release, report, config))
    number: int | None = None
    if refusal is None:
        try:
            number = publish(
                served,
                kind.model,
                _file(kind, folder),
                _note(kind, folder, record, version.release),
                instead_of=report.production.digest,
            )
        except ServedMeanwhile as meanwhile:
            refusal = Refusal(reason=SERVED_MEANWHILE, detail=meanwhile.problem)
    told: dict[str, Any] = {"release": version.release, "comparison": comparison, "passed": tuple(passed)}
    if refusal is not None:
        registry.tag_version(version, {REFUSED_TAG: refusal.reason})
        return Verdict(status="rejected", **refusal.model_dump(), stage="Staging", **told)
    registry.promote_model(kind.model, version.number)
    return Verdict(status="promoted", stage="Production", version=number, **told)


def _check_extractor(record: CandidateRecord, served: ModelRepository) -> Refusal | None:
    """A segmenter serves only beside the backbone whose features it learned from."""
    if not record.extractor_digest:
        return None
    now = served.describe(EXTRACTOR).identity
    if now.digest == record.extractor_digest:
        return None
    return Refusal(
        reason=EXTRACTOR_REPLACED,
        detail=f"It learned from features of {record.extractor_digest[:12]}, served is {now.label} {now.digest[:12]}.",
    )


def _register(
    kind: ModelKind, record: CandidateRecord, report: EvaluationReport, registry: ModelRegistry
) -> RegisteredVersion:
    """The candidate's version with alias ``staging``; the same one where an earlier run got as far as this."""
    known = registry.versions(kind.model)
    for version in known:
        if version.digest == record.digest:
            return version
    tags = {
        "data_revision": record.data_revision,
        "data_hash": record.data_hash,
        **{name: f"{value:.4f}" for name, value in report.candidate.metrics.items()},
    }
    if record.extractor_digest:
        tags["feature_extractor_digest"] = record.extractor_digest
    release = next_release([version.release for version in known])
    return registry.register(
        kind.model, record.mlflow_run_id, release=release, digest=record.digest, tags=tags, known_as=kind.known_as
    )


def _staged(kind: ModelKind, folder: Path, release: str, report: EvaluationReport, config: GateConfig) -> Staged:
    with np.load(folder / GOLDEN_FILE, allow_pickle=False) as arrays:
        golden = {name: arrays[name] for name in arrays.files}
    return Staged(
        model=kind.model,
        release=release,
        repository=folder / REPOSITORY,
        golden=golden,
        videos=report.scores(),
        calibration_error=report.candidate.calibration_error,
        config=config,
    )


def _file(kind: ModelKind, folder: Path) -> Path:
    return folder / REPOSITORY / kind.model / "1" / MODEL_FILE


def _note(kind: ModelKind, folder: Path, record: CandidateRecord, release: str) -> VersionNote:
    configured = ModelRepository(folder / REPOSITORY).configured(kind.model)
    return VersionNote(
        release=release,
        digest=record.digest,
        parameters={**configured, RELEASE_PARAMETER: release, DATA_PARAMETER: record.data_revision},
        mlflow_run_id=record.mlflow_run_id,
        data_hash=record.data_hash,
        learned_from=record.learned_from,
        chosen_on=record.chosen_on,
        installed=datetime.now(UTC),
    )
