"""Looks at a real ``incoming/``: what is taken, refused, left; hostile names; trouble that stays where it is."""

import os
from pathlib import Path

import pytest

from neurovision_assets.partitions import VIDEO_ID_PATTERN
from neurovision_assets.uploads.intake import REMIND_AFTER_S
from neurovision_assets.uploads.refusal import refuse
from neurovision_assets.uploads.registration import claim_parts
from resources.errors import TransientFailure
from resources.object_store import ObjectStore
from tests.incoming import PATIENT, Incoming, video_bytes

HOSTILE_NAMES = [
    f"{PATIENT}.mp4",
    "a, b;  c.mp4",
    "%2e%2e%2f..%5c..mp4",
    "$(touch x) `id` 'q' \".mp4",
    "new\nline.mp4",
    "имя" * 41 + ".mp4",
    "-rf.mp4",
    "a.b.c.d.mp4",
]


@pytest.fixture
def incoming(tmp_path: Path) -> Incoming:
    return Incoming(tmp_path)


def test_an_upload_is_taken_once(incoming: Incoming) -> None:
    incoming.drop("operation_1.mp4", video_bytes(1))
    assert incoming.tick().registered == []
    outcome = incoming.ticks(5)
    (record,) = outcome.registered
    assert outcome.refused == []
    assert incoming.names("incoming") == ["operation_1.mp4"], "registration moves nothing"
    claim_parts(incoming.store, record)
    assert incoming.ticks().registered == []
    assert incoming.state.taken == ()


def test_a_growing_file_is_left_alone(incoming: Incoming) -> None:
    for megabyte in range(1, 8):
        incoming.drop("operation_1.mp4", bytes(megabyte * 1000))
        assert incoming.tick().registered == []
    assert incoming.ticks().registered[0].size_bytes == 7000


def test_a_lost_cursor_takes_nothing_twice(incoming: Incoming) -> None:
    incoming.drop("operation_1.mp4", video_bytes(1))
    (first,) = incoming.ticks().registered
    incoming.state = incoming.state.from_cursor("lost")
    (again,) = incoming.ticks().registered
    assert again.run_key == first.run_key, "Dagster knows this key and starts no second run"


@pytest.mark.parametrize("name", HOSTILE_NAMES)
@pytest.mark.parametrize("content", [video_bytes(3), b""])
def test_hostile_names_are_kept_and_told_to_nobody(incoming: Incoming, name: str, content: bytes) -> None:
    incoming.drop(name, content)
    incoming.drop("operation_2.mp4", video_bytes(2))
    outcome = incoming.ticks()
    assert Path(name).stem not in incoming.everything_but_names(outcome)
    assert len(outcome.registered) == (2 if content else 1)
    assert all(VIDEO_ID_PATTERN.fullmatch(record.video_id) for record in outcome.registered)
    if not content:
        (kept,) = [left for left in incoming.names("rejected") if not left.endswith(".reason.txt")]
        assert kept[:20] == name[:20]
        reason = incoming.store.read_bytes(f"rejected/{kept}.reason.txt").decode()
        assert "empty" in reason
        assert outcome.refused[0].upload_id in reason


def test_names_as_long_as_the_disk_allows_and_names_that_are_no_text(incoming: Incoming) -> None:
    long_name = "ж" * 125 + ".mp4"
    incoming.drop(long_name, b"")
    with Path(os.fsdecode(os.fsencode(incoming.folder) + b"/\xff\xfe.mp4")).open("wb") as file:
        file.write(video_bytes(1))
    outcome = incoming.ticks()
    assert len(outcome.refused) == 2
    assert incoming.names("incoming") == []
    assert len(incoming.names("rejected")) == 4
    incoming.drop(long_name, b"")
    incoming.ticks()
    assert len(incoming.names("rejected")) == 6


def test_nothing_in_rejected_is_overwritten(incoming: Incoming) -> None:
    for number in range(3):
        incoming.drop("notes.txt", b"%d" % number)
        incoming.ticks()
    kept = [name for name in incoming.names("rejected") if not name.endswith(".reason.txt")]
    assert {incoming.store.read_bytes(f"rejected/{name}") for name in kept} == {b"0", b"1", b"2"}
    assert all(f"{name}.reason.txt" in incoming.names("rejected") for name in kept)


def test_refusing_a_file_that_vanished_is_no_trouble(incoming: Incoming) -> None:
    assert refuse(incoming.store, ["incoming/gone.mp4"], "Any reason.", "0123") == []
    assert incoming.names("rejected") == []


