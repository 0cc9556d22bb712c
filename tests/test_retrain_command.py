"""What `make retrain` refuses before a run starts, how a failed run is told, and whose candidate a run judges."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import dagster as dg
import pytest

from commands.retrain import LOG_LEVEL, candidate_config, retrain
from commands.run_log import GO_ON, failure_of, terminal_logger
from neurovision_assets.training.candidate.asset import settings_of
from neurovision_assets.training.candidate.data import Leak, fetch_data
from neurovision_assets.training.candidate.home import CandidateRecord, TrainingHome, repeated_runs
from neurovision_assets.training.dataset.layout import PROCESSED
from neurovision_assets.training.kinds import kind_of
from neurovision_assets.training.params import load_params
from resources.datasets import DatasetRepository
from resources.errors import ConfigurationError, NeuroVisionError, PermanentFailure, TransientFailure
from resources.settings import Settings
from tests.main_job import free_port

MODEL = "phase_segmenter"
SUBJECT = f"retrain {MODEL}"


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    """An instance of this process."""
    with dg.DagsterInstance.ephemeral() as instance:
        yield instance


@pytest.mark.parametrize("text", ["[1]", "3", '"epochs"', "{"])
def test_hyperparameters_are_one_json_object(text: str) -> None:
    with pytest.raises(ConfigurationError, match=r"^SET: It is no JSON object"):
        candidate_config("", "", 0, text)


@pytest.mark.parametrize(
    ("name", "given", "told"),
    [
        (MODEL, {"epochs": -1}, r"^phase_segmentation\.epochs: .*greater than or equal to 1"),
        (MODEL, {"learning_rate": 0}, r"learning_rate: .*greater than 0"),
        (MODEL, json.loads('{"learning_rate": Infinity}'), r"learning_rate: .*finite"),
        (MODEL, {"epoch": 3}, r"phase_segmentation\.epoch: .*Known are epochs, "),
        ("instrument_detector", {"batch_size": "many"}, r"instrument_detection\.batch_size: .*valid integer"),
        ("anatomy_segmenter", {"use_pretrained_sam": True}, "Pretrained SAM is asked for"),
    ],
)
def test_a_hyperparameter_that_cannot_be_used_is_named(name: str, given: dict[str, object], told: str) -> None:
    with pytest.raises(ConfigurationError, match=told):
        settings_of(kind_of(name), "laptop", given)


def test_hyperparameters_come_before_the_preset_s() -> None:
    chosen = settings_of(kind_of("anatomy_segmenter"), "laptop", {"epochs": 2})
    assert (chosen["epochs"], chosen["batch_size"]) == (2, 16)
    assert "use_pretrained_sam" not in chosen, "no setting of the network that is trained"


@pytest.mark.parametrize(("name", "epochs"), [(MODEL, 100), ("instrument_detector", 200), ("anatomy_segmenter", 150)])
def test_a_training_that_gets_no_better_stops_early(name: str, epochs: int) -> None:
    params = load_params("production").training
    written = getattr(params, kind_of(name).model_type)
    assert written.epochs == epochs
    assert 1 <= written.patience < epochs
    assert settings_of(kind_of(name), "laptop", {})["patience"] >= 6
    with pytest.raises(ConfigurationError, match="patience"):
        settings_of(kind_of(name), "laptop", {"patience": 0})


@pytest.mark.parametrize(
    ("data", "preset", "given", "told"),
    [
        ("", "laptop", '{"epochs": -1}', r"phase_segmentation\.epochs"),
        ("", "nope", "{}", "^PRESET: There is no preset 'nope'"),
        ("../../../../tmp", "laptop", "{}", r"^\.\./\.\./\.\./\.\./tmp: There is no such version of the data"),
    ],
)
def test_what_cannot_be_trained_starts_no_run(
    instance: dg.DagsterInstance, tmp_path: Path, data: str, preset: str, given: str, told: str
) -> None:
    config = candidate_config(data, preset, 0, given)
    with pytest.raises(NeuroVisionError, match=told):
        retrain(Settings(home=tmp_path / "home"), instance, MODEL, config)
    assert instance.get_runs_count() == 0


def test_where_mlflow_does_not_answer_no_run_is_started(instance: dg.DagsterInstance, tmp_path: Path) -> None:
    pytest.importorskip("mlflow", reason="MLflow is absent: install the set learn to test its absence")
    nobody = f"http://127.0.0.1:{free_port()}"
    with pytest.raises(TransientFailure, match=rf"^{nobody}: MLflow failed: .*NEUROVISION_MLFLOW_URL"):
        retrain(Settings(home=tmp_path, mlflow_url=nobody), instance, MODEL, candidate_config("", "", 0, "{}"))
    assert instance.get_runs_count() == 0


@dg.op
def leak(context: dg.OpExecutionContext) -> None:
    """Fails as a step of ours does."""
    context.log.info("epoch 1/3")
    raise Leak("It is in the splits 'test' and 'train'.", subject="patient p: 1", remedy="Divide again.")


@dg.op
def bug() -> None:
    """Fails as no step should."""
    raise KeyError("figures")


@dg.op
def interrupt() -> None:
    """Is stopped as SIGTERM stops."""
    raise dg.DagsterExecutionInterruptedError


@dg.op(ins={"before": dg.In(dg.Nothing)})
def behind() -> None:
    """Waits for a step that fails."""


def run_of(op: dg.OpDefinition, instance: dg.DagsterInstance) -> dg.ExecuteInProcessResult:
    steps = dg.GraphDefinition(
        name="failing",
        node_defs=[op, behind],
        dependencies={"behind": {"before": dg.DependencyDefinition(op.name)}},
    )
    job = steps.to_job(logger_defs={"console": terminal_logger})
    return job.execute_in_process(instance=instance, run_config=LOG_LEVEL, raise_on_error=False)


def test_a_failure_of_ours_is_one_line_without_class_or_traceback(
    instance: dg.DagsterInstance, capfd: pytest.CaptureFixture[str]
) -> None:
    result = run_of(leak, instance)
    told = f"patient p: 1: It is in the splits 'test' and 'train'. Divide again. (run {result.run_id})"
    assert str(failure_of(result, SUBJECT)) == told
    printed = capfd.readouterr().err
    assert "epoch 1/3" in printed
    assert "Traceback" not in printed
    assert "Stack Trace" not in printed
    assert "behind" not in printed, "steps that could not begin are no news"


def test_a_failure_that_nobody_foresaw_keeps_its_traceback(
    instance: dg.DagsterInstance, capfd: pytest.CaptureFixture[str]
) -> None:
    result = run_of(bug, instance)
    assert str(failure_of(result, SUBJECT)).startswith(f"{SUBJECT}: KeyError: 'figures'")
    assert "Stack Trace" in capfd.readouterr().err


def test_a_run_that_was_stopped_says_how_to_go_on(
    instance: dg.DagsterInstance, capfd: pytest.CaptureFixture[str]
) -> None:
    told = str(failure_of(run_of(interrupt, instance), SUBJECT))
    assert told == f"{SUBJECT}: It was stopped. {GO_ON}"
    assert "Stack Trace" not in capfd.readouterr().err


def test_a_warning_is_not_told_as_the_reason_of_a_failure(instance: dg.DagsterInstance) -> None:
    """A class that has become rarer is a warning of the same blocking check that stops broken data."""

    @dg.asset
    def data() -> None:
        pass

    @dg.asset_check(asset=data, blocking=True)
    def looked_at() -> dg.AssetCheckResult:
        return dg.AssetCheckResult(passed=False, severity=dg.AssetCheckSeverity.WARN, description="To be looked at.")

    @dg.asset(deps=[data])
    def trained() -> None:
        raise PermanentFailure("The training diverged.", subject=MODEL, remedy="Lower the learning rate.")

    assets = [data, looked_at, trained]
    result = dg.materialize(assets, instance=instance, raise_on_error=False)
    assert str(failure_of(result, SUBJECT)).startswith(f"{MODEL}: The training diverged.")


def published(home: TrainingHome, run_id: str) -> Path:
    """A candidate of a run."""
    folder = home.new_candidate(MODEL, run_id)
    record = CandidateRecord(
        model=MODEL,
        digest=run_id,
        weights_hash="",
        extractor_digest="",
        mlflow_run_id="",
        data_revision="",
        data_version="",
        data_hash="",
        learned_from=(),
        chosen_on=(),
        settings={},
        best_epoch=1,
        figures={},
        trained=datetime.now(UTC),
    )
    home.publish(folder, record)
    return folder


def test_a_run_judges_its_own_candidate_and_not_the_newest(instance: dg.DagsterInstance, tmp_path: Path) -> None:
    home = TrainingHome(folder=str(tmp_path))

    def judged(run: dg.DagsterRun) -> Path:
        return home.candidate_of(MODEL, repeated_runs(instance, run))[0]

    first = instance.add_run(dg.DagsterRun(job_name="retrain"))
    with pytest.raises(PermanentFailure, match="No candidate was trained yet"):
        judged(first)
    of_first, of_other = published(home, first.run_id), published(home, "another-run")
    assert judged(first) == of_first
    again = first
    for _ in range(2):
        again = instance.add_run(
            dg.DagsterRun(job_name="retrain", root_run_id=first.run_id, parent_run_id=again.run_id)
        )
    assert judged(again) == of_first, "it repeats the evaluation of a repeated run"
    alone = instance.add_run(dg.DagsterRun(job_name="alone"))
    assert judged(alone) == of_other
    newest = published(home, "one-more-run")
    assert judged(alone) == of_other, "its promotion judges what its evaluation did"
    assert judged(instance.add_run(dg.DagsterRun(job_name="alone"))) == newest


def test_a_branch_is_kept_as_the_commit_that_it_is_now(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path / "home")
    datasets, home = DatasetRepository.of(settings), TrainingHome(folder=str(tmp_path / "training"))

    def recorded(text: str) -> str:
        folder = datasets.root / PROCESSED
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "note.txt").write_text(text)
        return datasets.add([PROCESSED], text).revision

    with datasets.lock():
        for text in ("one", "two"):
            revision = recorded(text)
            home.data(revision).mkdir(parents=True)
            assert fetch_data(datasets, home, "main").revision == revision
