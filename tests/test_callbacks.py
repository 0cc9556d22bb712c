"""Callbacks against a real HTTP receiver."""

from datetime import UTC, datetime
from pathlib import Path

import dagster as dg
import pytest

from neurovision_assets.partitions import video_ids
from neurovision_assets.uploads.record import UploadRecord
from resources.errors import PermanentFailure, TransientFailure
from resources.progress import ProgressBoard
from sensors import callbacks
from sensors.callbacks import post, tell
from tests.incoming import Incoming, video_bytes
from tests.receiver import Receiver, receiving
from tests.uploads_platform import UNREADABLE, build_defs

MESSAGE: dict[str, str | None] = {"status": "completed", "operation_id": "op_1"}


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(callbacks, "LONGEST_PAUSE_S", 0.01)


def test_exactly_the_promised_message_arrives() -> None:
    with receiving() as receiver:
        post(receiver.url, MESSAGE, "video-00000000")
    assert receiver.messages == [{"status": "completed", "operation_id": "op_1"}]


def test_a_busy_receiver_is_tried_again_and_an_unwilling_one_is_not() -> None:
    with receiving() as receiver:
        receiver.answers = [503, 429]
        post(receiver.url, MESSAGE, "video-00000000")
        assert len(receiver.messages) == 3
        receiver.answers = [404]
        with pytest.raises(PermanentFailure, match="404"):
            post(receiver.url, MESSAGE, "video-00000000")
        receiver.answers = [307]
        with pytest.raises(PermanentFailure, match="307"):
            post(receiver.url, MESSAGE, "video-00000000")
        assert len(receiver.messages) == 5, "a redirect is not followed"


def test_an_absent_receiver_ends_as_an_error_without_its_address() -> None:
    with receiving() as receiver:
        url = f"{receiver.url}/?token=secret"
    with pytest.raises(TransientFailure, match="not delivered") as failure:
        post(url, MESSAGE, "video-00000000")
    assert "secret" not in str(failure.value)
    assert "127.0.0.1" not in str(failure.value)
    with pytest.raises(PermanentFailure):
        post("file:///etc/passwd", MESSAGE, "video-00000000")


def told_after(
    home: Path, receiver: Receiver, contents: list[bytes], monkeypatch: pytest.MonkeyPatch, *, with_url: bool = True
) -> None:
    """Run the main job over uploads and tell of its end."""
    monkeypatch.setenv("NEUROVISION_HOME", str(home / "objects"))
    incoming = Incoming(home)
    for number, content in enumerate(contents):
        incoming.drop(f"operation_{number}.mp4", content)
        incoming.drop(
            f"operation_{number}.json",
            {"operation_id": f"OP_{number}"} | ({"callback_url": receiver.url} if with_url else {}),
        )
    keys = sorted(record.video_id for record in incoming.ticks().registered)
    (home / "dagster").mkdir()
    with dg.instance_for_test(temp_dir=str(home / "dagster")) as instance:
        instance.add_dynamic_partitions(str(video_ids.name), keys)
        one = {"partition_key": keys[0]} if len(keys) == 1 else {}
        span = {"dagster/asset_partition_range_start": keys[0], "dagster/asset_partition_range_end": keys[-1]}
        job = build_defs().resolve_job_def("process_video")
        result = job.execute_in_process(instance=instance, tags={} if one else span, raise_on_error=False, **one)
        event = (result.get_run_success_event if result.success else result.get_run_failure_event)()
        with dg.build_run_status_sensor_context(
            sensor_name="any", dagster_instance=instance, dagster_run=result.dagster_run, dagster_event=event
        ) as context:
            tell(context, incoming.store, ProgressBoard(object_store=incoming.store))


def test_a_completed_video_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with receiving() as receiver:
        told_after(tmp_path, receiver, [video_bytes(1)], monkeypatch)
    assert receiver.messages == [{"status": "completed", "operation_id": "OP_0"}]


def test_nobody_is_told_where_no_url_was_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with receiving() as receiver:
        told_after(tmp_path, receiver, [video_bytes(1)], monkeypatch, with_url=False)
    assert receiver.messages == []


def test_of_several_videos_in_a_run_each_is_told_its_own_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with receiving() as receiver:
        told_after(tmp_path, receiver, [video_bytes(1), UNREADABLE, video_bytes(2)], monkeypatch)
    assert receiver.messages[0] == {"status": "completed", "operation_id": "OP_0"}
    assert receiver.messages[1].keys() == {"status", "operation_id", "error"}
    assert "cannot be decoded" in receiver.messages[1]["error"]
    assert receiver.messages[2]["status"] == "failed", "the run ended before its turn came"


def test_one_receiver_that_is_away_keeps_nobody_else_waiting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with receiving() as receiver:
        receiver.answers = [404]
        with pytest.raises(TransientFailure, match="404"):
            told_after(tmp_path, receiver, [video_bytes(1), video_bytes(2)], monkeypatch)
    assert [message["operation_id"] for message in receiver.messages] == ["OP_0", "OP_1"]


def test_a_long_error_is_cut() -> None:
    record = UploadRecord(video_id="video-00000000", fingerprint="0" * 8, parts=(), received_at=datetime.now(UTC))
    assert callbacks.message_of(record, "x" * 5000)["error"] == "x" * callbacks.ERROR_TEXT_MAX
