"""The asset ``training/evaluation``: the candidate and the served model on the same held-out videos.

Belongs here: the recipe of the step, and what the gate's questions show in Dagster. Does not belong here: the figures
(``report``), the decision (``promotion``): a refused candidate is an ordinary end of a week, not a failed run.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import dagster as dg

from neurovision_assets.provenance import config_hash
from neurovision_assets.stage.spec import PIPELINE_OWNER
from neurovision_assets.training.candidate.asset import CANDIDATE, GPU_TAGS, POOL
from neurovision_assets.training.candidate.home import METRICS_FILE, TrainingHome, repeated_runs
from neurovision_assets.training.kinds import KINDS, model_checks, trained_models
from neurovision_assets.training.params import load_gate
from resources.inference.client import InferenceResource
from resources.model_registry import ModelRegistry

if TYPE_CHECKING:
    from neurovision_assets.training.evaluation.report import EvaluationReport
    from neurovision_assets.training.gate.config import GateConfig
    from neurovision_assets.training.gate.refusal import Refusal

EVALUATION = dg.AssetKey(["training", "evaluation"])
ABOVE_THRESHOLDS = "above_thresholds"
BETTER = "better_than_production"


@dg.asset(
    key=EVALUATION,
    partitions_def=trained_models,
    deps=[CANDIDATE],
    check_specs=model_checks(
        EVALUATION,
        above_thresholds="Every figure reaches its threshold; a missing one counts as 0.",
        better_than_production="The interval of the difference lies above 0.",
    ),
    group_name="training",
    owners=[PIPELINE_OWNER],
    kinds={"onnx", "mlflow"},
    code_version="1",
    pool=POOL,
    op_tags=GPU_TAGS,
    description="Figures of candidate and served model on the split `test`, by video, with an interval.",
)
def evaluation(
    context: dg.AssetExecutionContext,
    training: TrainingHome,
    inference: InferenceResource,
    model_registry: ModelRegistry,
) -> Iterator[dg.MaterializeResult[None]]:
    """Let both models answer the held-out videos."""
    from neurovision_assets.training.candidate.data import TEST, operations_of
    from neurovision_assets.training.candidate.pictures import CONFUSION_FILE
    from neurovision_assets.training.evaluation.report import evaluate

    kind = KINDS[context.partition_key]
    folder, record = training.candidate_of(kind.model, repeated_runs(context.instance, context.run))
    held_out = operations_of(training.data(record.data_revision), kind, TEST)
    report = evaluate(folder, record, held_out, inference.models)
    run = model_registry.open_run(record.mlflow_run_id)
    run.log_metrics({f"test_{name}": value for name, value in report.candidate.metrics.items()})
    run.log_metrics({f"production_{name}": value for name, value in report.production.metrics.items()})
    run.log_artifact(folder / METRICS_FILE)
    run.log_artifact(folder / CONFUSION_FILE)
    yield dg.MaterializeResult(
        data_version=dg.DataVersion(config_hash(report.model_dump(mode="json"))),
        metadata={
            **{f"test_{name}": value for name, value in report.candidate.metrics.items()},
            **{f"production_{name}": value for name, value in report.production.metrics.items()},
            "videos": len(report.candidate.videos),
            "left_out_as_known_to_production": list(report.known_to_production),
            "calibration_error": report.candidate.calibration_error,
            "by_video": dg.MetadataValue.json(report.candidate.videos),
            "confusion_matrix": dg.MetadataValue.path(str(folder / CONFUSION_FILE)),
            "metrics": dg.MetadataValue.path(str(folder / METRICS_FILE)),
        },
        check_results=list(_checks(report, load_gate(kind.model_type, training.preset))),
    )


def _checks(report: "EvaluationReport", config: "GateConfig") -> Iterator[dg.AssetCheckResult]:
    """The gate's questions, shown; the promotion asks them again."""
    from neurovision_assets.training.gate.comparison import check_better
    from neurovision_assets.training.gate.thresholds import check_thresholds
    from neurovision_assets.training.gate.verdict import comparison_of

    comparison = comparison_of(report, config)
    yield _check(ABOVE_THRESHOLDS, check_thresholds(report.candidate.metrics, config.thresholds))
    yield _check(BETTER, check_better(comparison), **comparison.model_dump())


def _check(name: str, refusal: "Refusal | None", **metadata: float | str) -> dg.AssetCheckResult:
    told = {"reason": refusal.reason, "detail": refusal.detail} if refusal else {}
    return dg.AssetCheckResult(
        check_name=name,
        passed=refusal is None,
        severity=dg.AssetCheckSeverity.WARN,
        metadata={**metadata, **told},
    )
