"""Files of this machine as uploads: copied, found again, mended, never seen by the sensor."""

import json
from pathlib import Path

import pytest

from neurovision_assets.uploads.local import register_local_file
from neurovision_assets.uploads.record import load_record
from neurovision_assets.uploads.registration import claim_parts
from neurovision_assets.uploads.sidecar import RefusedUpload
from resources.errors import NeuroVisionError
from tests.incoming import PATIENT, Incoming, video_bytes


@pytest.fixture
def incoming(tmp_path: Path) -> Incoming:
    return Incoming(tmp_path)


def test_it_is_copied_beside_incoming_and_found_again(incoming: Incoming) -> None:
    path = incoming.home / f"{PATIENT}.mp4"
    path.write_bytes(video_bytes(1))
    record = register_local_file(incoming.store, incoming.settings, path)
    assert incoming.names("incoming") == []
    assert incoming.store.read_bytes(record.parts[0].raw_key) == path.read_bytes()
    assert register_local_file(incoming.store, incoming.settings, path) == record
    assert claim_parts(incoming.store, record) == [record.parts[0].raw_key]


def test_a_lost_copy_is_mended(incoming: Incoming) -> None:
    path = incoming.home / "operation_1.mp4"
    path.write_bytes(video_bytes(1))
    record = register_local_file(incoming.store, incoming.settings, path)
    incoming.store.delete(record.parts[0].raw_key)
    assert register_local_file(incoming.store, incoming.settings, path) == record
    assert incoming.store.stat(record.parts[0].raw_key) is not None


def test_a_new_sidecar_or_profile_changes_what_is_said_not_what_it_is(incoming: Incoming) -> None:
    path, sidecar = incoming.home / "operation_1.mp4", incoming.home / "any.json"
    path.write_bytes(video_bytes(1))
    record = register_local_file(incoming.store, incoming.settings, path)
    sidecar.write_text(json.dumps({"title": "Second look", "operation_id": "elsewhere"}))
    again = register_local_file(incoming.store, incoming.settings, path, sidecar, known=[record.video_id])
    assert (again.video_id, again.title, again.received_at) == (record.video_id, "Second look", record.received_at)
    quick = register_local_file(incoming.store, incoming.settings, path, profile="fast_debug")
    assert (quick.profile, quick.title) == ("fast_debug", "Second look")
    assert load_record(incoming.store, record.video_id) == quick


def test_the_same_bytes_that_wait_in_incoming_are_left_to_their_run(incoming: Incoming) -> None:
    incoming.drop("operation_1.mp4", video_bytes(1))
    (waiting,) = incoming.ticks().registered
    path = incoming.home / "operation_1.mp4"
    path.write_bytes(video_bytes(1))
    assert register_local_file(incoming.store, incoming.settings, path) == waiting
    assert incoming.names("incoming") == ["operation_1.mp4"]


def test_parts_lie_beside_each_other(incoming: Incoming) -> None:
    for number in (1, 2):
        (incoming.home / f"{number}.mp4").write_bytes(video_bytes(number))
    sidecar = incoming.home / "operation_9.json"
    sidecar.write_text(json.dumps({"parts": ["2.mp4", "1.mp4"]}))
    record = register_local_file(incoming.store, incoming.settings, incoming.home / "1.mp4", sidecar)
    assert record.video_id.startswith("operation_9-")
    assert [incoming.store.read_bytes(key) for key in claim_parts(incoming.store, record)] == [
        video_bytes(2),
        video_bytes(1),
    ]


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [("none.mp4", None, "no such file"), ("a.mp4", b"", "empty"), ("a.txt", b"text", "ending")],
)
def test_what_cannot_be_taken_is_said_without_the_name(
    incoming: Incoming, name: str, content: bytes | None, said: str
) -> None:
    path = incoming.home / f"{PATIENT} {name}"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(NeuroVisionError, match=said) as failure:
        register_local_file(incoming.store, incoming.settings, path)
    assert PATIENT not in str(failure.value)


def test_the_limit_of_uploads_holds_for_it(tmp_path: Path) -> None:
    small = Incoming(tmp_path, upload_max_bytes=100)
    path = tmp_path / "a.mp4"
    path.write_bytes(bytes(101))
    with pytest.raises(RefusedUpload, match="File size cannot exceed 100 bytes"):
        register_local_file(small.store, small.settings, path)
