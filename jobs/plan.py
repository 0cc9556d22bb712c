"""The job that proposes a plan after other models or other code came: of the sensor, or of a person in the UI.

Belongs here: the job's name, selection and tags. Does not belong here: the plan (``neurovision_assets/reprocessing``).
"""

import dagster as dg

from neurovision_assets.reprocessing.asset import PLAN

PROPOSE_PLAN = "propose_plan"

propose_plan_job = dg.define_asset_job(
    PROPOSE_PLAN,
    selection=dg.AssetSelection.assets(PLAN),
    description="What is stale since other models are served or the code is another, as a plan for approval.",
    tags={"dagster/priority": "-5"},
)