def test_duplicates_are_refused_and_name_the_video_that_is_here(incoming: Incoming) -> None:
    incoming.drop(f"{PATIENT}.mp4", video_bytes(1))
    (first,) = incoming.ticks().registered
    incoming.drop("other name.mp4", video_bytes(1))
    outcome = incoming.ticks()
    (refused,) = outcome.refused
    assert first.video_id in refused.reason
    claim_parts(incoming.store, first)
    incoming.drop(f"{PATIENT}.mp4", video_bytes(1))
    outcome = incoming.ticks()
    assert len(outcome.refused) == 1
    assert PATIENT not in incoming.everything_but_names(outcome)
    incoming.drop(f"{PATIENT}.mp4", video_bytes(2))
    (second,) = incoming.ticks().registered
    assert second.video_id != first.video_id


def test_two_copies_in_one_tick_are_one_video(incoming: Incoming) -> None:
    incoming.drop("operation_1.mp4", video_bytes(1))
    incoming.drop("other label.mp4", video_bytes(1))
    outcome = incoming.ticks()
    assert (len(outcome.registered), len(outcome.refused)) == (1, 1)


@pytest.mark.parametrize("sidecar", [b"not json", {"unknown": 1}, {"patient_id": PATIENT}, {"parts": ["../x.mp4"]}])
def test_a_bad_sidecar_goes_with_its_video_and_nobody_elses(
    incoming: Incoming, sidecar: bytes | dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("ANONYMIZATION_SALT", raising=False)
    incoming.drop("a.mp4", video_bytes(1))
    incoming.drop("a.json", sidecar)
    incoming.drop("operation_2.mp4", video_bytes(2))
    outcome = incoming.ticks()
    assert [record.video_id.split("-")[0] for record in outcome.registered] == ["operation_2"]
    assert outcome.refused[0].files == 2
    assert PATIENT not in incoming.everything_but_names(outcome)
    assert incoming.names("rejected") == ["a.json", "a.json.reason.txt", "a.mp4", "a.mp4.reason.txt"]
    assert PATIENT not in incoming.store.read_bytes("rejected/a.json.reason.txt").decode()


def test_a_recording_in_parts_is_one_video(incoming: Incoming) -> None:
    incoming.drop("operation_5.json", {"parts": ["2.mp4", "1.mp4"], "priority": "high"})
    incoming.drop("1.mp4", video_bytes(1))
    assert incoming.ticks().registered == []
    incoming.drop("2.mp4", video_bytes(2))
    (record,) = incoming.ticks().registered
    assert record.video_id.startswith("operation_5-")
    assert [part.original_name for part in record.parts] == ["2.mp4", "1.mp4"]
    assert record.priority == 10
    claim_parts(incoming.store, record)
    assert incoming.names("incoming") == []


def test_a_tick_takes_no_more_than_its_cap_and_the_next_goes_on(tmp_path: Path) -> None:
    incoming = Incoming(tmp_path, uploads_per_tick=3)
    for number in range(7):
        incoming.drop(f"operation_{number}.mp4", video_bytes(number))
    incoming.tick()
    incoming.tick()
    counts = [len(incoming.tick().registered) for _ in range(4)]
    assert counts == [3, 3, 1, 0]


def test_an_upload_that_makes_trouble_blocks_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    incoming = Incoming(tmp_path, uploads_per_tick=1)
    incoming.drop(f"{PATIENT}.mp4", video_bytes(1))
    incoming.drop("z.json", b"{}")
    incoming.tick()
    for number in range(3):
        incoming.drop(f"operation_{number}.mp4", video_bytes(2 + number))
    read_range = ObjectStore.read_range

    def broken_disk(self: ObjectStore, key: str, start: int, length: int) -> bytes:
        if PATIENT in key or key.endswith("z.json"):
            raise PermissionError(13, "Permission denied", f"/data/{key}")
        return read_range(self, key, start, length)

    monkeypatch.setattr(ObjectStore, "read_range", broken_disk)
    outcome = incoming.ticks(8)
    assert len(outcome.registered) == 3
    assert any("Permission denied" in note for note in outcome.notes)
    assert PATIENT not in incoming.everything_but_names(outcome)
    monkeypatch.undo()
    assert len(incoming.ticks().registered) == 1


def test_a_failed_listing_is_not_an_empty_folder(incoming: Incoming) -> None:
    incoming.drop("operation_1.mp4", video_bytes(1))
    incoming.tick()
    before = incoming.state
    aside = incoming.folder.rename(incoming.home / "aside")
    (incoming.store.root / "incoming").write_bytes(b"")  # a share that is not mounted
    with pytest.raises(TransientFailure, match="cannot be listed"):
        incoming.tick()
    assert incoming.state == before
    (incoming.store.root / "incoming").unlink()
    aside.rename(incoming.store.root / "incoming")
    assert len(incoming.ticks().registered) == 1


def test_what_waits_for_hours_is_told_once_an_hour(incoming: Incoming) -> None:
    incoming.drop(f"{PATIENT}.json", {"title": "abc"})
    notes = [note for _ in range(25) for note in incoming.tick(REMIND_AFTER_S / 10).notes]
    assert len(notes) == 2
    assert "a sidecar without its video, for 1 h" in notes[0]
    assert PATIENT not in "".join(notes)
