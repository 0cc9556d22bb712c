"""What every stage has in common: one video's failure is its own, results are reused, artifacts are verified.

A real Dagster instance (SQLite), a real folder; only the faults are injected.
"""

from pathlib import Path
from typing import Any

import dagster as dg
import pyarrow.parquet as pq
import pytest
from sqlalchemy import create_engine
from sqlalchemy.exc import OperationalError

from neurovision_assets.artifacts import ArtifactRecord
from neurovision_assets.provenance import PROVENANCE_METADATA_KEY, Provenance
from neurovision_assets.stage import events, runner
from neurovision_assets.stage.failures import FailureRecord, read_failure
from neurovision_assets.stage.spec import StageSpec
from resources.errors import ConfigurationError, NeuroVisionError, TransientFailure
from resources.object_store import LOCK_FOLDER, ObjectInfo, ObjectStore
from tests.toy_domain import ToyPlatform, corrupt, flaky, toy_platform


@pytest.fixture
def platform(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(runner, "FIRST_PAUSE_S", 0.01)
    monkeypatch.setattr(runner, "LONGEST_PAUSE_S", 0.02)
    with toy_platform(tmp_path) as toy:
        yield toy


def evaluations(platform: ToyPlatform, result: dg.ExecuteInProcessResult, passed: bool) -> list[tuple[str, str, str]]:
    return [
        (event.asset_key.to_user_string(), event.check_name, event.partition)
        for event in result.get_asset_check_evaluations()
        if event.passed is passed
    ]


def test_three_videos_in_one_run_the_middle_one_corrupt(platform: ToyPlatform):
    first, middle, last = platform.add("first", "middle", "last")
    platform.script.faults["double", "middle"] = [corrupt("middle")]

    result = platform.run([first, middle, last])

    assert not result.success
    assert platform.materialized("seed") == {first, middle, last}
    assert platform.materialized("double") == {first, last}
    assert platform.materialized("total") == {first, last}
    assert ("total", "middle") not in platform.script.computed
    assert evaluations(platform, result, passed=False) == [
        ("toy/double", "complete", middle),
        ("toy/total", "complete", middle),
    ]
    failures = [event for event in result.all_events if event.is_step_failure]
    assert [event.step_key for event in failures] == ["total"]
    told = failures[0].step_failure_data.user_failure_data
    assert told is not None
    assert list(told.metadata) == [middle]
    assert "The file is corrupt." in str(told.metadata[middle].value)


def test_a_single_failed_video_ends_the_run_at_the_stage_that_failed(platform: ToyPlatform):
    [only] = platform.add("only")
    platform.script.faults["double", "only"] = [corrupt("only")]

    result = platform.run([only])

    assert [event.step_key for event in result.all_events if event.is_step_failure] == ["middle"]
    failure = read_failure(platform.store, "toy/double", only)
    assert failure is not None
    assert (failure.kind, failure.run_id) == ("permanent", result.run_id)


def test_an_optional_stage_that_fails_leaves_the_rest_standing(platform: ToyPlatform):
    [only] = platform.add("only")
    platform.script.faults["extra", "only"] = [ValueError("a fault of ours")]

    result = platform.run([only])

    assert result.success
    assert platform.materialized("extra") == set()
    assert platform.reader.table(platform.reader.required_record("toy/total", only))["value"].to_pylist() == [12]
    failure = read_failure(platform.store, "toy/extra", only)
    assert failure is not None
    assert failure.kind == "unexpected"
    assert "a fault of ours" in failure.reason


def test_a_disabled_stage_does_not_run_and_is_not_read(platform: ToyPlatform):
    [only] = platform.add("only", profile="bare")

    assert platform.run([only]).success

    assert ("extra", "only") not in platform.script.computed
    assert platform.reader.table(platform.reader.required_record("toy/total", only))["value"].to_pylist() == [12]


def test_a_transient_fault_is_tried_again_and_a_permanent_one_is_not(platform: ToyPlatform):
    one, two = platform.add("one", "two")
    platform.script.faults["seed", "one"] = [flaky(), flaky()]
    platform.script.faults["seed", "two"] = [corrupt("two"), corrupt("two")]

    result = platform.run([one, two])

    assert not result.success
    assert platform.materialized("total") == {one}
    assert platform.script.computed.count(("seed", "one")) == 3
    assert platform.script.computed.count(("seed", "two")) == 1


def test_a_write_whose_answer_was_lost_is_not_computed_again(platform: ToyPlatform, monkeypatch: pytest.MonkeyPatch):
    [only] = platform.add("only")
    write, lost = ObjectStore.write_bytes, [f"toy/seed/{only}.record.json"]

    def write_and_lose(store: ObjectStore, key: str, data: bytes) -> ObjectInfo:
        info = write(store, key, data)
        if key in lost:
            lost.remove(key)
            raise flaky()
        return info

    monkeypatch.setattr(ObjectStore, "write_bytes", write_and_lose)
    assert platform.run([only]).success
    assert lost == []
    assert platform.script.computed.count(("seed", "only")) == 1


@pytest.mark.parametrize("failure", [TransientFailure, ConfigurationError])
def test_a_store_that_refuses_even_the_record_of_a_failure_stops_nobody_else(
    platform: ToyPlatform, monkeypatch: pytest.MonkeyPatch, failure: type[NeuroVisionError]
):
    first, second = platform.add("first", "second")
    platform.script.faults["double", "first"] = [corrupt("first")]
    write = ObjectStore.write_bytes

    def refuse(store: ObjectStore, key: str, data: bytes) -> ObjectInfo:
        if first in key:
            raise failure("The credentials are not accepted.", subject="storage", remedy="Correct them.")
        return write(store, key, data)

    def forbid(store: ObjectStore, key: str) -> None:
        if "failure" in key and first in key:
            raise failure("The credentials are not accepted.", subject="storage", remedy="Correct them.")

    monkeypatch.setattr(ObjectStore, "write_bytes", refuse)
    monkeypatch.setattr(ObjectStore, "delete", forbid)
    assert not platform.run([first, second]).success
    assert platform.materialized("total") == {second}


def require_transient_failure(platform: ToyPlatform, failing: str, other: str) -> FailureRecord:
    """A run of both, in which one fails at its first stage on what may pass; the other ends."""
    assert not platform.run([failing, other]).success
    assert platform.materialized("total") == {other}
    failure = read_failure(platform.store, "toy/seed", failing)
    assert failure is not None
    assert failure.kind == "transient"
    return failure


def test_a_store_that_fails_after_the_last_write_is_a_failure_of_that_video(
    platform: ToyPlatform, monkeypatch: pytest.MonkeyPatch
):
    first, second = platform.add("first", "second")

    def refuse(_: ObjectStore, key: str) -> None:
        if key == f"toy/seed/{first}.failure.json":
            raise flaky()

    monkeypatch.setattr(ObjectStore, "delete", refuse)
    require_transient_failure(platform, first, second)
    monkeypatch.undo()
    assert platform.run([first]).success
    assert platform.script.computed.count(("seed", "first")) == 1, "it had been published"


def test_a_database_of_dagster_s_that_is_gone_is_no_fault_of_a_stage(
    platform: ToyPlatform, monkeypatch: pytest.MonkeyPatch
):
    """PostgreSQL's client gives up in words of its own after some tries; the cause tells what it was."""
    first, second = platform.add("first", "second")
    tell = events.materialization

    def fail(spec: StageSpec, record: ArtifactRecord, *rest: Any, **more: Any) -> dg.AssetMaterialization:
        if (spec.name, record.provenance.video_id) == ("seed", first):
            try:
                create_engine("sqlite:////no/such/folder/x.db").connect()
            except OperationalError as error:
                raise RuntimeError("too many retries for DB connection") from error
        return tell(spec, record, *rest, **more)

    monkeypatch.setattr(events, "materialization", fail)
    failure = require_transient_failure(platform, first, second)
    assert "Dagster's database cannot be used (unable to open database file)" in failure.reason


def test_nothing_is_computed_twice_and_a_changed_parameter_recomputes_what_stands_on_it(platform: ToyPlatform):
    [only] = platform.add("only")
    platform.run([only])
    platform.script.computed.clear()

    assert platform.run([only]).success
    assert platform.script.computed == []

    platform.add("only", profile="triple")
    platform.run([only])
    assert platform.script.computed == [("double", "only"), ("total", "only")]


def test_a_forced_run_computes_again(platform: ToyPlatform):
    [only] = platform.add("only")
    platform.run([only])
    platform.script.computed.clear()

    platform.run([only], tags={runner.FORCE_TAG: "true"})

    assert len(platform.script.computed) == 4


def test_an_altered_artifact_is_named_and_made_again(platform: ToyPlatform):
    [only] = platform.add("only")
    platform.run([only])
    path = platform.store.root / f"toy/double/{only}.parquet"
    path.write_bytes(path.read_bytes()[:-1] + b"!")
    record = platform.reader.required_record("toy/double", only)

    with pytest.raises(Exception, match=f"toy/double/{only}.parquet: The object was altered"):
        platform.reader.table(record)

    platform.script.computed.clear()
    assert platform.run([only]).success
    assert platform.script.computed == [("double", "only")]


def test_a_deleted_artifact_is_made_again(platform: ToyPlatform):
    [only] = platform.add("only")
    platform.run([only])
    platform.store.delete(f"toy/seed/{only}.parquet")
    platform.script.computed.clear()

    assert platform.run([only]).success
    assert platform.script.computed == [("seed", "only")]


def test_a_broken_contract_is_a_failed_check_and_publishes_nothing(platform: ToyPlatform, tmp_path: Path):
    (tmp_path / "profiles" / "huge.yaml").write_text("optional: [extra]\nstages:\n  double: {factor: 1000}\n")
    one, two = platform.add("one", "two")
    platform.add("one", profile="huge")

    result = platform.run([one, two])

    assert ("toy/double", "contract", one) in evaluations(platform, result, passed=False)
    assert platform.reader.record("toy/double", one) is None
    assert platform.materialized("total") == {two}


def test_the_same_input_gives_the_same_data_versions_in_two_homes(platform: ToyPlatform, tmp_path: Path):
    [only] = platform.add("only")
    platform.run([only])
    with toy_platform(tmp_path / "second") as other:
        other.add("only")
        other.run([only])
        for stage in ("seed", "double", "extra", "total"):
            here = platform.reader.required_record(f"toy/{stage}", only)
            there = other.reader.required_record(f"toy/{stage}", only)
            assert here.data_version == there.data_version
            assert here.provenance.finished != there.provenance.finished


def test_provenance_is_inside_the_file_and_in_dagster(platform: ToyPlatform):
    [only] = platform.add("only")
    platform.run([only], tags={runner.CALLER_RUN_ID_TAG: "callers-own-id"})
    record = platform.reader.required_record("toy/double", only)

    inside = pq.read_metadata(platform.store.root / f"toy/double/{only}.parquet").metadata
    assert Provenance.model_validate_json(inside[PROVENANCE_METADATA_KEY.encode()]) == record.provenance
    assert record.provenance.run_id == "callers-own-id"
    seed = platform.reader.required_record("toy/seed", only)
    assert record.provenance.inputs == {"toy/seed": seed.data_version}

    event = platform.instance.get_latest_materialization_event(dg.AssetKey(["toy", "double"]))
    assert event is not None
    assert event.asset_materialization is not None
    assert (event.asset_materialization.tags or {})["dagster/data_version"] == record.data_version


def test_failed_partitions_are_shown_as_failed_and_only_they(platform: ToyPlatform):
    """Guards the one place where we lean on Dagster's inside: the muted event of a step's output."""
    first, middle, last = platform.add("first", "middle", "last")
    platform.script.faults["seed", "middle"] = [corrupt("middle")]

    result = platform.run([first, middle, last])

    told = [event.asset_key.path[-1] for event in result.get_asset_materialization_events() if event.asset_key]
    assert sorted(told) == sorted(["seed", "double", "extra", "total"] * 2)
    assert middle not in platform.materialized("seed") | platform.materialized("total")


def test_the_lock_is_given_back(platform: ToyPlatform):
    [only] = platform.add("only")
    platform.script.faults["seed", "only"] = [corrupt("only")]
    platform.run([only])
    platform.script.faults.clear()

    assert platform.run([only]).success
    assert (platform.home / LOCK_FOLDER).is_dir()


def test_a_profile_cannot_switch_off_what_an_enabled_stage_needs(platform: ToyPlatform, tmp_path: Path):
    (tmp_path / "profiles" / "headless.yaml").write_text("disabled: [seed]\n")
    [only] = platform.add("only", profile="headless")

    assert not platform.run([only]).success
    failure = read_failure(platform.store, "toy/seed", only)
    assert failure is not None
    assert failure.kind == "configuration"
    assert "Stage double needs seed, which the profile switches off" in failure.reason
    assert platform.script.computed == []


def test_an_optional_input_that_the_profile_requires_is_waited_for(platform: ToyPlatform, tmp_path: Path):
    (tmp_path / "profiles" / "strict.yaml").write_text("description: nothing may fail\n")
    [only] = platform.add("only", profile="strict")
    platform.script.faults["extra", "only"] = [corrupt("only")]

    result = platform.run([only])

    assert not result.success
    assert platform.reader.record("toy/total", only) is None


def test_stages_of_one_step_fail_and_succeed_each_for_itself(platform: ToyPlatform):
    """``double`` and ``extra`` share a step; ``extra`` may be missing."""
    [only] = platform.add("only")
    platform.script.faults["double", "only"] = [corrupt("only")]

    assert not platform.run([only]).success

    assert platform.materialized("extra") == {only}
    assert platform.materialized("double") == set()


def test_a_stage_of_a_step_can_be_run_alone(platform: ToyPlatform):
    [only] = platform.add("only")
    platform.run([only])
    platform.script.computed.clear()
    job = platform.definitions().resolve_job_def("toy")

    alone = job.execute_in_process(
        instance=platform.instance,
        partition_key=only,
        asset_selection=[dg.AssetKey(["toy", "extra"])],
        tags={runner.FORCE_TAG: "true"},
    )

    assert alone.success
    assert platform.script.computed == [("extra", "only")]
    assert [event.asset_key.path for event in alone.get_asset_materialization_events() if event.asset_key] == [
        ["toy", "extra"]
    ]


def test_stages_that_read_each_other_can_share_a_step(platform: ToyPlatform):
    one, two = platform.add("one", "two")
    platform.script.faults["double", "two"] = [corrupt("two")]
    job = platform.definitions(in_one_step=True).resolve_job_def("toy")

    assert job.execute_in_process(instance=platform.instance, partition_key=one, raise_on_error=False).success
    failed = job.execute_in_process(instance=platform.instance, partition_key=two, raise_on_error=False)

    assert not failed.success
    assert platform.reader.table(platform.reader.required_record("toy/total", one))["value"].to_pylist() == [19]
    assert platform.materialized("extra") == {one, two}
    assert platform.materialized("total") == {one}
    assert ("total", "two") not in platform.script.computed


def test_a_run_of_long_videos_has_more_than_two_hours(platform: ToyPlatform):
    short, *long = platform.add("short", "long", "longer")

    time_of = {}
    for keys in ([short], long):
        result = platform.run(keys)
        run = platform.instance.get_run_by_id(result.run_id)
        assert run is not None
        time_of[keys[0]] = run.tags.get("dagster/max_runtime")

    assert time_of == {short: None, long[0]: str(2 * 3 * 3600)}
