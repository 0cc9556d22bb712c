"""What the benchmark of servers at fault counts: a result that two computations published, and each reason once."""

import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from benchmarks import watch
from benchmarks.watch import Watch
from commands.services.seaweedfs import SeaweedFs
from neurovision_assets.artifacts import ArtifactRecord
from neurovision_assets.stage.failures import FailureRecord, write_failure
from resources.object_store import ObjectStore
from tests.artifact_writing import provenance
from tests.s3_server import store_in, use_credentials

pytestmark = [pytest.mark.services, pytest.mark.xdist_group("seaweedfs")]
VIDEO = "operation_101-0123abcd"
REPORT = f"surgery/report/{VIDEO}.record.json"
PATIENCE_S = 300.0


@pytest.fixture
def store(seaweed: SeaweedFs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ObjectStore:
    use_credentials(monkeypatch)
    monkeypatch.setattr(watch, "LOOK_EVERY_S", 0.05)
    return store_in(seaweed, tmp_path)


def record(data_version: str, run_id: str) -> bytes:
    made = ArtifactRecord(
        data_version=data_version, parts=(), counts={}, facts={}, provenance=provenance(dagster_run_id=run_id)
    )
    return made.model_dump_json().encode()


def wait_for(is_so: Callable[[], bool]) -> None:
    deadline_s = time.monotonic() + PATIENCE_S
    while not is_so():
        assert time.monotonic() < deadline_s
        time.sleep(0.05)


def looked(seen: Watch, store: ObjectStore, mark: str) -> None:
    """Wait for a look that began after this moment: it finds a report of another video."""
    store.write_bytes(f"surgery/report/{mark}.record.json", record(mark, "any"))
    wait_for(lambda: mark in seen.reported())


def test_a_result_that_was_published_by_two_runs_is_one_too_many(store: ObjectStore) -> None:
    with Watch(store) as seen:
        store.write_bytes(REPORT, record("a", "first"))
        looked(seen, store, "mark_1")
        store.write_bytes(REPORT, record("a", "first"))
        looked(seen, store, "mark_2")
        assert not seen.twice, "the same bytes: only an answer was lost"
        store.write_bytes(REPORT, record("b", "second"))
        looked(seen, store, "mark_3")
        assert not seen.twice, "other content is another result"
        store.write_bytes(REPORT, record("b", "third"))
        looked(seen, store, "mark_4")
    assert dict(seen.twice) == {REPORT: 1}


def test_a_result_that_was_lost_and_computed_again_is_not(store: ObjectStore) -> None:
    with Watch(store) as seen:
        store.write_bytes(REPORT, record("a", "first"))
        wait_for(lambda: seen.reported() == {VIDEO})
        store.delete(REPORT)
        wait_for(lambda: seen.reported() == set())
        store.write_bytes(REPORT, record("a", "second"))
        wait_for(lambda: seen.reported() == {VIDEO})
    assert not seen.twice


def test_reasons_are_told_without_names_and_where_they_began(store: ObjectStore) -> None:
    def failed(asset: str, cause: str, video_id: str) -> FailureRecord:
        return FailureRecord(
            asset=asset,
            video_id=video_id,
            run_id="run",
            kind="transient",
            reason=f"{video_id}: It is gone.",
            cause=cause,
            failed_at=datetime.now(UTC),
        )

    with Watch(store) as seen:
        for video_id in (VIDEO, "operation_102-0123abcd"):
            write_failure(store, failed("surgery/frames", "surgery/frames", video_id))
            write_failure(store, failed("surgery/report", "surgery/frames", video_id))
        wait_for(lambda: seen.reasons.total() == 2)
    assert dict(seen.reasons) == {"transient: VIDEO: It is gone.": 2}
