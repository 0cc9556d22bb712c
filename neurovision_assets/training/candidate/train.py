"""Trains a candidate with the recipe that `make models` uses, and follows it in MLflow and in the log.

Belongs here: what a training gets, what is kept of it. Does not belong here: recipes and the loop (``models``), Dagster
(``asset``).
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from models.checkpoints import Checkpoint, weights_hash, write_tensors
from models.contracts import EXTRACTOR, SEGMENTER
from models.export import ExportMismatchError
from models.loop import Epoch, Watch, best_epoch
from models.recipes import RECIPES, Made, Material
from models.triton_config import sha256_of
from neurovision_assets.provenance import canonical_json
from neurovision_assets.training.candidate.data import TRAIN, VALIDATION, TrainingData, operations_of
from neurovision_assets.training.candidate.home import (
    GOLDEN_FILE,
    TRAINING_CODE_VERSION,
    WEIGHTS_FILE,
    CandidateRecord,
    TrainingHome,
)
from neurovision_assets.training.candidate.pictures import CURVES_FILE, draw_curves
from neurovision_assets.training.kinds import ModelKind
from resources.errors import ConfigurationError, PermanentFailure
from resources.inference.repository import MODEL_FILE, ModelRepository
from resources.model_registry import ModelRegistry, TrackedRun

REPOSITORY: Final = "repository"
SEED_FILES: Final = ("labels.txt", "taxonomies")
DAGSTER_RUN_TAG: Final = "dagster_run_id"


@dataclass(frozen=True)
class Order:
    """One training that was asked for.

    Attributes:
        kind: of model.
        data: to learn from.
        settings: of the training, as its preset and its run say.
        seed: decides everything random.
        run_id: Dagster's.
        tags: of the MLflow run, besides what follows from the order.
    """

    kind: ModelKind
    data: TrainingData
    settings: Mapping[str, Any]
    seed: int
    run_id: str
    tags: Mapping[str, str]


def train_candidate(
    order: Order, home: TrainingHome, served: ModelRepository, registry: ModelRegistry, log: Callable[[str], None]
) -> tuple[Path, CandidateRecord]:
    """Train, keep the best epoch, export, and log everything; a training that was killed goes on where it was.

    Raises:
        ConfigurationError: PyTorch is not installed, or a setting is unknown.
        PermanentFailure: the data cannot be learned from.
        TransientFailure: MLflow does not answer.
    """
    _require_torch()
    folder = home.new_candidate(order.kind.model, order.run_id)
    repository = folder / REPOSITORY
    extractor_digest = _copy_seed(order.kind.model, served, repository)
    training = operations_of(order.data.folder, order.kind, TRAIN)
    validation = operations_of(order.data.folder, order.kind, VALIDATION)
    checkpoint = Checkpoint(home.checkpoint(order.kind.model), _identity(order, extractor_digest))
    tags = {**order.tags, DAGSTER_RUN_TAG: order.run_id, **_data_tags(order.data)}
    with registry.start_run(f"train_{order.run_id}", tags, order.kind.model_type) as run:
        run.log_params({**order.settings, "seed": order.seed})
        material = Material(
            repository=repository,
            training=training,
            validation=validation,
            seed=order.seed,
            report=log,
            settings=order.settings,
            watch=Watch(told=Follower(run, log), checkpoint=checkpoint),
        )
        made = _made(order, material)
        record = CandidateRecord(
            model=order.kind.model,
            digest=sha256_of(repository / order.kind.model / "1" / MODEL_FILE),
            weights_hash=weights_hash(made.weights),
            extractor_digest=extractor_digest,
            mlflow_run_id=run.run_id,
            data_revision=order.data.revision,
            data_version=order.data.tag,
            data_hash=order.data.content_hash,
            learned_from=tuple(operation.name for operation in training),
            chosen_on=tuple(operation.name for operation in validation),
            settings=made.config.model_dump(mode="json"),
            best_epoch=best_epoch(made.epochs).number,
            figures=dict(best_epoch(made.epochs).figures),
            trained=datetime.now(UTC),
        )
        _keep(folder, made)
        _log(run, folder, record, made)
    home.publish(folder, record)
    checkpoint.remove()
    return folder, record


class Follower:
    """Tells every epoch to MLflow, a point a figure (NV-050), and to the log."""

    def __init__(self, run: TrackedRun, log: Callable[[str], None]) -> None:
        self._run, self._log = run, log

    def __call__(self, epoch: Epoch) -> None:
        """Tell one."""
        self._log(str(epoch))
        self._run.log_metrics(epoch.figures, step=epoch.number)


def _made(order: Order, material: Material) -> Made:
    """Run the recipe; what it raises is said in terms of the order."""
    import torch
    from pydantic import ValidationError

    torch.set_num_threads(len(os.sched_getaffinity(0)))
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # PyTorch's condition for determinism on a card
    torch.use_deterministic_algorithms(True)
    try:
        return RECIPES[order.kind.model](material)
    except ValidationError as error:
        first = error.errors()[0]
        raise ConfigurationError(
            f"The setting cannot be used: {first['msg']}.",
            subject=f"training.{order.kind.model_type}.{'.'.join(map(str, first['loc']))}",
            remedy="Correct it in the preset or in the run's hyperparameters.",
        ) from error
    except ExportMismatchError as error:
        raise PermanentFailure(
            f"The exported file does not answer as the network: {error}.",
            subject=order.kind.model,
            remedy="Look at the exporter's versions; nothing was registered.",
        ) from error
    except FloatingPointError as error:
        raise PermanentFailure(
            f"The training diverged: {error}.",
            subject=order.kind.model,
            remedy="Lower the learning rate, or look at the data of this version.",
        ) from error


def _require_torch() -> None:
    try:
        import torch  # noqa: F401
    except ImportError as error:
        raise ConfigurationError(
            "PyTorch is not installed.",
            subject="training",
            remedy="Install what learning needs: sh scripts/setup.sh base train learn.",
        ) from error


def _copy_seed(model: str, served: ModelRepository, repository: Path) -> str:
    """Bring what a candidate has in common with the served model, and the backbone of a segmenter.

    Returns:
        The backbone's digest, empty for models that read pictures.
    """
    shutil.rmtree(repository, ignore_errors=True)
    for name in SEED_FILES:
        source = served.root / model / name
        target = repository / model / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target)
        elif source.is_file():
            shutil.copyfile(source, target)
    if model != SEGMENTER:
        return ""
    extractor = served.describe(EXTRACTOR).identity
    copy_served(served, EXTRACTOR, repository)
    return extractor.digest


def copy_served(served: ModelRepository, model: str, into: Path) -> str:
    """Copy the version that is served now as version 1 of another repository, and give its digest."""
    identity = served.describe(model).identity
    target = into / model / "1" / MODEL_FILE
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(served.file(model, identity.version), target)
    return identity.digest


def _identity(order: Order, extractor_digest: str) -> str:
    """What the weights depend on."""
    import torch

    told = {
        "code": TRAINING_CODE_VERSION,
        "torch": str(torch.__version__),
        "model": order.kind.model,
        "data": order.data.content_hash,
        "extractor": extractor_digest,
        "settings": dict(order.settings),
        "seed": order.seed,
    }
    return hashlib.sha256(canonical_json(told).encode()).hexdigest()


def _data_tags(data: TrainingData) -> dict[str, str]:
    return {"data_revision": data.revision, "data_version": data.tag, "data_hash": data.content_hash}


def _keep(folder: Path, made: Made) -> None:
    """Weights without pickle (NV-068), golden answers, curves."""
    import numpy as np

    write_tensors(folder / WEIGHTS_FILE, made.weights, {})
    with (folder / GOLDEN_FILE).open("wb") as stream:
        np.savez(stream, allow_pickle=False, **made.golden)
    draw_curves(made.epochs, folder / CURVES_FILE)


def _log(run: TrackedRun, folder: Path, record: CandidateRecord, made: Made) -> None:
    run.log_params({**record.settings, "best_epoch": record.best_epoch})
    run.log_metrics({f"best_{name}": value for name, value in record.figures.items()})
    run.set_tags({"weights_hash": record.weights_hash, "digest": record.digest})
    run.log_artifact(folder / CURVES_FILE)
    run.log_artifact(folder / WEIGHTS_FILE)
    run.log_model(folder / REPOSITORY / record.model / "1" / MODEL_FILE)
    run.log_metrics({"onnx_difference": made.difference})
