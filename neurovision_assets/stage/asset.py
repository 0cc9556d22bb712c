"""From stages to a Dagster step: one asset a stage, one step for those that run side by side.

Belongs here: the definitions. Does not belong here: what happens in a run (``step``).
"""

import inspect
import warnings
from collections.abc import Iterator
from typing import Any

import dagster as dg

from neurovision_assets.partitions import video_ids
from neurovision_assets.stage import events
from neurovision_assets.stage.recipe import Stage
from neurovision_assets.stage.spec import COMPLETE_CHECK, CONTRACT_CHECK, PIPELINE_OWNER, StageSpec
from neurovision_assets.stage.step import StepRun

VIDEOS_PER_BACKFILL_RUN = 10
RESOURCES = {"object_store", "inference", "progress", "profiles", "database"}


def step_asset(name: str, *stages: Stage) -> dg.AssetsDefinition:
    """The assets of stages that run in one step; any of them can be run alone.

    Args:
        name: of the step.
        stages: upstream first, of one domain; an input of one may be another of them.
    """
    with warnings.catch_warnings():  # partitions of checks and backfill policies are young in Dagster: guarded by tests
        warnings.simplefilter("ignore", dg.PreviewWarning)
        warnings.simplefilter("ignore", dg.BetaWarning)

        @dg.multi_asset(
            name=name,
            specs=[_asset_spec(stage) for stage in stages],
            check_specs=[check for stage in stages for check in _check_specs(stage.spec)],
            can_subset=True,
            backfill_policy=dg.BackfillPolicy.multi_run(VIDEOS_PER_BACKFILL_RUN),
            required_resource_keys=RESOURCES,
            op_tags={"dagster/priority": str(max(stage.spec.priority for stage in stages))},
        )
        def step(context: dg.AssetExecutionContext) -> Iterator[Any]:
            yield from StepRun(context, stages).execute()
            yield from events.muted_outputs(context, (stage.spec for stage in stages))

        return step


def _asset_spec(stage: Stage) -> dg.AssetSpec:
    spec = stage.spec
    return dg.AssetSpec(
        events.asset_key(spec),
        deps=[dg.AssetKey.from_user_string(key) for key in spec.upstream_assets],
        partitions_def=video_ids,
        group_name=spec.group,
        owners=[PIPELINE_OWNER],
        kinds=set(spec.kinds),
        code_version=spec.code_version,
        description=inspect.getdoc(stage.recipe),
        metadata={} if spec.contract is None else {"dagster/column_schema": spec.contract.dagster_schema},
        skippable=True,
    )


def _check_specs(spec: StageSpec) -> list[dg.AssetCheckSpec]:
    """Partitioned checks; the runner blocks a single video's way, so Dagster need not block the whole step."""
    texts = {COMPLETE_CHECK: "The stage has a result for this video."}
    if spec.contract is not None:
        promise = f"'{spec.contract.name}', version {spec.contract.version}"
        texts = {CONTRACT_CHECK: f"The table keeps its contract {promise} (pandera).", **texts}
    return [
        dg.AssetCheckSpec(name, asset=events.asset_key(spec), partitions_def=video_ids, description=text)
        for name, text in texts.items()
    ]
