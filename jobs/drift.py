"""The weekly look for drift, on Monday morning for the week before.

Belongs here: the job and its clock. Does not belong here: what is looked at; what follows (``sensors/drift``).
"""

import dagster as dg

from neurovision_assets.drift.asset import DRIFT, REFERENCE

WATCH_DRIFT = "watch_drift"
MORNING = 6
"""Hours after the week's end: Sunday's videos have been computed by then."""

watch_drift_job = dg.define_asset_job(
    WATCH_DRIFT,
    selection=dg.AssetSelection.assets(REFERENCE, DRIFT),
    description="Whether a week's videos are still like those that the served models were made for.",
    tags={"dagster/priority": "-5"},
)

weekly_drift = dg.build_schedule_from_partitioned_job(
    watch_drift_job,
    name="weekly_drift",
    hour_of_day=MORNING,
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description="Judges the week before on Monday morning, UTC.",
)
