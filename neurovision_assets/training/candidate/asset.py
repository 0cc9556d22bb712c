"""The asset ``training/candidate``: a model trained on a version of the data.

Belongs here: the recipe of the step. Does not belong here: the training itself (``train``). What only a training needs
is imported when one runs: every run of the platform loads this module.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import dagster as dg
from filelock import FileLock, Timeout
from pydantic import Field, ValidationError

from neurovision_assets.provenance import canonical_json
from neurovision_assets.stage.spec import PIPELINE_OWNER
from neurovision_assets.training.candidate.home import TRAINING_CODE_VERSION, TrainingHome
from neurovision_assets.training.dataset.told import dataset_key
from neurovision_assets.training.kinds import KINDS, ModelKind, trained_models
from neurovision_assets.training.params import AnatomySegmentationParams, load_params
from resources.datasets import DatasetRepository
from resources.errors import ConfigurationError, TransientFailure
from resources.inference.client import InferenceResource
from resources.model_registry import ModelRegistry

CANDIDATE = dg.AssetKey(["training", "candidate"])
POOL = "training"
GPU_TAGS = {
    "dagster-k8s/config": {
        "container_config": {"resources": {"limits": {"nvidia.com/gpu": "1"}}},
        "pod_spec_config": {"node_selector": {"accelerator": "nvidia-tesla-v100"}},
    }
}
"""One card of the kind that the requirements name (NV-067); other launchers pass by it."""


class CandidateConfig(dg.Config):
    """What one training is asked for."""

    data_version: str = Field(default="", description="Tag or revision of the data, v1.0; the newest without one.")
    preset: str = Field(default="", description="Preset of params.yaml; the deployment's without one.")
    hyperparameters: dict[str, Any] = Field(
        default_factory=dict, description="Come before the preset's, for example epochs: 3."
    )
    seed: int = Field(default=0, description="Decides weights, order and augmentation.")


@dg.asset(
    key=CANDIDATE,
    partitions_def=trained_models,
    deps=[dataset_key("splits")],
    group_name="training",
    owners=[PIPELINE_OWNER],
    kinds={"torch", "mlflow"},
    code_version=TRAINING_CODE_VERSION,
    pool=POOL,
    op_tags=GPU_TAGS,
    description="The best epoch of a training by validation F1, as ONNX; every epoch is in MLflow.",
)
def candidate(
    context: dg.AssetExecutionContext,
    config: CandidateConfig,
    datasets: DatasetRepository,
    training: TrainingHome,
    inference: InferenceResource,
    model_registry: ModelRegistry,
) -> dg.MaterializeResult[None]:
    """Fetch the data, train, keep the best epoch; a training that was killed goes on where it was."""
    from neurovision_assets.training.candidate.data import fetch_data
    from neurovision_assets.training.candidate.pictures import CURVES_FILE
    from neurovision_assets.training.candidate.train import Order, train_candidate
    from neurovision_assets.training.promotion.aliases import repair_aliases

    kind = KINDS[context.partition_key]
    settings = settings_of(kind, config.preset or training.preset, config.hyperparameters)
    with _alone(training, kind):
        model_registry.abandon_runs(kind.model_type, {"model": kind.model})
        repair_aliases(kind, inference.models, model_registry)
        order = Order(
            kind=kind,
            data=fetch_data(datasets, training, config.data_version),
            settings=settings,
            seed=config.seed,
            run_id=context.run.run_id,
            tags={"model": kind.model, "preset": config.preset or training.preset},
        )
        folder, record = train_candidate(order, training, inference.models, model_registry, context.log.info)
    return dg.MaterializeResult(
        data_version=dg.DataVersion(record.weights_hash),
        metadata={
            **{f"best_{name}": value for name, value in record.figures.items()},
            "best_epoch": record.best_epoch,
            "digest": record.digest,
            "weights_hash": record.weights_hash,
            "mlflow_run_id": record.mlflow_run_id,
            "data_version": record.data_version or record.data_revision,
            "data_revision": record.data_revision,
            "operations": len(record.learned_from),
            "settings": dg.MetadataValue.md(f"```json\n{canonical_json(record.settings)}\n```"),
            "training_curves": dg.MetadataValue.path(str(folder / CURVES_FILE)),
        },
    )


def settings_of(kind: ModelKind, preset: str, hyperparameters: dict[str, Any]) -> dict[str, Any]:
    """A kind's settings: the preset's, and what the run names before them.

    Raises:
        ConfigurationError: there is no such preset, a hyperparameter is unknown or cannot be used, or weights are asked
            for that are not there.
    """
    of_preset = getattr(load_params(preset).training, kind.model_type)
    try:
        chosen = type(of_preset).model_validate({**of_preset.model_dump(), **hyperparameters})
    except ValidationError as error:
        first = error.errors()[0]
        known = ", ".join(type(of_preset).model_fields)
        raise ConfigurationError(
            f"The hyperparameter cannot be used: {first['msg']}.",
            subject=f"{kind.model_type}.{'.'.join(map(str, first['loc']))}",
            remedy=f"Correct it in SET or in the run's hyperparameters. Known are {known}.",
        ) from error
    if isinstance(chosen, AnatomySegmentationParams):
        chosen.check_weights()
    settings: dict[str, Any] = chosen.model_dump(mode="json", exclude={"use_pretrained_sam"})
    return settings


@contextmanager
def _alone(training: TrainingHome, kind: ModelKind) -> Iterator[None]:
    """Hold the model's training.

    Raises:
        TransientFailure: another process trains it.
    """
    try:
        with FileLock(training.lock(kind.model), blocking=False):
            yield
    except Timeout as error:
        raise TransientFailure(
            "It is trained by another run at this moment.", subject=kind.model, remedy="Wait for that run to end."
        ) from error
