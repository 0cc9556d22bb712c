"""The assets ``monitoring/reference`` and ``monitoring/drift``: what is compared with, and what a week says.

Belongs here: the recipes, and what Dagster is told. Does not belong here: who asks for a retraining after an alarm
(``sensors/drift``), the clock (``jobs/drift``).

A partition is a week from Monday to Sunday, UTC, by the time of registration. A week is judged by all of its videos and
gives the same score however often it is looked at, so the stated rate of false alarms is one a week.
"""

import warnings
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import dagster as dg

from neurovision_assets.partitions import video_ids
from neurovision_assets.profiles import ProfileCatalog
from neurovision_assets.registry import DEFAULT_MODELS, model_key
from neurovision_assets.stage.spec import PIPELINE_OWNER
from neurovision_assets.surgery.pipeline import SURGERY
from neurovision_assets.training.candidate.home import TrainingHome
from neurovision_assets.training.kinds import KINDS
from resources.datasets import DatasetRepository
from resources.errors import PermanentFailure
from resources.inference.client import InferenceResource
from resources.object_store import ObjectStore

if TYPE_CHECKING:
    from neurovision_assets.drift.week import WeekDrift

GROUP = "monitoring"
REFERENCE = dg.AssetKey([GROUP, "reference"])
DRIFT = dg.AssetKey([GROUP, "drift"])
SCORE = "ml_data_drift_score"
"""The gauge's name (NV-144)."""
ALARMS = "alarms"
NO_DRIFT = "no_drift"
MONDAY = 1
weeks = dg.WeeklyPartitionsDefinition(start_date="2025-01-06", day_offset=MONDAY)
PREDICTIONS = [dg.AssetKey([SURGERY.domain, stage]) for stage in ("features", "phases", "instruments", "anatomy")]


def _check() -> dg.AssetCheckSpec:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", dg.PreviewWarning)
        text = f"No figure's {SCORE} is above 0.3."
        return dg.AssetCheckSpec(NO_DRIFT, asset=DRIFT, partitions_def=weeks, description=text)


@dg.asset(
    key=REFERENCE,
    deps=[model_key(name) for name in DEFAULT_MODELS],
    group_name=GROUP,
    owners=[PIPELINE_OWNER],
    kinds={"onnx"},
    code_version="1",
    description="Rows of figures of operations that the served models did not learn from; made where they are missing.",
)
def drift_reference(
    context: dg.AssetExecutionContext,
    inference: InferenceResource,
    profiles: ProfileCatalog,
    datasets: DatasetRepository,
    training: TrainingHome,
) -> dg.MaterializeResult[None]:
    """Find or make the reference of each served model; a model without one is told, and not judged."""
    from neurovision_assets.drift.held_out import reference_of_served

    profile = SURGERY.resolve(profiles, profiles.default)
    told: dict[str, Any] = {}
    for model in KINDS:
        try:
            reference, made = reference_of_served(model, profile, inference, datasets, training)
            told[model] = f"{len(reference.operations)} operations, {reference.source}{', made now' if made else ''}"
        except PermanentFailure as failure:
            context.log.warning(str(failure))
            told[model] = f"none: {failure}"
    return dg.MaterializeResult(metadata=told)


@dg.asset(
    key=DRIFT,
    partitions_def=weeks,
    deps=[REFERENCE, *(dg.AssetDep(key, partition_mapping=dg.AllPartitionMapping()) for key in PREDICTIONS)],
    check_specs=[_check()],
    group_name=GROUP,
    owners=[PIPELINE_OWNER],
    kinds={"scipy", "json"},
    code_version="1",
    description="Features, confidences and class shares of a week's videos against the served models' references.",
)
def drift(
    context: dg.AssetExecutionContext,
    object_store: ObjectStore,
    inference: InferenceResource,
    profiles: ProfileCatalog,
) -> Iterator[dg.MaterializeResult[None]]:
    """Judge the week for each model."""
    from neurovision_assets.artifacts import ArtifactReader
    from neurovision_assets.drift.config import DEFAULT
    from neurovision_assets.drift.reference import basis_of_model, find_reference
    from neurovision_assets.drift.week import WeekDrift, drift_of_model, videos_between

    window, profile = context.partition_time_window, SURGERY.resolve(profiles, profiles.default)
    known = context.instance.get_dynamic_partitions(str(video_ids.name))
    videos = list(videos_between(object_store, known, window.start, window.end))
    models = []
    for model in KINDS:
        reference = find_reference(model, basis_of_model(model, profile, inference), inference.models)
        models.append(drift_of_model(model, videos, reference, ArtifactReader(object_store)))
        context.log.info(models[-1].sentence)
    week = WeekDrift(week=window.start.date(), false_alarm_rate=DEFAULT.false_alarm_rate, models=tuple(models))
    object_store.write_bytes(f"{'/'.join(DRIFT.path)}/{week.week}.json", week.model_dump_json(indent=1).encode())
    yield dg.MaterializeResult(metadata=_told(week, len(videos)), check_results=[_judged(week)])


def _told(week: "WeekDrift", videos: int) -> dict[str, Any]:
    """Numbers that Dagster draws week by week, and every figure, the largest shift first."""
    figures = [(one.model, figure) for one in week.models for figure in one.figures]
    figures.sort(key=lambda pair: -pair[1].score)
    rows = [dg.TableRecord({"model": model, **figure.model_dump()}) for model, figure in figures]
    columns = ("p_value", "score", "reference", "week")
    schema = [dg.TableColumn("model"), dg.TableColumn("name"), *(dg.TableColumn(name, "float") for name in columns)]
    scores = {f"{SCORE}/{one.model}": one.score for one in week.models if one.score is not None}
    overall = {SCORE: week.score} if week.score is not None else {}
    return {
        **overall,
        **scores,
        "videos": videos,
        "false_alarm_rate": week.false_alarm_rate,
        ALARMS: dg.MetadataValue.json({one.model: one.sentence for one in week.models if one.drifted}),
        "left_out": dg.MetadataValue.json({one.model: one.left_out for one in week.models}),
        "unjudged": dg.MetadataValue.json({one.model: one.unjudged for one in week.models if one.unjudged}),
        "figures": dg.TableMetadataValue(rows, dg.TableSchema([*schema, dg.TableColumn("videos", "int")])),
    }


def _judged(week: "WeekDrift") -> dg.AssetCheckResult:
    """The check: a warning that names figures and numbers; a week that cannot be judged says so and passes."""
    drifted = [one for one in week.models if one.drifted]
    said = drifted or week.models
    return dg.AssetCheckResult(
        check_name=NO_DRIFT,
        passed=not drifted,
        severity=dg.AssetCheckSeverity.WARN,
        description=" ".join(one.sentence for one in said),
        metadata={
            "judged": [one.model for one in week.models if one.score is not None],
            "figures": dg.MetadataValue.json(
                {one.model: {figure.name: figure.model_dump() for figure in one.drifted} for one in drifted}
            ),
        },
    )


drift_assets = [drift_reference, drift]
