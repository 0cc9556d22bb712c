"""Asks for a retraining of each model whose week has drifted.

Belongs here: reading new results of ``monitoring/drift``, asking once a week and model. Does not belong here: the
judgement, starting runs (``sensors/retraining``).
"""

import json
from typing import Any

import dagster as dg

from neurovision_assets.drift.asset import ALARMS, DRIFT
from neurovision_assets.training.requests import request_retraining

INTERVAL_S = 60
MOST = 100
REQUESTER = "drift"


@dg.sensor(
    minimum_interval_seconds=INTERVAL_S,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Asks for a retraining of the models whose week has drifted; once a week, however often it is judged.",
)
def drift_alarms(context: dg.SensorEvaluationContext) -> dg.SkipReason:
    """One look; the cursor is the last result that was read, and the newest week that was asked for, by model."""
    seen: dict[str, Any] = json.loads(context.cursor) if context.cursor else {"after": 0, "asked": {}}
    wanted = dg.AssetRecordsFilter(asset_key=DRIFT, after_storage_id=seen["after"])
    asked = []
    for record in context.instance.fetch_materializations(wanted, limit=MOST, ascending=True).records:
        seen["after"] = record.storage_id
        event = record.asset_materialization
        week = str(event.partition) if event else ""
        alarms: Any = event.metadata[ALARMS].value if event and ALARMS in event.metadata else {}
        for model, sentence in alarms.items():
            # An older week that is judged again, or later than a newer one, is no news.
            if week > seen["asked"].get(model, ""):
                request_retraining(context.instance, model, reason=f"week {week}: {sentence}", requester=REQUESTER)
                seen["asked"][model] = week
                asked.append(model)
    context.update_cursor(json.dumps(seen))
    return dg.SkipReason(f"Asked for {', '.join(asked)}." if asked else "No new alarm.")
