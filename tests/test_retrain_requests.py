"""Who asks for a retraining, and that two who ask at once get one run."""

from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

from jobs.retrain import RETRAIN, retrain_job, weekly_retraining
from neurovision_assets.training.assets import training_assets, training_resources
from neurovision_assets.training.kinds import KINDS, kind_of
from neurovision_assets.training.requests import REASON_TAG, REQUESTER_TAG, request_retraining
from resources.datasets import DatasetRepository
from resources.errors import ConfigurationError
from resources.inference.client import InferenceResource
from resources.settings import Settings
from sensors.retraining import retraining_requests

MODEL = "phase_segmenter"


class Daemon:
    """Evaluates the sensor as the daemon does, and keeps its cursor."""

    def __init__(self, instance: dg.DagsterInstance) -> None:
        self.instance, self.cursor = instance, None
        settings = Settings(home=Path(instance.root_directory))
        resources = {**training_resources(settings), "inference": InferenceResource.of(settings)}
        self.definitions = dg.Definitions(assets=training_assets, jobs=[retrain_job], resources=resources)

    def tick(self) -> list[dg.RunRequest]:
        """What the daemon would start."""
        with dg.build_sensor_context(
            instance_ref=self.instance.get_ref(), cursor=self.cursor, definitions=self.definitions
        ) as context:
            answer = retraining_requests.evaluate_tick(context)
        self.cursor = answer.cursor
        return list(answer.run_requests or [])


@pytest.fixture
def instance(tmp_path: Path) -> Iterator[dg.DagsterInstance]:
    """An instance on disk, as the daemon has one."""
    with dg.DagsterInstance.local_temp(str(tmp_path)) as instance:
        yield instance


def test_two_who_ask_at_once_get_one_run_with_both_reasons(instance: dg.DagsterInstance) -> None:
    daemon = Daemon(instance)
    assert daemon.tick() == []
    request_retraining(instance, MODEL, reason="drift of features", requester="drift")
    request_retraining(instance, "phase_segmentation", reason="50 new annotations", requester="annotations")
    [run] = daemon.tick()
    assert run.partition_key == MODEL
    assert run.tags[REASON_TAG] == "drift of features; 50 new annotations"
    assert run.tags[REQUESTER_TAG] == "drift, annotations"
    assert daemon.tick() == []


def test_a_tick_that_is_repeated_asks_for_the_same_run(instance: dg.DagsterInstance) -> None:
    """A daemon that dies between the run and the cursor: Dagster starts one run a key."""
    request_retraining(instance, MODEL, reason="drift", requester="drift")
    daemon, again = Daemon(instance), Daemon(instance)
    assert [run.run_key for run in daemon.tick()] == [run.run_key for run in again.tick()]


def test_what_is_asked_for_during_a_training_waits_for_its_end(instance: dg.DagsterInstance) -> None:
    daemon = Daemon(instance)
    with instance_run(instance, MODEL) as run_id:
        request_retraining(instance, MODEL, reason="new annotations", requester="annotations")
        request_retraining(instance, "anatomy_segmenter", reason="drift", requester="drift")
        assert [run.partition_key for run in daemon.tick()] == ["anatomy_segmenter"]
    instance.report_run_canceled(instance.get_run_by_id(run_id))
    assert [run.partition_key for run in daemon.tick()] == [MODEL]


class instance_run:  # noqa: N801 - reads as a statement
    """A retraining that goes on."""

    def __init__(self, instance: dg.DagsterInstance, model: str) -> None:
        self.instance, self.model = instance, model

    def __enter__(self) -> str:
        run = self.instance.add_run(
            dg.DagsterRun(
                job_name=RETRAIN, run_id="0" * 32, status=dg.DagsterRunStatus.STARTED,
                tags={"dagster/partition": self.model},
            )
        )  # fmt: skip
        return run.run_id

    def __exit__(self, *_: object) -> None:
        """Nothing ends by itself."""


def clock(instance: dg.DagsterInstance, home: Path) -> str:
    """What the clock says on a Sunday night."""
    datasets = DatasetRepository.of(Settings(home=home))
    with dg.build_schedule_context(instance_ref=instance.get_ref(), resources={"datasets": datasets}) as context:
        said = weekly_retraining.evaluate_tick(context)
    assert not said.run_requests
    return str(said.skip_message)


def test_the_clock_asks_for_every_model_as_everybody_asks(instance: dg.DagsterInstance, tmp_path: Path) -> None:
    (Settings(home=tmp_path).datasets / "external" / "cholec80").mkdir(parents=True)
    request_retraining(instance, MODEL, reason="drift", requester="drift")
    clock(instance, tmp_path)
    runs = Daemon(instance).tick()
    assert {run.partition_key for run in runs} == set(KINDS)
    assert {run.partition_key: run.tags[REASON_TAG] for run in runs}[MODEL] == "drift; weekly"


def test_the_clock_goes_and_asks_for_nothing_where_there_is_nothing_to_learn_from(
    instance: dg.DagsterInstance, tmp_path: Path
) -> None:
    assert weekly_retraining.default_status is dg.DefaultScheduleStatus.RUNNING
    assert "make import" in clock(instance, tmp_path)
    assert not Daemon(instance).tick()


def test_models_have_the_names_of_the_requirements() -> None:
    assert {kind.model: kind.model_type for kind in KINDS.values()} == {
        "phase_segmenter": "phase_segmentation",
        "instrument_detector": "instrument_detection",
        "anatomy_segmenter": "anatomy_segmentation",
    }
    assert kind_of("instrument_detection") is kind_of("instrument_detector")
    assert kind_of("phase_segmenter").known_as["also_known_as"] == "neurovision_phase_segmentation"
    with pytest.raises(ConfigurationError, match="Nothing called 'feature_extractor' is trained"):
        kind_of("feature_extractor")


def test_the_job_says_what_it_is() -> None:
    assert retrain_job.description.startswith("NeuroVision Training Pipeline: End-to-end ML training pipeline")
