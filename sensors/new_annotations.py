"""Asks for a retraining of a model for which people have given enough new annotations.

Belongs here: counting, asking. Does not belong here: taking corrections in (``commands/correct``), starting runs
(``sensors/retraining``). Imported sets are not counted: who imports one decides for himself.
"""

import dagster as dg

from neurovision_assets.training.candidate.asset import CANDIDATE
from neurovision_assets.training.dataset.told import CORRECTIONS_NAME, NEW_WORDS_METADATA, dataset_key
from neurovision_assets.training.kinds import KINDS, ModelKind
from neurovision_assets.training.requests import REQUESTS, request_retraining

INTERVAL_S = 60
ENOUGH = 50
"""New annotations of a model's kind: spans of phases, pictures with boxes, masks."""
MOST = 1000
REQUESTER = "annotations"
FOLDER_OF = {"phases": "phases", "boxes": "instruments", "masks": "anatomy"}
"""Where corrections of each kind of annotation are kept."""


@dg.sensor(
    minimum_interval_seconds=INTERVAL_S,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description=f"Asks for a retraining of a model after {ENOUGH} new annotations of its kind.",
)
def new_annotations(context: dg.SensorEvaluationContext) -> dg.SkipReason:
    """One look; no cursor, because a request that was written starts the count again."""
    asked = []
    for model, kind in KINDS.items():
        count = new_words(context.instance, kind)
        if count >= ENOUGH:
            request_retraining(context.instance, model, reason=f"{count} new annotations", requester=REQUESTER)
            asked.append(model)
    return dg.SkipReason(f"Asked for {', '.join(asked)}." if asked else f"No model has {ENOUGH} new annotations.")


def new_words(instance: dg.DagsterInstance, kind: ModelKind) -> int:
    """Annotations of a kind since its model was last asked for, or its last training began."""
    corrections = dg.AssetRecordsFilter(
        asset_key=dataset_key(CORRECTIONS_NAME), after_timestamp=_counted_until(instance, kind.model)
    )
    count = 0
    for record in instance.fetch_materializations(corrections, limit=MOST).records:
        told = record.asset_materialization.metadata if record.asset_materialization else {}
        by_kind = told[NEW_WORDS_METADATA].value if NEW_WORDS_METADATA in told else {}
        if isinstance(by_kind, dict):
            count += int(by_kind.get(FOLDER_OF[kind.annotation], 0))
    return count


def _counted_until(instance: dg.DagsterInstance, model: str) -> float:
    """When the model's data were last looked at or asked for, seconds since 1970; 0 before the first time."""
    moments = [0.0]
    for asset in (REQUESTS, CANDIDATE):
        newest = dg.AssetRecordsFilter(asset_key=asset, asset_partitions=[model])
        for record in instance.fetch_materializations(newest, limit=1).records:
            run = instance.get_run_record_by_id(record.run_id) if asset == CANDIDATE else None
            moments.append(run.start_time if run and run.start_time else record.timestamp)
    return max(moments)
