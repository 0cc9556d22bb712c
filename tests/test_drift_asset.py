"""A week in the graph: judged from stored results, told as a check, and asked for as a retraining."""

import datetime as dt
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

pytest.importorskip("scipy", reason="SciPy is absent: install the set learn to test drift")

from jobs.drift import watch_drift_job, weekly_drift
from neurovision_assets.drift.asset import ALARMS, NO_DRIFT, SCORE, drift, drift_assets
from neurovision_assets.drift.reference import basis_of_model, find_reference, reference_path
from neurovision_assets.drift.week import NOT_THERE, OTHER_BASIS
from neurovision_assets.training.requests import read_requests, runs_for
from resources.datasets import DatasetRepository
from resources.errors import PermanentFailure
from resources.settings import Settings
from sensors.drift import drift_alarms
from tests.drift_home import LAST_WEEK, WEEK, DriftHome, drift_home, scaled

DETECTOR = "instrument_detector"
NEEDED = ("object_store", "inference", "profiles", "datasets", "training")
RESOURCES = {name: dg.ResourceDefinition.none_resource() for name in NEEDED}
UNSURE = scaled("instruments", "score", 0.5)


@pytest.fixture
def home(tmp_path: Path) -> Iterator[DriftHome]:
    """A deployment with references."""
    with drift_home(tmp_path) as home:
        yield home


def judge(home: DriftHome, week: dt.date = LAST_WEEK) -> dg.ExecuteInProcessResult:
    """Materialize a week as the schedule does."""
    resources = {"object_store": home.store, "inference": home.inference, "profiles": home.profiles}
    return dg.materialize([drift], partition_key=str(week), instance=home.instance, resources=resources)


def told(result: dg.ExecuteInProcessResult) -> dict[str, Any]:
    [event] = result.asset_materializations_for_node("monitoring__drift")
    return {name: value.value for name, value in event.metadata.items()}


def check(result: dg.ExecuteInProcessResult) -> dg.AssetCheckEvaluation:
    [found] = result.get_asset_check_evaluations()
    assert (found.check_name, found.partition) == (NO_DRIFT, str(LAST_WEEK))
    return found


class Alarms:
    """Evaluates the sensor as the daemon does, and keeps its cursor."""

    def __init__(self, instance: dg.DagsterInstance) -> None:
        self.instance, self.cursor = instance, None

    def tick(self) -> str:
        """What it says."""
        with dg.build_sensor_context(instance_ref=self.instance.get_ref(), cursor=self.cursor) as context:
            answer = drift_alarms.evaluate_tick(context)
        self.cursor = answer.cursor
        return str(answer.skip_message)


def test_a_week_like_the_reference_raises_no_alarm(home: DriftHome) -> None:
    home.add(8)
    home.add(8, week=LAST_WEEK - WEEK, change=UNSURE)
    result = judge(home)
    assert check(result).passed
    metadata = told(result)
    assert metadata["videos"] == 8, "those of the week before are not this week's"
    assert 0 <= metadata[SCORE] <= 0.3
    assert metadata[SCORE] == max(metadata[f"{SCORE}/{model}"] for model in check(result).metadata["judged"].value)
    assert metadata[ALARMS] == {}
    stored = json.loads(home.store.read_bytes(f"monitoring/drift/{LAST_WEEK}.json"))
    assert {one["model"]: one["videos"] for one in stored["models"]} == {
        "phase_segmenter": 8, DETECTOR: 8, "anatomy_segmenter": 8,
    }  # fmt: skip


def test_a_drifted_week_is_a_warning_with_figures_and_numbers_and_asks_once(home: DriftHome) -> None:
    home.add(8, change=UNSURE)
    found = check(result := judge(home))
    assert not found.passed
    assert found.severity is dg.AssetCheckSeverity.WARN
    assert found.description is not None
    assert found.description.startswith(f"{DETECTOR}: 8 videos differ: instrument_score/")
    assert "phase_segmenter" not in found.description
    shown = found.metadata["figures"].value[DETECTOR]
    assert set(shown) == {"instrument_score/mean", "instrument_score/low"}
    assert shown["instrument_score/mean"]["week"] < shown["instrument_score/mean"]["reference"]
    assert told(result)[SCORE] == told(result)[f"{SCORE}/{DETECTOR}"] > 0.3
    first = told(result)["figures"].records[0].data
    assert first["model"] == DETECTOR, "the largest shift comes first"

    alarms = Alarms(home.instance)
    assert alarms.tick() == f"Asked for {DETECTOR}."
    assert alarms.tick() == "No new alarm."
    judge(home)
    assert alarms.tick() == "No new alarm.", "a week that is judged again asks no second time"
    [request] = read_requests(home.instance, {})
    assert (request.model, request.requester) == (DETECTOR, "drift")
    assert request.reason.startswith(f"week {LAST_WEEK}: {DETECTOR}: 8 videos differ")


