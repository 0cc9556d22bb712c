"""Has a plan made whenever other models are served, or the code of the stages is another, than at the last look.

Belongs here: noticing, and asking for the run. Does not belong here: what is stale
(``neurovision_assets/reprocessing``), approval. A promotion, a rollback and a model that was put there by hand are
noticed alike.
"""

import dagster as dg

from jobs.plan import PROPOSE_PLAN, propose_plan_job
from neurovision_assets.reprocessing.planner import occasion_of
from neurovision_assets.reprocessing.plans import plan_of
from neurovision_assets.runs import UNFINISHED
from neurovision_assets.surgery.pipeline import SURGERY
from resources.database.engine import Database
from resources.inference.client import InferenceResource

INTERVAL_S = 30


@dg.sensor(
    job=propose_plan_job,
    minimum_interval_seconds=INTERVAL_S,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Proposes a plan of what is stale after a promotion, a rollback or new code; somebody approves it.",
)
def plan_proposals(
    context: dg.SensorEvaluationContext, database: Database, inference: InferenceResource
) -> dg.SensorResult:
    """One look; the cursor is what was seen last. The first look only remembers: nothing has changed yet."""
    now = occasion_of(SURGERY, inference)
    if context.cursor == now:
        return dg.SensorResult(skip_reason="The same models are served by the same code.")
    if not context.cursor:
        return dg.SensorResult(cursor=now, skip_reason="This is the first look.")
    if known := plan_of(database, now):
        return dg.SensorResult(cursor=now, skip_reason=f"Plan {known} was made for it.")
    if context.instance.get_runs_count(dg.RunsFilter(job_name=PROPOSE_PLAN, statuses=UNFINISHED)):
        return dg.SensorResult(skip_reason="A plan is being made; the next look decides.")
    return dg.SensorResult(run_requests=[dg.RunRequest()], cursor=now)
