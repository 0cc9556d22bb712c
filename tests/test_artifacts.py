"""Artifacts: all parts or none, and whatever differs from its record is named at the first read."""

import json
import multiprocessing
import os
import resource
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from neurovision_assets.artifacts import (
    MAIN_TABLE,
    ArtifactDraft,
    ArtifactReader,
    ArtifactRecord,
    scratch_folder,
)
from neurovision_assets.provenance import PROVENANCE_METADATA_KEY, Provenance
from neurovision_assets.tables import ColumnContract, TableContract
from resources.errors import PermanentFailure, TransientFailure
from resources.object_store import ObjectStore
from tests.artifact_writing import ASSET, NUMBERS, VIDEO_ID, provenance, publish, rows
from tests.waiting import PATIENCE_S

PROCESSES = multiprocessing.get_context("spawn")  # a fork of a process with threads may never go on
PARTS = ["json", "parquet", "preview.png"]
MIB = 1 << 20


@pytest.fixture
def store(tmp_path: Path) -> ObjectStore:
    return ObjectStore(url=(tmp_path / "home").as_uri())


def part_path(store: ObjectStore, part: str) -> Path:
    return store.root / f"{ASSET}/{VIDEO_ID}.{part}"


def test_what_is_published_is_read_back(store: ObjectStore):
    counts = {"rows": 3, "mean": 0.5, "codec": "h264"}
    facts = {"geometry": {"scale": 0.25, "crop": [1, 2]}, "имя": None}

    written = publish(store, counts=counts, facts=facts)

    reader = ArtifactReader(store)
    record = reader.required_record(ASSET, VIDEO_ID)
    assert record == written
    assert (record.counts, record.facts) == (counts, facts)
    assert record.provenance == provenance()
    assert [part.name for part in record.parts] == PARTS
    assert reader.table(record)["value"].to_pylist() == [1, 2, 3]
    assert json.loads(reader.path(record, "json").read_bytes()) == {"sum": 6}
    assert reader.is_intact(record)
    assert list(store.scratch.iterdir()) == []


def test_provenance_sits_inside_the_table_s_file(store: ObjectStore):
    publish(store)
    inside = pq.read_metadata(part_path(store, "parquet")).metadata[PROVENANCE_METADATA_KEY.encode()]
    assert Provenance.model_validate_json(inside) == provenance()


def test_a_table_is_written_and_read_in_row_groups(store: ObjectStore):
    record = publish(store, *(rows(*range(start, start + 100)) for start in range(0, 1000, 100)))
    assert pq.read_metadata(part_path(store, "parquet")).num_row_groups == 10
    batches = list(ArtifactReader(store).batches(record, MAIN_TABLE, ["value"], 64))
    assert max(batch.num_rows for batch in batches) <= 64
    assert [value for batch in batches for value in batch["value"].to_pylist()] == list(range(1000))


def test_the_data_version_is_of_the_contents(store: ObjectStore):
    """Neither times and run ids nor previews and row groups change it; a value or a fact does."""
    first = publish(store)
    assert publish(store, provenance=provenance(run_id="another", duration_ms=5)).data_version == first.data_version
    assert publish(store, rows(1), rows(2, 3)).data_version == first.data_version
    assert publish(store, counts={"rows": 9}).data_version == first.data_version
    assert publish(store, rows(1, 2, 4)).data_version != first.data_version
    assert publish(store, facts={"x": 1}).data_version != first.data_version


def _delete(path: Path) -> None:
    path.unlink()


def _truncate(path: Path) -> None:
    os.truncate(path, path.stat().st_size - 1)


def _alter(path: Path) -> None:
    """One bit, the size and the time kept."""
    before = path.stat()
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize(
    ("damage", "said"), [(_delete, "does not exist"), (_truncate, "was altered"), (_alter, "was altered")]
)
def test_a_damaged_part_is_named_at_the_first_read(
    store: ObjectStore, part: str, damage: Callable[[Path], None], said: str
):
    record = publish(store)
    damage(part_path(store, part))
    reader = ArtifactReader(store)
    with pytest.raises(PermanentFailure, match=f"^{ASSET}/{VIDEO_ID}.{part}: The object {said}"):
        reader.path(record, part)
    assert not reader.is_intact(record)
    for other in set(PARTS) - {part}:
        reader.path(record, other)


def test_a_part_that_changes_after_it_was_verified_is_noticed(store: ObjectStore):
    record = publish(store)
    reader = ArtifactReader(store)
    reader.verify(record.part("json"))
    part_path(store, "json").write_bytes(b'{"sum":7}')
    with pytest.raises(PermanentFailure, match="altered"):
        reader.path(record, "json")


def test_a_record_that_another_version_wrote_is_no_record(store: ObjectStore):
    publish(store)
    for text in ("{}", "not json", ""):
        part_path(store, "record.json").write_text(text)
        assert ArtifactReader(store).record(ASSET, VIDEO_ID) is None
    with pytest.raises(PermanentFailure, match=f"{ASSET}/{VIDEO_ID}.record.json"):
        ArtifactReader(store).required_record(ASSET, VIDEO_ID)


