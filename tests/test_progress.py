"""Progress: a courtesy that is true, readable at any moment, and never in the way of the work."""

import io
from pathlib import Path

import pytest
from rich.console import Console

from commands.progress_view import ProgressView
from neurovision_assets.profiles import ProfileCatalog
from neurovision_assets.stage.failures import failure_of, write_failure
from neurovision_assets.surgery.pipeline import SURGERY
from resources.errors import PermanentFailure, TransientFailure
from resources.object_store import ObjectStore
from resources.progress import ProgressBoard, ProgressRecord, StageProgress, progress_key
from tests.artifact_writing import VIDEO_ID, provenance, publish


@pytest.fixture
def store(tmp_path: Path) -> ObjectStore:
    return ObjectStore(url=tmp_path.as_uri())


def progress(store: ObjectStore) -> StageProgress:
    return StageProgress(ProgressBoard(object_store=store), VIDEO_ID, "run-1", "frames", (10.0, 20.0))


def test_a_record_tells_stage_share_and_message(store: ObjectStore):
    board = ProgressBoard(object_store=store)
    assert board.read(VIDEO_ID) is None
    tell = progress(store)
    for fraction, percent, shown in ((0.0, 10.0, 0.0), (0.5, 15.0, 0.5), (1.0, 20.0, 1.0), (7.0, 20.0, 1.0)):
        fresh = progress(store)
        fresh(fraction, "text")
        record = board.read(VIDEO_ID)
        assert record is not None
        assert (record.stage, record.percent, record.stage_fraction) == ("frames", percent, shown)
        assert (record.message, record.run_id) == ("text", "run-1")
    tell.failed("The file is corrupt.")
    record = board.read(VIDEO_ID)
    assert record is not None
    assert (record.stage, record.percent, record.message) == ("error", -1, "The file is corrupt.")


def test_writes_are_thinned_but_the_end_is_always_told(store: ObjectStore):
    board = ProgressBoard(object_store=store)
    tell = progress(store)
    for step in range(100):
        tell(step / 100)
    record = board.read(VIDEO_ID)
    assert record is not None
    assert record.stage_fraction < 0.9
    tell(1.0)
    record = board.read(VIDEO_ID)
    assert record is not None
    assert record.stage_fraction == 1.0


def test_a_storage_that_refuses_progress_stops_no_work(store: ObjectStore, caplog: pytest.LogCaptureFixture):
    store.write_bytes("progress", b"a file in the folder's place")
    progress(store)(0.5)
    assert progress_key(VIDEO_ID) in caplog.text


def test_a_storage_that_refuses_is_asked_again_for_ends_alone(store: ObjectStore, monkeypatch: pytest.MonkeyPatch):
    """A refusal takes half a minute of tries: a stage with a hundred records would wait an hour."""
    asked = []

    def refuse(_: ObjectStore, key: str, data: bytes) -> None:
        asked.append(ProgressRecord.model_validate_json(data).stage_fraction)
        raise TransientFailure("There is no space left.", subject=key, remedy="Free disk space.")

    monkeypatch.setattr(ObjectStore, "write_bytes", refuse)
    monkeypatch.setattr("resources.progress.WRITE_INTERVAL_S", 0.0)
    tell = progress(store)
    for share in (0.0, 0.25, 0.5, 1.0):
        tell(share)
    assert asked == [0.0, 1.0]


def test_a_record_of_another_version_is_none(store: ObjectStore):
    board = ProgressBoard(object_store=store)
    for text in (b"", b"{}", b'{"stage": "frames", "share": 1}'):
        store.write_bytes(progress_key(VIDEO_ID), text)
        assert board.read(VIDEO_ID) is None


def seen(store: ObjectStore, profile: str) -> list[str]:
    """Stages that the terminal tells at the end of a run, with what is said of each."""
    catalog = ProfileCatalog(user_folder="/nonexistent", default=profile)
    console = Console(width=200, force_terminal=False, record=True, file=io.StringIO())
    with ProgressView(console, SURGERY, SURGERY.resolve(catalog, profile), store, VIDEO_ID):
        pass
    return [" ".join(line.split()[:3]) for line in console.export_text().splitlines()]


def with_results(store: ObjectStore, *stages: str) -> None:
    for stage in stages:
        record = publish(store, provenance=provenance(asset=f"surgery/{stage}"))
        store.write_bytes(f"surgery/{stage}/{VIDEO_ID}.record.json", record.model_dump_json().encode())


def with_failure(store: ObjectStore, stage: str) -> None:
    error = PermanentFailure("It is [corrupt].", subject=VIDEO_ID, remedy="Upload it again.")
    write_failure(store, failure_of(error, f"surgery/{stage}", VIDEO_ID, "run-1"))


def test_results_that_are_used_again_are_told_as_up_to_date(store: ObjectStore):
    with_results(store, "video", "frames")
    assert seen(store, "production") == ["video up to", "frames up to"]


def test_older_results_behind_a_failed_stage_are_not_told(store: ObjectStore):
    """The run did not come to them."""
    with_results(store, "video", "frames", "features", "phases", "report")
    with_failure(store, "features")
    assert seen(store, "production") == ["video up to", "frames up to"]


def test_older_results_of_stages_that_are_off_are_not_told(store: ObjectStore):
    with_results(store, "video", "anatomy", "report")
    assert seen(store, "fast_debug") == ["video up to", "report up to"]


def test_an_optional_stage_that_failed_is_told_as_left_out(store: ObjectStore):
    with_results(store, "video", "anatomy", "report")
    with_failure(store, "anatomy")
    assert seen(store, "production") == ["video up to", "anatomy left out", "report up to"]
