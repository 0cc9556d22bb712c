"""The asset ``training/promotion``: what became of the candidate.

Belongs here: the recipe of the step. Does not belong here: the decision and its steps (``promote``). What is served
then is told to the graph by the look at the runtime repository (``sensors/served_models``), as after any other change.
"""

from collections.abc import Iterator

import dagster as dg

from neurovision_assets.stage.spec import PIPELINE_OWNER
from neurovision_assets.training.candidate.home import VERDICT_FILE, TrainingHome, repeated_runs
from neurovision_assets.training.evaluation.asset import EVALUATION
from neurovision_assets.training.kinds import KINDS, PROMOTION, model_checks, trained_models
from neurovision_assets.training.params import load_gate
from resources.inference.client import InferenceResource
from resources.model_registry import ModelRegistry

STAGING_TESTS = "staging_tests"


@dg.asset(
    key=PROMOTION,
    partitions_def=trained_models,
    deps=[EVALUATION],
    check_specs=model_checks(PROMOTION, staging_tests="The candidate passes as it would be served."),
    group_name="registry",
    owners=[PIPELINE_OWNER],
    kinds={"mlflow", "onnx"},
    code_version="1",
    description="Thresholds, better than what is served, registered, tested in staging, served; or refused, and why.",
)
def promotion(
    context: dg.AssetExecutionContext,
    training: TrainingHome,
    inference: InferenceResource,
    model_registry: ModelRegistry,
) -> Iterator[dg.MaterializeResult[None]]:
    """Ask everything of the candidate, and serve it or say why not."""
    from neurovision_assets.training.evaluation.report import read_report
    from neurovision_assets.training.gate.refusal import STAGING_TEST_FAILED
    from neurovision_assets.training.promotion.promote import promote

    kind = KINDS[context.partition_key]
    folder, record = training.candidate_of(kind.model, repeated_runs(context.instance, context.run))
    gate = load_gate(kind.model_type, training.preset)
    verdict = promote(kind, folder, record, read_report(folder), gate, inference.models, model_registry)
    (folder / VERDICT_FILE).write_text(verdict.model_dump_json(indent=1), encoding="utf-8")
    context.log.info(f"{kind.model}: {verdict.status} {verdict.reason} {verdict.detail}".rstrip())
    told = verdict.model_dump(mode="json", exclude={"comparison", "passed"}, exclude_none=True)
    yield dg.MaterializeResult(
        data_version=dg.DataVersion(f"{kind.model}@{verdict.release}" if verdict.release else record.digest),
        metadata={
            **told,
            "comparison": dg.MetadataValue.json(verdict.comparison.model_dump() if verdict.comparison else {}),
            "mlflow_run_id": record.mlflow_run_id,
            "data_revision": record.data_revision,
        },
        check_results=[
            dg.AssetCheckResult(
                check_name=STAGING_TESTS,
                passed=not verdict.reason.startswith(STAGING_TEST_FAILED),
                severity=dg.AssetCheckSeverity.WARN,
                metadata={"passed": list(verdict.passed), "reason": verdict.reason, "detail": verdict.detail},
            )
        ],
    )
