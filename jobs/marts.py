"""The marts, built anew: by hand, or every night.

Belongs here: the job's name and selection, the clock. Does not belong here: the assets (``neurovision_assets/marts``).
"""

import dagster as dg

MARTS = "marts"
EVERY_NIGHT = "30 3 * * *"

marts_job = dg.define_asset_job(
    MARTS,
    selection=dg.AssetSelection.groups(MARTS),
    description="Video status, phase statistics, stale predictions, model performance, from the records of now.",
    tags={"dagster/priority": "-10"},
)
daily_marts = dg.ScheduleDefinition(
    name="daily_marts",
    cron_schedule=EVERY_NIGHT,
    job=marts_job,
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description="Builds the marts every night.",
)
