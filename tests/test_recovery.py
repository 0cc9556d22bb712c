"""Failed runs that get another: those that may succeed now, a few times, never while somebody else asked already."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.test_utils import create_run_for_test

from jobs.process_video import PROCESS_VIDEO
from neurovision_assets.partitions import video_ids
from neurovision_assets.runs import PARTITION_TAG
from neurovision_assets.stage.failures import FailureRecord, write_failure
from resources.object_store import ObjectStore
from sensors.recovery import FIRST_PAUSE_S, MOST_TRIES, TRY_TAG, requests

VIDEO = "operation_001-1f3a9c2b"
STAGE = "surgery/frames"


@dg.op
def fails() -> None:
    raise RuntimeError


@dg.op
def succeeds() -> None:
    """Do nothing."""


@pytest.fixture
def instance(tmp_path: Path) -> Iterator[dg.DagsterInstance]:
    (tmp_path / "dagster").mkdir()
    with dg.DagsterInstance.local_temp(str(tmp_path / "dagster")) as instance:
        instance.add_dynamic_partitions(str(video_ids.name), [VIDEO])
        yield instance


@pytest.fixture
def store(tmp_path: Path) -> ObjectStore:
    return ObjectStore(url=(tmp_path / "objects").as_uri())


def run(instance: dg.DagsterInstance, op: dg.OpDefinition = fails, **tags: str) -> str:
    """A run of the main job's name that has ended."""
    job = dg.GraphDefinition(name=PROCESS_VIDEO, node_defs=[op]).to_job()
    tags = {PARTITION_TAG: VIDEO, **tags}
    return job.execute_in_process(instance=instance, tags=tags, raise_on_error=False).run_id


def noted(store: ObjectStore, run_id: str, kind: str) -> None:
    record = FailureRecord(
        asset=STAGE, video_id=VIDEO, run_id=run_id, kind=kind, reason="-", cause=STAGE, failed_at=datetime.now(UTC)
    )
    write_failure(store, record)


def asked(instance: dg.DagsterInstance, store: ObjectStore, after_s: float = FIRST_PAUSE_S + 5) -> list[dg.RunRequest]:
    return list(requests(instance, store, datetime.now(UTC).timestamp() + after_s))


def test_a_video_whose_server_was_gone_is_asked_for_after_a_pause(instance: dg.DagsterInstance, store: ObjectStore):
    run_id = run(instance)
    noted(store, run_id, "transient")
    assert asked(instance, store, after_s=0) == []
    [request] = asked(instance, store)
    assert request.partition_key == VIDEO
    assert request.tags[TRY_TAG] == "1"
    assert request.run_key == f"recovery:{VIDEO}:{run_id}", "the same tick again asks for the same run"


@pytest.mark.parametrize(
    ("kind", "count"), [("transient", 1), ("configuration", 1), ("permanent", 0), ("unexpected", 0)]
)
def test_what_the_same_video_would_meet_again_is_not_tried(
    instance: dg.DagsterInstance, store: ObjectStore, kind: str, count: int
):
    noted(store, run(instance), kind)
    assert len(asked(instance, store)) == count


def test_a_failure_that_the_storage_refused_to_note_is_tried(instance: dg.DagsterInstance, store: ObjectStore):
    run(instance)
    assert len(asked(instance, store)) == 1


def test_whoever_asked_since_comes_first(instance: dg.DagsterInstance, store: ObjectStore):
    noted(store, run(instance), "transient")
    run(instance, succeeds)
    assert asked(instance, store) == []


def test_pauses_grow_and_tries_end(instance: dg.DagsterInstance, store: ObjectStore):
    noted(store, run(instance, **{TRY_TAG: "2"}), "transient")
    assert asked(instance, store, after_s=3 * FIRST_PAUSE_S) == []
    [request] = asked(instance, store, after_s=4 * FIRST_PAUSE_S + 5)
    assert request.tags[TRY_TAG] == "3"
    noted(store, run(instance, **{TRY_TAG: str(MOST_TRIES)}), "transient")
    assert asked(instance, store, after_s=10_000 * FIRST_PAUSE_S) == []


def test_a_video_that_was_removed_is_not_asked_for(instance: dg.DagsterInstance, store: ObjectStore):
    noted(store, run(instance), "transient")
    instance.delete_dynamic_partition(str(video_ids.name), VIDEO)
    assert asked(instance, store) == []


@pytest.mark.parametrize(("last", "count"), [("report", 2), ("frames", 0)])
def test_videos_of_a_backfill_up_to_the_report_get_a_run_each(
    instance: dg.DagsterInstance, store: ObjectStore, last: str, count: int
):
    other = "operation_002-2f3a9c2b"
    instance.add_dynamic_partitions(str(video_ids.name), [other])

    span = {"dagster/asset_partition_range_start": VIDEO, "dagster/asset_partition_range_end": other}
    selection = frozenset(dg.AssetKey(["surgery", name]) for name in ("video", last))
    backfill = create_run_for_test(instance, job_name="__ASSET_JOB", tags=span, asset_selection=selection)
    instance.report_run_failed(backfill)
    assert [request.partition_key for request in asked(instance, store)] == [VIDEO, other][:count]
