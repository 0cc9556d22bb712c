"""``make retrain MODEL=…``: the job ``retrain`` in this process, and what became of the candidate.

Belongs here: the command line and the outcome. Does not belong here: the steps; the job is the UI's and the clock's.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from commands.platform import prepare_dagster_home
from commands.process import quiet_libraries
from resources.errors import ConfigurationError, NeuroVisionError
from resources.settings import Settings, load_settings

if TYPE_CHECKING:
    import dagster as dg

    from neurovision_assets.training.gate.verdict import Verdict

PROMOTED, FAILED, REFUSED = 0, 1, 2
LOG_LEVEL = {"loggers": {"console": {"config": {"log_level": "INFO"}}}}


def main(arguments: Sequence[str] | None = None) -> int:
    """Train, judge, promote or refuse, and say so.

    Returns:
        0 when the candidate is served, 2 when it was refused, 1 when the run failed; one line says why.
    """
    parser = argparse.ArgumentParser(prog="make retrain", description="Train a model on the newest data.")
    parser.add_argument("model", help="phase_segmenter, instrument_detector or anatomy_segmenter")
    parser.add_argument("--data", default="", help="version of the data, v1.0; nothing is imported or divided then")
    parser.add_argument("--preset", default="", help="of params.yaml")
    parser.add_argument("--seed", type=int, default=0, help="decides weights, order and augmentation")
    parser.add_argument("--set", default="{}", help='hyperparameters as JSON, {"epochs": 3}')
    chosen = parser.parse_args(arguments)
    try:
        config = candidate_config(chosen.data, chosen.preset, chosen.seed, chosen.set)
        settings = load_settings()
        os.environ["DAGSTER_HOME"] = str(prepare_dagster_home(settings))
        import dagster as dg  # only after DAGSTER_HOME is there

        with dg.DagsterInstance.get() as instance:
            verdict = retrain(settings, instance, chosen.model, config)
        print(told(chosen.model, verdict))
        if verdict.status != "promoted":
            return REFUSED
        from commands.plans import answer_change

        answer_change(settings)
    except NeuroVisionError as error:
        print(f"error: {error}", file=sys.stderr)
        return FAILED
    return PROMOTED


def candidate_config(data: str, preset: str, seed: int, hyperparameters: str) -> dict[str, Any]:
    """The candidate's configuration in the run.

    Raises:
        ConfigurationError: the hyperparameters are no JSON object.
    """
    try:
        values = json.loads(hyperparameters)
        if not isinstance(values, dict):
            raise ValueError("no object")
    except ValueError as error:
        raise ConfigurationError(
            f"It is no JSON object ({error}).", subject="SET", remedy="""Write it as SET='{"epochs": 3}'."""
        ) from error
    return {"data_version": data, "preset": preset, "seed": seed, "hyperparameters": values}


def retrain(settings: Settings, instance: dg.DagsterInstance, model: str, config: dict[str, Any]) -> Verdict:
    """Run the job for one model and give its verdict.

    Args:
        settings: of this deployment.
        instance: Dagster's.
        model: name of the model or of its type.
        config: of the candidate; with a version of the data, the steps that make one are left out.

    Raises:
        ConfigurationError: a hyperparameter or the preset cannot be used; no run was started.
        TransientFailure: MLflow's server does not answer; no run was started.
        NeuroVisionError: there is no such data, a step failed, or a signal stopped the run.
    """
    import dagster as dg

    from commands.run_log import failure_of, terminal_logger
    from jobs.retrain import retrain_job
    from neurovision_assets.training.assets import TRAINING_KEYS, training_assets, training_checks, training_resources
    from neurovision_assets.training.candidate.asset import settings_of
    from neurovision_assets.training.candidate.home import VERDICT_FILE, TrainingHome
    from neurovision_assets.training.gate.verdict import Verdict
    from neurovision_assets.training.kinds import kind_of
    from resources.inference.client import InferenceResource

    kind, resources = kind_of(model), training_resources(settings)
    settings_of(kind, config["preset"] or settings.training_preset, config["hyperparameters"])
    if config["data_version"]:
        resources["datasets"].commit_of(config["data_version"])
    if settings.mlflow_url:  # merging and validating take minutes, and a wrong address is wrong from the beginning
        resources["model_registry"].versions(kind.model)
    defs = dg.Definitions(
        assets=training_assets,
        asset_checks=training_checks,
        jobs=[retrain_job],
        loggers={"console": terminal_logger},
        resources={**resources, "inference": InferenceResource.of(settings)},
    )
    result = defs.resolve_job_def(retrain_job.name).execute_in_process(
        instance=instance,
        partition_key=kind.model,
        run_config={"ops": {"training__candidate": {"config": config}}, **LOG_LEVEL},
        asset_selection=list(TRAINING_KEYS) if config["data_version"] else None,
        raise_on_error=False,
    )
    if not result.success:
        raise failure_of(result, f"retrain {kind.model}")
    home: TrainingHome = resources["training"]
    folder, _ = home.candidate_of(kind.model, [result.run_id])
    return Verdict.model_validate_json((folder / VERDICT_FILE).read_bytes())


def told(model: str, verdict: Verdict) -> str:
    """The outcome in a few lines."""
    lines = [f"{verdict.status}: {model}@{verdict.release} is version {verdict.version}"]
    if verdict.status != "promoted":
        lines = [f"{verdict.status}: {verdict.reason}", verdict.detail]
    if verdict.comparison:
        it = verdict.comparison
        lines.append(
            f"{it.figure} {it.candidate:.3f}, served had {it.production:.3f} on the same {it.videos} videos: "
            f"{it.difference:+.3f} [{it.low:+.3f}, {it.high:+.3f}]"
        )
    return "\n".join([*lines, *verdict.passed])


if __name__ == "__main__":
    quiet_libraries()
    sys.exit(main())
