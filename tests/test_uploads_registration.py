"""Records, keys, duplicates, claiming, local files: on real files, with crashes in between."""

import traceback
from datetime import UTC, datetime
from pathlib import Path

import pytest

from neurovision_assets.partitions import VIDEO_ID_PATTERN
from neurovision_assets.uploads.decisions import Accept
from neurovision_assets.uploads.identity import DuplicateUpload
from neurovision_assets.uploads.names import without_names
from neurovision_assets.uploads.record import UploadRecord, load_record, record_key
from neurovision_assets.uploads.registration import claim_parts, register
from neurovision_assets.uploads.sidecar import Sidecar
from resources.errors import NeuroVisionError, PermanentFailure
from tests.incoming import PATIENT, Incoming, video_bytes


@pytest.fixture
def incoming(tmp_path: Path) -> Incoming:
    return Incoming(tmp_path)


def registered(
    incoming: Incoming, *names: str, sidecar: Sidecar | None = None, label: str | None = None
) -> UploadRecord:
    infos = {info.key.removeprefix("incoming/"): info for info in incoming.store.list_folder("incoming")}
    stem = label or Path(names[0]).stem
    upload = Accept(tuple(infos[name] for name in names), stem, sidecar, infos.get(f"{stem}.json") if sidecar else None)
    return register(incoming.store, incoming.settings, upload, incoming.known, datetime.now(UTC))


def test_a_patients_name_stays_in_the_record_alone(incoming: Incoming) -> None:
    incoming.drop(f"{PATIENT}.mp4", video_bytes(1))
    record = registered(incoming, f"{PATIENT}.mp4")
    assert VIDEO_ID_PATTERN.fullmatch(record.video_id)
    assert record.video_id.startswith("video-")
    assert record.parts[0].original_name == f"{PATIENT}.mp4"
    assert load_record(incoming.store, record.video_id) == record
    assert claim_parts(incoming.store, record) == [f"raw/{record.video_id}/part_000.mp4"]


def test_safe_names_and_operation_ids_become_labels_but_never_a_patients_number(incoming: Incoming) -> None:
    incoming.drop("operation_0041234.mp4", video_bytes(1))
    assert registered(incoming, "operation_0041234.mp4").video_id.startswith("operation_0041234-")
    hidden = Sidecar.model_validate({"patient_id": "0041234"})
    incoming.drop("operation_0041234.mp4", video_bytes(2))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ANONYMIZATION_SALT", "k")
        record = registered(incoming, "operation_0041234.mp4", sidecar=hidden)
    assert record.video_id.startswith("video-")
    assert record.patient_pseudonym is not None
    named = registered(incoming, "operation_0041234.mp4", sidecar=Sidecar(operation_id="OP_7"))
    assert named.video_id.startswith("op_7-")
    assert named.operation_id == "OP_7"


def test_registering_again_after_a_crash_gives_the_same_record(incoming: Incoming) -> None:
    incoming.drop("operation_1.mp4", video_bytes(1))
    first = registered(incoming, "operation_1.mp4")
    assert registered(incoming, "operation_1.mp4") == first
    incoming.known.add(first.video_id)
    assert registered(incoming, "operation_1.mp4") == first


def test_same_bytes_are_a_duplicate_and_same_name_with_other_bytes_is_not(incoming: Incoming) -> None:
    incoming.drop("operation_1.mp4", video_bytes(1))
    first = registered(incoming, "operation_1.mp4")
    incoming.known.add(first.video_id)
    incoming.drop("copy.mov", video_bytes(1))
    with pytest.raises(DuplicateUpload, match=first.video_id):
        registered(incoming, "copy.mov")
    claim_parts(incoming.store, first)
    incoming.drop("operation_1.mp4", video_bytes(1))
    with pytest.raises(DuplicateUpload):
        registered(incoming, "operation_1.mp4")
    incoming.drop("operation_1.mp4", video_bytes(2))
    assert registered(incoming, "operation_1.mp4").video_id != first.video_id


def test_claiming_moves_parts_and_removes_the_sidecar_and_can_be_repeated(
    incoming: Incoming, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ANONYMIZATION_SALT", "k")
    names = ["b.mp4", "a.MOV"]
    for number, name in enumerate(names):
        incoming.drop(name, video_bytes(number))
    said = {"patient_id": "MRN-77", "parts": names}
    incoming.drop("op.json", said)
    record = registered(incoming, *names, sidecar=Sidecar.model_validate(said), label="op")
    keys = [f"raw/{record.video_id}/part_000.mp4", f"raw/{record.video_id}/part_001.mov"]

    incoming.store.move("incoming/b.mp4", keys[0])  # the crash: one part was moved
    for _ in range(3):
        assert claim_parts(incoming.store, record) == keys
    assert [incoming.store.read_bytes(key) for key in keys] == [video_bytes(0), video_bytes(1)]
    assert incoming.names("incoming") == []
    left = [path for path in incoming.store.root.rglob("*") if path.is_file() and b"MRN-77" in path.read_bytes()]
    assert left == [], "the patient's number survives nowhere"


def test_a_sidecar_that_was_written_anew_is_not_thrown_away(incoming: Incoming) -> None:
    incoming.drop("a.mp4", video_bytes(1))
    incoming.drop("a.json", {"title": "first"})
    record = registered(incoming, "a.mp4", sidecar=Sidecar(title="first"))
    incoming.drop("a.json", {"title": "corrected"})
    claim_parts(incoming.store, record)
    assert incoming.names("incoming") == ["a.json"]


@pytest.mark.parametrize("change", ["longer", "other bytes", "gone"])
def test_what_is_not_what_was_registered_is_not_claimed(incoming: Incoming, change: str) -> None:
    path = incoming.drop(f"{PATIENT}.mp4", video_bytes(1))
    record = registered(incoming, path.name)
    if change == "gone":
        path.unlink()
    else:
        path.write_bytes(video_bytes(1, 5000) if change == "longer" else video_bytes(2))
    with pytest.raises(
        PermanentFailure, match="gone" if change == "gone" else "changed after it was registered"
    ) as failure:
        claim_parts(incoming.store, record)
    assert PATIENT not in str(failure.value)
    assert incoming.store.stat(record.parts[0].raw_key) is None


def test_storage_errors_come_out_without_the_files_name(incoming: Incoming) -> None:
    for touch in (
        lambda: incoming.store.read_bytes(f"incoming/{PATIENT}.mp4"),  # an error of the store, caused by another
        (incoming.folder / f"{PATIENT}.mp4").read_bytes,  # an error of the system
    ):
        with pytest.raises(NeuroVisionError) as failure, without_names("video-00000000"):
            touch()
        # Dagster stores a failure with its traceback and everything that caused it.
        told = "".join(traceback.format_exception(failure.value)) + repr(failure.value)
        assert "video-00000000" in told
        assert PATIENT not in told


def test_a_damaged_record_is_told_without_its_content(incoming: Incoming) -> None:
    incoming.store.write_bytes(record_key("video-00000000"), f'{{"original_name": "{PATIENT}"'.encode())
    with pytest.raises(PermanentFailure) as failure:
        load_record(incoming.store, "video-00000000")
    assert PATIENT not in str(failure.value)
