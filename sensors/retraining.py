"""Turns requests for a retraining into runs, one a model.

Belongs here: the cursor and which models are busy. Does not belong here: writing requests, what a run does.
"""

import json

import dagster as dg

from jobs.retrain import RETRAIN, retrain_job
from neurovision_assets.runs import PARTITION_TAG, UNFINISHED
from neurovision_assets.training.requests import read_requests, runs_for

INTERVAL_S = 30


@dg.sensor(
    job=retrain_job,
    minimum_interval_seconds=INTERVAL_S,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Starts a retraining where one was asked for; all requests for a model since its last one make one.",
)
def retraining_requests(context: dg.SensorEvaluationContext) -> dg.SensorResult:
    """One look; the cursor is the last answered request of each model."""
    answered: dict[str, int] = json.loads(context.cursor) if context.cursor else {}
    runs = runs_for(read_requests(context.instance, answered), busy_models(context.instance))
    for run in runs:
        model, _, number = str(run.run_key).rpartition(":")
        answered[model] = int(number)
    skip = None if runs else "Nothing was asked for, or it is being trained."
    return dg.SensorResult(run_requests=runs, cursor=json.dumps(answered), skip_reason=skip)


def busy_models(instance: dg.DagsterInstance) -> set[str]:
    """Models with a retraining that waits or runs."""
    runs = instance.get_runs(dg.RunsFilter(job_name=RETRAIN, statuses=UNFINISHED))
    return {run.tags[PARTITION_TAG] for run in runs if PARTITION_TAG in run.tags}
