"""Training again: data, validation, splits, candidate, evaluation, promotion; and the clock that asks for it weekly.

Belongs here: the job's name, selection and tags, the schedule. Does not belong here: the steps; other reasons to ask
(``neurovision_assets/training/requests``).
"""

import dagster as dg

from neurovision_assets.stage.step import RUN_TIME_TAG
from neurovision_assets.training.assets import TRAINING_KEYS
from neurovision_assets.training.dataset.told import dataset_key
from neurovision_assets.training.kinds import KINDS
from neurovision_assets.training.requests import request_retraining

RETRAIN = "retrain"
TRAINING_TAG = "neurovision/training"
"""One training at a time, whatever the model (``dagster.yaml``): it has all cores, or the card."""
LONGEST_S = 24 * 3600
SUNDAY_NIGHT = "0 2 * * 0"

retrain_job = dg.define_asset_job(
    RETRAIN,
    selection=dg.AssetSelection.assets(
        *(dataset_key(name) for name in ("frames", "annotations", "splits")), *TRAINING_KEYS
    ),
    description="NeuroVision Training Pipeline: End-to-end ML training pipeline. A partition a model.",
    tags={RUN_TIME_TAG: str(LONGEST_S), TRAINING_TAG: "1", "dagster/priority": "-5"},
)


@dg.schedule(
    name="weekly_retraining",
    cron_schedule=SUNDAY_NIGHT,
    job=retrain_job,
    description="Asks for a retraining of every model on Sunday night; the sensor retraining_requests starts them.",
)
def weekly_retraining(context: dg.ScheduleEvaluationContext) -> dg.SkipReason:
    """Ask as everybody asks, so that a clock and a drift alarm at once make one run."""
    for model in KINDS:
        request_retraining(context.instance, model, reason="weekly", requester="clock")
    return dg.SkipReason(f"Asked for {', '.join(KINDS)}; the sensor retraining_requests starts the runs.")
