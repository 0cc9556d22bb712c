"""From a recipe to a Dagster asset.

Belongs here: the decorator. Does not belong here: what happens in a run (``runner``).
"""

import functools
import inspect
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import dagster as dg

from neurovision_assets.partitions import video_ids
from neurovision_assets.stage import events
from neurovision_assets.stage.pipeline import Pipeline
from neurovision_assets.stage.runner import Recipe, StageRun
from neurovision_assets.stage.spec import COMPLETE_CHECK, CONTRACT_CHECK, PIPELINE_OWNER, StageSpec

VIDEOS_PER_BACKFILL_RUN = 10
NOTHING: Any = dg.Nothing  # a DagsterType at run time, a class to the type checker
RESOURCES = {"object_store", "inference", "progress", "profiles"}


def _knowing_what_is_new(function: Callable[[Recipe], dg.AssetsDefinition]) -> Callable[[Recipe], dg.AssetsDefinition]:
    """Partitions of checks and backfill policies are young in Dagster: used knowingly, guarded by tests."""

    @functools.wraps(function)
    def quiet(recipe: Recipe) -> dg.AssetsDefinition:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", dg.PreviewWarning)
            warnings.simplefilter("ignore", dg.BetaWarning)
            return function(recipe)

    return quiet


def stage_asset(pipeline: Pipeline, name: str) -> Callable[[Recipe], dg.AssetsDefinition]:
    """Make a recipe ``(Work) -> Outcome`` the asset of a stage; its docstring becomes the asset's description.

    Args:
        pipeline: the domain.
        name: the stage.
    """
    spec = pipeline[name]

    @_knowing_what_is_new
    def decorate(recipe: Recipe) -> dg.AssetsDefinition:
        checks = _check_specs(spec)

        @dg.asset(
            key=events.asset_key(spec),
            deps=[dg.AssetKey.from_user_string(key) for key in spec.upstream_assets],
            partitions_def=video_ids,
            backfill_policy=dg.BackfillPolicy.multi_run(VIDEOS_PER_BACKFILL_RUN),
            check_specs=checks,
            group_name=spec.group,
            owners=[PIPELINE_OWNER],
            kinds=set(spec.kinds),
            code_version=spec.code_version,
            description=inspect.getdoc(recipe),
            metadata=_definition_metadata(spec),
            required_resource_keys=RESOURCES,
            op_tags={"dagster/priority": str(spec.priority)},
            dagster_type=NOTHING,
        )
        def stage(context: dg.AssetExecutionContext) -> Iterator[Any]:
            yield from StageRun(context, pipeline, spec, recipe).execute()
            yield from events.muted_outputs(checks)

        return stage

    return decorate


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


def _definition_metadata(spec: StageSpec) -> dict[str, Any]:
    return {} if spec.contract is None else {"dagster/column_schema": spec.contract.dagster_schema}