def test_an_unknown_part_is_named(store: ObjectStore):
    with pytest.raises(PermanentFailure, match=f"{ASSET}/{VIDEO_ID}.pdf"):
        publish(store).part("pdf")


class DyingStore(ObjectStore):
    """A store in a process that the power leaves before the record."""

    def write_bytes(self, *_: object) -> None:  # type: ignore[override]
        """Die."""
        signal.raise_signal(signal.SIGKILL)


def _publish_and_die(url: str) -> None:
    publish(DyingStore(url=url), rows(7))


def killed_while_publishing(store: ObjectStore) -> None:
    writer = PROCESSES.Process(target=_publish_and_die, args=(store.url,), daemon=True)
    writer.start()
    writer.join(PATIENCE_S)
    assert writer.exitcode == -signal.SIGKILL


def test_a_crash_between_parts_and_record_leaves_no_artifact(store: ObjectStore):
    killed_while_publishing(store)
    assert part_path(store, "parquet").is_file(), "the parts had been moved"
    assert ArtifactReader(store).record(ASSET, VIDEO_ID) is None
    assert ArtifactReader(store).is_intact(publish(store))


def test_a_crash_over_an_older_artifact_is_refused_and_not_mixed(store: ObjectStore):
    old = publish(store)
    killed_while_publishing(store)
    reader = ArtifactReader(store)
    assert reader.record(ASSET, VIDEO_ID) == old
    assert not reader.is_intact(old)
    with pytest.raises(PermanentFailure, match="altered"):
        reader.table(old)


def _write_and_raise(store: ObjectStore) -> None:
    with scratch_folder(store) as folder:
        ArtifactDraft(store, ASSET, VIDEO_ID, folder).append(MAIN_TABLE, NUMBERS, rows(1))
        assert any(folder.iterdir())
        raise ZeroDivisionError


def test_an_error_before_publishing_leaves_nothing(store: ObjectStore):
    with pytest.raises(ZeroDivisionError):
        _write_and_raise(store)
    assert [path for path in store.root.rglob("*") if path.is_file()] == []


@pytest.mark.parametrize(
    ("batch", "said"),
    [
        (pa.record_batch({"value": pa.array([1.5])}), "numbers: columns are value double, promised are value int64"),
        (pa.record_batch({"other": pa.array([1])}), "columns are other int64"),
        (pa.record_batch([pa.array([4, None, 6])], schema=NUMBERS.arrow_schema), "value, row 2: the value is absent"),
        (rows(5, -1), "value, row 2: -1 breaks"),
    ],
)
def test_rows_that_break_the_contract_are_told_before_anything_is_published(
    store: ObjectStore, batch: pa.RecordBatch, said: str
):
    with scratch_folder(store) as folder:
        draft = ArtifactDraft(store, ASSET, VIDEO_ID, folder)
        draft.append(MAIN_TABLE, NUMBERS, rows(9))
        draft.append(MAIN_TABLE, NUMBERS, batch)
        [violation] = draft.violations()
    assert said in violation


PAYLOAD = TableContract("payload", 1, (ColumnContract("data", pa.binary(), "Bytes."),))


def _fill(store: ObjectStore) -> ArtifactRecord:
    """An artifact of four MiB that do not compress."""
    with scratch_folder(store) as folder:
        draft = ArtifactDraft(store, ASSET, VIDEO_ID, folder)
        for _ in range(4):
            row = pa.record_batch([pa.array([os.urandom(MIB)])], schema=PAYLOAD.arrow_schema)
            draft.append(MAIN_TABLE, PAYLOAD, row)
        return draft.publish(provenance(), {}, {})


def test_a_full_disk_in_the_scratch_folder_is_said(store: ObjectStore):
    """Tables grow in the scratch folder, far from the store's own writes; the kernel refuses files over two MiB."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    quiet = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2 * MIB, limits[1]))
    try:
        with pytest.raises(TransientFailure, match="There is no space left to work in"):
            _fill(store)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, quiet)
    assert [path for path in store.root.rglob("*") if path.is_file()] == []


def test_a_really_full_disk_is_said_and_leaves_nothing(tmp_path: Path):
    mount = ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(tmp_path)]
    done = subprocess.run(mount, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"a small file system cannot be mounted here: {done.stderr.strip()}")
    try:
        store = ObjectStore(url=(tmp_path / "home").as_uri())
        with pytest.raises(TransientFailure, match="no space left"):
            _fill(store)
        assert [path for path in store.root.rglob("*") if path.is_file()] == []
    finally:
        subprocess.run(["umount", "--lazy", str(tmp_path)], check=True)


def test_the_scratch_folder_lies_on_the_store_s_file_system(store: ObjectStore):
    """A move within one file system is a rename: no second copy of a long video."""
    with scratch_folder(store) as folder:
        assert folder.is_relative_to(store.root)
    assert not folder.exists()
