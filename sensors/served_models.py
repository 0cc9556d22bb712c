"""Tells the graph when the runtime model repository serves other models than before.

Belongs here: noticing. Does not belong here: looking into models (the registry assets do that, in the requested run).
"""

import dagster as dg

from jobs.install_models import install_models_job
from resources.inference.client import InferenceResource

INTERVAL_S = 30


def served_labels(inference: InferenceResource) -> str:
    """Everything that is served now, one text: two looks agree exactly when nothing changed."""
    repository = inference.models
    identities = [repository.describe(name).identity for name in repository.names()]
    return ",".join(f"{identity.label}:{identity.version}:{identity.digest}" for identity in identities)


@dg.sensor(
    job=install_models_job,
    minimum_interval_seconds=INTERVAL_S,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Records newly served models as materializations of the registry assets.",
)
def served_models_sensor(
    context: dg.SensorEvaluationContext, inference: InferenceResource
) -> dg.RunRequest | dg.SkipReason:
    """One look; the cursor is what was told last. No run key: after a rollback the same models must be told again."""
    labels = served_labels(inference)
    if labels == context.cursor:
        return dg.SkipReason("The same models are served.")
    context.update_cursor(labels)
    return dg.RunRequest()
