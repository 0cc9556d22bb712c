"""Training again: data, validation, splits, candidate, evaluation, promotion; and the clock that asks for it weekly.

Belongs here: the job's name, selection and tags, the schedule. Does not belong here: the steps; other reasons to ask
(``neurovision_assets/training/requests``).
"""

import json
from pathlib import Path

import dagster as dg
import yaml

from neurovision_assets.stage.step import RUN_TIME_TAG
from neurovision_assets.training.assets import TRAINING_KEYS
from neurovision_assets.training.dataset.layout import Layout
from neurovision_assets.training.dataset.told import dataset_key
from neurovision_assets.training.kinds import KINDS
from neurovision_assets.training.requests import request_retraining
from resources.datasets import DatasetRepository
from resources.errors import ConfigurationError
from resources.settings import load_settings

RETRAIN = "retrain"
TRAINING_TAG = "neurovision/training"
"""One training at a time, whatever the model (``dagster.yaml``): it has all cores, or the card."""
POD_TAG = "dagster-k8s/config"
"""Dagster's Kubernetes launcher reads it; every other launcher leaves it alone."""
LONGEST_S = 24 * 3600
SUNDAY_NIGHT = "0 2 * * 0"


def pod_tags(path: Path | None) -> dict[str, str]:
    """The tag that gives a retraining's pod its own image, card and nodes.

    Raises:
        ConfigurationError: the file that the setting names is not there, or is no YAML mapping.
    """
    if path is None:
        return {}
    try:
        pod = yaml.safe_load(path.read_text(encoding="utf-8"))
        if not isinstance(pod, dict):
            raise ValueError("it is no mapping")
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise ConfigurationError(
            f"The file cannot be used: {error}.",
            subject="NEUROVISION_TRAINING_POD_FILE",
            remedy="Name a YAML file with container_config and pod_spec_config, or unset it.",
        ) from error
    return {POD_TAG: json.dumps(pod, sort_keys=True)}


retrain_job = dg.define_asset_job(
    RETRAIN,
    selection=dg.AssetSelection.assets(
        *(dataset_key(name) for name in ("frames", "annotations", "splits")), *TRAINING_KEYS
    ),
    description="NeuroVision Training Pipeline: End-to-end ML training pipeline. A partition a model.",
    tags={
        RUN_TIME_TAG: str(LONGEST_S),
        TRAINING_TAG: "1",
        "dagster/priority": "-5",
        **pod_tags(load_settings().training_pod_file),
    },
)


@dg.schedule(
    name="weekly_retraining",
    cron_schedule=SUNDAY_NIGHT,
    job=retrain_job,
    execution_timezone="UTC",
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description="Asks for a retraining of every model on Sunday night; the sensor retraining_requests starts them.",
)
def weekly_retraining(context: dg.ScheduleEvaluationContext, datasets: DatasetRepository) -> dg.SkipReason:
    """Ask as everybody asks, so that a clock and a drift alarm at once make one run."""
    if not Layout(datasets.root).sets():
        return dg.SkipReason("Nothing to learn from was imported yet: make import DATASET=…")
    for model in KINDS:
        request_retraining(context.instance, model, reason="weekly", requester="clock")
    return dg.SkipReason(f"Asked for {', '.join(KINDS)}; the sensor retraining_requests starts the runs.")
