"""Tells the graph when the runtime model repository serves other models than before.

Belongs here: noticing. Does not belong here: what is told of a model (``neurovision_assets.registry``).
"""

import dagster as dg

from neurovision_assets.registry import DEFAULT_MODELS, served_model
from resources.inference.client import InferenceResource

INTERVAL_S = 30


def served_labels(inference: InferenceResource) -> str:
    """Everything that is served now, one text: two looks agree exactly when nothing changed."""
    repository = inference.models
    identities = [repository.describe(name).identity for name in repository.names()]
    return ",".join(f"{identity.label}:{identity.version}:{identity.digest}" for identity in identities)


@dg.sensor(
    minimum_interval_seconds=INTERVAL_S,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Records newly served models as materializations of the registry assets.",
)
def served_models_sensor(context: dg.SensorEvaluationContext, inference: InferenceResource) -> dg.SensorResult:
    """One look; the cursor is what was told last."""
    labels = served_labels(inference)
    if labels == context.cursor:
        return dg.SensorResult(skip_reason="The same models are served.")
    told = [served_model(inference, name) for name in inference.models.names() if name in DEFAULT_MODELS]
    return dg.SensorResult(asset_events=told, cursor=labels, skip_reason=f"Now served: {labels}")
