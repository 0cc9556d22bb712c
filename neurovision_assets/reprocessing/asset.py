"""The asset ``registry/plan``: what the models and the code of now have made stale, waiting for somebody's approval.

Belongs here: the recipe, and how a plan is shown in the UI. Does not belong here: making one (``planner``), when it is
made (``sensors/plans``), approval: that is a person's act (``make approve``).
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import dagster as dg
from pydantic import Field

from neurovision_assets.profiles import ProfileCatalog
from neurovision_assets.reprocessing.draft import in_words
from neurovision_assets.reprocessing.planner import Planner
from neurovision_assets.reprocessing.plans import SAMPLE, Plan, PlanState, load_plan
from neurovision_assets.reprocessing.sample import Compare
from neurovision_assets.stage.pipeline import Pipeline
from neurovision_assets.stage.spec import PIPELINE_OWNER, REGISTRY
from resources.database.engine import Database
from resources.errors import NeuroVisionError, TransientFailure
from resources.inference.client import InferenceResource
from resources.object_store import ObjectStore
from resources.progress import ProgressBoard

PLAN = dg.AssetKey([REGISTRY, "plan"])
PLATFORM = "platform"
"""Who proposes a plan that nobody asked for."""
NOTHING = "nothing is stale"
RETRIES = 3
PAUSE_S = 60


class PlanForm(dg.Config):
    """How a plan is made."""

    by: str = Field(default=PLATFORM, description="Who asks for it.")
    sample: int = Field(default=SAMPLE, ge=0, description="Videos to compute aside, to see what would change.")


def plan_asset(
    pipeline: Pipeline, assets: Sequence[dg.AssetsDefinition], compared: Mapping[str, Compare]
) -> dg.AssetsDefinition:
    """The plan of one domain.

    Args:
        pipeline: the domain.
        assets: its definitions.
        compared: how to tell two results of a stage apart, by stage name.
    """
    models = sorted({model for stage in pipeline.stages for model in stage.models})

    @dg.asset(
        key=PLAN,
        deps=[dg.AssetKey([REGISTRY, model]) for model in models],
        group_name=REGISTRY,
        owners=[PIPELINE_OWNER],
        kinds={"sql"},
        code_version="1",
        description="Which (asset, video_id) are stale since other models are served or the code is another: how many, "
        "how long computing takes, what would change in a few videos. It runs when somebody approves it.",
    )
    def plan(
        context: dg.AssetExecutionContext,
        config: PlanForm,
        object_store: ObjectStore,
        progress: ProgressBoard,
        database: Database,
        inference: InferenceResource,
        profiles: ProfileCatalog,
    ) -> dg.MaterializeResult[None]:
        """One plan for each change; the one that is there is shown again."""
        resources = {
            "object_store": object_store,
            "progress": progress,
            "database": database,
            "inference": inference,
            "profiles": profiles,
        }
        planner = Planner(pipeline, assets, compared, resources, context.instance)
        try:
            proposal = planner.answer_change(config.by, config.sample, context.log.info)
            found = load_plan(database, proposal.plan_id) if proposal.plan_id else None
        except TransientFailure as error:
            raise dg.RetryRequested(max_retries=RETRIES, seconds_to_wait=PAUSE_S) from error
        except NeuroVisionError as error:
            raise dg.Failure(str(error), allow_retries=False) from error
        context.log.info(told(found))
        return dg.MaterializeResult(
            data_version=dg.DataVersion(found.id if found else NOTHING),
            metadata=metadata_of(found) if found else {"plan": NOTHING},
        )

    return plan


def told(plan: Plan | None) -> str:
    """One line: what waits, and how it goes on."""
    if plan is None:
        return "Nothing is stale, so there is no plan."
    figures = f"{plan.summary.pairs} pairs of {plan.summary.videos} videos"
    if plan.state is not PlanState.PROPOSED:
        return f"Plan {plan.id} ({figures}) is {plan.state}."
    return f"Plan {plan.id} ({figures}) waits: make approve PLAN={plan.id} lets it run."


def metadata_of(plan: Plan) -> dict[str, Any]:
    """What the UI shows of a plan; tables, which it opens where they stand."""
    summary = plan.summary
    counted = {
        "began_with": ("where the staleness began", summary.by_root),
        "stages": ("stage", summary.by_asset),
        "never_measured": ("stage", summary.unmeasured),
        "videos_left_out": ("why", summary.left_out),
    }
    return {
        "plan": plan.id,
        "state": str(plan.state),
        "approve": f"make approve PLAN={plan.id}, or the job approve_plan",
        "videos": summary.videos,
        "pairs": summary.pairs,
        "computing": f"{in_words(summary.computing_s)}, as it was measured before",
        **{name: _table([what, "how many"], counts.items()) for name, (what, counts) in counted.items() if counts},
        **({"would_change": _changes(plan.sample)} if plan.sample else {}),
        "every_pair": f"make plans PLAN={plan.id}",
    }


def _changes(sample: Mapping[str, Any]) -> dg.TableMetadataValue:
    """What was found in the videos that were computed aside, a row a stage."""
    found = [
        (video_id, stage, ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in figures.items()))
        for video_id, stages in sample.items()
        for stage, figures in stages.items()
    ]
    return _table(["video_id", "stage", "what would change"], found)


def _table(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> dg.TableMetadataValue:
    records = [dg.TableRecord(dict(zip(columns, row, strict=True))) for row in rows]
    kinds = {str: "string", int: "int"}
    first = records[0].data if records else {}
    schema = [dg.TableColumn(name, kinds.get(type(first.get(name, "")), "float")) for name in columns]
    return dg.TableMetadataValue(records, dg.TableSchema(schema))