def test_an_alarm_and_the_clock_at_once_make_one_run(home: DriftHome, tmp_path: Path) -> None:
    from jobs.retrain import weekly_retraining

    home.add(8, change=UNSURE)
    judge(home)
    Alarms(home.instance).tick()
    datasets = DatasetRepository.of(Settings(home=tmp_path))
    (datasets.root / "external" / "cholec80").mkdir(parents=True)
    given = {"datasets": datasets}
    with dg.build_schedule_context(instance_ref=home.instance.get_ref(), resources=given) as context:
        weekly_retraining.evaluate_tick(context)
    runs = {run.partition_key: run.tags for run in runs_for(read_requests(home.instance, {}), busy=())}
    assert len(runs) == 3
    assert runs[DETECTOR]["neurovision/requester"] == "drift, clock"


def test_too_few_videos_get_no_score(home: DriftHome) -> None:
    home.add(4, change=UNSURE)
    result = judge(home)
    assert check(result).passed
    assert check(result).metadata["judged"].value == []
    assert "not judged, 4 videos of the week can be compared, 5 are needed" in str(check(result).description)
    assert not any(name.startswith(SCORE) for name in told(result))


def test_what_cannot_be_compared_is_left_out_and_told(home: DriftHome) -> None:
    home.add(6, without="anatomy")
    home.add(5, change=UNSURE, digests={DETECTOR: "f" * 64})
    metadata = told(judge(home))
    assert metadata["left_out"] == {
        "phase_segmenter": {}, DETECTOR: {OTHER_BASIS: 5}, "anatomy_segmenter": {NOT_THERE: 6},
    }  # fmt: skip
    assert metadata[f"{SCORE}/{DETECTOR}"] <= 0.3, "only the six of the served model count"
    assert f"{SCORE}/phase_segmenter" in metadata


def test_an_altered_table_is_named(home: DriftHome) -> None:
    added = home.add(6)
    path = home.store.root / f"surgery/phases/{added[2]}.parquet"
    path.write_bytes(path.read_bytes() + b" ")
    with pytest.raises(PermanentFailure, match=added[2]):
        judge(home)


def test_a_reference_fits_its_models_and_settings_only(home: DriftHome) -> None:
    basis = basis_of_model(DETECTOR, home.profile, home.inference)
    repository, nowhere = home.inference.models, home.path / "nowhere"
    assert find_reference(DETECTOR, basis, repository, nowhere) is not None
    other = {stage: one.model_copy(update={"models": {DETECTOR: "0" * 64}}) for stage, one in basis.items()}
    assert find_reference(DETECTOR, other, repository, nowhere) is None
    changed = {stage: one.model_copy(update={"stage_config_hash": "0" * 64}) for stage, one in basis.items()}
    assert find_reference(DETECTOR, changed, repository, nowhere) is None
    reference_path(repository.root, DETECTOR, 1).unlink()
    assert find_reference(DETECTOR, basis, repository, nowhere) is None


def test_every_monday_morning_the_week_before_is_judged() -> None:
    tick = dt.datetime(2026, 11, 23, 6, tzinfo=dt.UTC)
    definitions = dg.Definitions(
        assets=drift_assets, jobs=[watch_drift_job], schedules=[weekly_drift], resources=RESOURCES
    )
    schedule = definitions.resolve_schedule_def("weekly_drift")
    assert schedule.cron_schedule == "0 6 * * 1"
    assert schedule.default_status is dg.DefaultScheduleStatus.RUNNING
    with dg.build_schedule_context(scheduled_execution_time=tick) as context:
        [run] = schedule.evaluate_tick(context).run_requests or []
    assert run.partition_key == "2026-11-16"
