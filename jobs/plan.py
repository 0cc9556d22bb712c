"""Plans in the UI: the job that proposes one, and the form by which a person approves it.

Belongs here: names, selection, tags, the form. Does not belong here: plans (``neurovision_assets/reprocessing``), who
asks for a proposal (``sensors/plans``).
"""

from typing import Any

import dagster as dg
from pydantic import Field

from neurovision_assets.profiles import ProfileCatalog
from neurovision_assets.reprocessing.asset import PLAN
from neurovision_assets.reprocessing.planner import approve_now
from neurovision_assets.stage.pipeline import Pipeline
from neurovision_assets.surgery.pipeline import SURGERY
from resources.database.engine import Database
from resources.errors import NeuroVisionError
from resources.inference.client import InferenceResource

PROPOSE_PLAN = "propose_plan"
APPROVE_PLAN = "approve_plan"

propose_plan_job = dg.define_asset_job(
    PROPOSE_PLAN,
    selection=dg.AssetSelection.assets(PLAN),
    description="What is stale since other models are served or the code is another, as a plan for approval.",
    tags={"dagster/priority": "-5"},
)


class ApprovalForm(dg.Config):
    """Who approves what; empty defaults, so that the launchpad opens with these lines and not with resources."""

    plan_id: str = Field(default="", description="The plan, as the asset registry/plan names it.")
    by: str = Field(default="", description="Who approves it.")


def approval_job(pipeline: Pipeline) -> dg.JobDefinition:
    """The form of one domain."""

    @dg.op(name="approve", description="Lets the plan run; the request that runs it stands in the step's metadata.")
    def approve(
        context: dg.OpExecutionContext,
        config: ApprovalForm,
        database: Database,
        profiles: ProfileCatalog,
        inference: InferenceResource,
    ) -> None:
        """The same that ``make approve`` does."""
        try:
            request_id = approve_now(pipeline, database, profiles, inference, config.plan_id, config.by)
        except NeuroVisionError as error:
            raise dg.Failure(str(error), allow_retries=False) from error
        context.log.info(f"Request {request_id} runs the plan: make requests ID={request_id} tells how it goes.")
        context.add_output_metadata({"request_id": request_id})

    @dg.job(name=APPROVE_PLAN, description="Approve a plan of what is to be computed again.")
    def job() -> None:
        approve()

    return job


plan_jobs: tuple[Any, ...] = (propose_plan_job, approval_job(SURGERY))
