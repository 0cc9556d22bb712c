"""Artifacts in the object store: parts, one record that commits them, verification when they are read.

Belongs here: where parts lie, publishing all or nothing, refusing what was altered. Does not belong here: when an
artifact is stale (``staleness``) or what is in it (the rooms). A record is written last, so an artifact without a
record does not exist, and a part that differs from its record is named at the first read.
"""

import hashlib
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import BaseModel, ConfigDict, ValidationError

from neurovision_assets.provenance import PROVENANCE_METADATA_KEY, Provenance, canonical_json, config_hash
from neurovision_assets.tables import ContractChecker, TableContract, TableHasher
from resources.errors import PermanentFailure, TransientFailure
from resources.object_store import (
    ObjectInfo,
    ObjectStore,
    Source,
    altered_object,
    is_out_of_space,
    missing_object,
    sha256_of_file,
)

RECORD_ENDING = "record.json"
MAIN_TABLE = "parquet"
SCRATCH_KEPT_S = 24 * 3600


class PartRecord(BaseModel):
    """One file of an artifact.

    Attributes:
        name: its ending, ``parquet`` or ``segments.parquet``.
        key: where it lies.
        sha256: of the file's bytes.
        size_bytes: of the file.
        content_hash: of what the file says; None where it is not part of the data version.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    key: str
    sha256: str
    size_bytes: int
    content_hash: str | None


class ArtifactRecord(BaseModel):
    """What is known of an artifact: the index can be rebuilt from these alone.

    Attributes:
        data_version: hash of the parts' contents.
        parts: its files.
        counts: figures of the result, for people and progress.
        facts: small values that later stages read (a probe, a geometry).
        provenance: what made it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    data_version: str
    parts: tuple[PartRecord, ...]
    counts: dict[str, int | float | str]
    facts: dict[str, Any]
    provenance: Provenance

    def part(self, name: str) -> PartRecord:
        """The part of that name.

        Raises:
            PermanentFailure: the artifact has no such part.
        """
        for part in self.parts:
            if part.name == name:
                return part
        raise missing_object(part_key(self.provenance.asset, self.provenance.video_id, name))


def part_key(asset: str, video_id: str, name: str) -> str:
    """Object key of a part."""
    return f"{asset}/{video_id}.{name}"


class ArtifactDraft:
    """Parts that a stage is writing; nothing is visible before :meth:`publish`.

    Args:
        store: where the artifact will lie.
        asset: asset key, ``surgery/phases``.
        video_id: the partition.
        folder: scratch folder of the store, removed by the caller.
    """

    def __init__(self, store: ObjectStore, asset: str, video_id: str, folder: Path) -> None:
        self._store = store
        self._asset = asset
        self._video_id = video_id
        self._folder = folder
        self._content: dict[str, str | None] = {}
        self._writers: dict[str, _TableWriter] = {}

    def append(self, name: str, contract: TableContract, batch: pa.RecordBatch) -> None:
        """Add rows to a table, a row group a call, so that tables of any length need little memory."""
        if name not in self._writers:
            self._writers[name] = _TableWriter(self.path(name), contract)
        self._writers[name].append(batch)

    def violations(self) -> list[str]:
        """Where tables break their contracts; an artifact with violations must not be published."""
        return [problem for writer in self._writers.values() for problem in writer.checker.violations()]

    def write_json(self, name: str, value: dict[str, Any]) -> None:
        """Add a JSON document."""
        self.path(name).write_text(canonical_json(value), encoding="utf-8")
        self._content[name] = config_hash(value)

    def write_bytes(self, name: str, data: bytes, *, content_hash: str | None = None) -> None:
        """Add a file that follows from the other parts (a rendering, a preview): not in the data version by itself."""
        self.path(name).write_bytes(data)
        self._content[name] = content_hash

    def add_file(self, name: str, content_hash: str | None) -> None:
        """Add the file that was written to :meth:`path`."""
        self._content[name] = content_hash

    def path(self, name: str) -> Path:
        """Scratch file of a part."""
        return self._folder / f"part.{name}"

    def publish(
        self, provenance: Provenance, counts: dict[str, int | float | str], facts: dict[str, Any]
    ) -> ArtifactRecord:
        """Close, move and commit every part.

        Raises:
            TransientFailure: the storage refused a write; no record is left that claims more than there is.
        """
        for name, table in self._writers.items():
            self._content[name] = table.close(provenance)
        record = ArtifactRecord(
            data_version=self._data_version(facts),
            parts=tuple(self._move(name, content) for name, content in sorted(self._content.items())),
            counts=counts,
            facts=facts,
            provenance=provenance,
        )
        self._store.write_bytes(
            part_key(self._asset, self._video_id, RECORD_ENDING), record.model_dump_json(indent=1).encode()
        )
        return record

    def _data_version(self, facts: dict[str, Any]) -> str:
        content = {name: value for name, value in self._content.items() if value is not None}
        return hashlib.sha256(canonical_json([content, facts]).encode()).hexdigest()

    def _move(self, name: str, content_hash: str | None) -> PartRecord:
        path = self.path(name)
        digest, size = sha256_of_file(path), path.stat().st_size
        key = part_key(self._asset, self._video_id, name)
        self._store.take_file(key, path, digest)
        return PartRecord(name=name, key=key, sha256=digest, size_bytes=size, content_hash=content_hash)


class _TableWriter:
    """One growing Parquet file, its hash and its contract."""

    def __init__(self, path: Path, contract: TableContract) -> None:
        schema = contract.arrow_schema
        self._file = pq.ParquetWriter(path, schema, compression="zstd", use_dictionary=False)
        self._hasher = TableHasher(schema)
        self.checker = ContractChecker(contract)

    def append(self, batch: pa.RecordBatch) -> None:
        """Add a row group; rows that cannot stand in the table are noted by the checker and left out."""
        if self.checker.add(batch):
            self._file.write_batch(batch)
            self._hasher.update(batch)

    def close(self, provenance: Provenance) -> str:
        """Finish the file with its provenance inside and give its content hash."""
        self._file.add_key_value_metadata({PROVENANCE_METADATA_KEY: provenance.model_dump_json()})
        self._file.close()
        return self._hasher.hexdigest()


class ArtifactReader:
    """Reads artifacts and refuses what is missing or altered.

    Args:
        store: where they lie.
    """

    def __init__(self, store: ObjectStore) -> None:
        self._store = store
        self._verified: set[tuple[str, ObjectInfo]] = set()

    def record(self, asset: str, video_id: str) -> ArtifactRecord | None:
        """The record of an artifact, None where there is none or it was written by an incompatible version."""
        data = self._store.find_bytes(part_key(asset, video_id, RECORD_ENDING))
        try:
            return None if data is None else ArtifactRecord.model_validate_json(data)
        except ValidationError:
            return None

    def required_record(self, asset: str, video_id: str) -> ArtifactRecord:
        """The record of an artifact.

        Raises:
            PermanentFailure: there is none; the key is named.
        """
        record = self.record(asset, video_id)
        if record is None:
            raise missing_object(part_key(asset, video_id, RECORD_ENDING))
        return record

    def verify(self, part: PartRecord) -> None:
        """Compare a part with its record; a part that has not changed since is not read again.

        Raises:
            PermanentFailure: it is missing or altered; the key is named.
        """
        info = self._store.stat(part.key)
        if info is None:
            raise missing_object(part.key)
        seen = (part.sha256, info)
        if seen in self._verified:
            return
        if info.size_bytes != part.size_bytes or self._store.sha256_of(part.key) != part.sha256:
            raise altered_object(part.key)
        self._verified.add(seen)

    def is_intact(self, record: ArtifactRecord) -> bool:
        """Whether every part is there and unaltered."""
        try:
            for part in record.parts:
                self.verify(part)
        except PermanentFailure:
            return False
        return True

    def path(self, record: ArtifactRecord, name: str) -> Path:
        """A verified part as a local file, to be read and never changed."""
        part = record.part(name)
        self.verify(part)
        return self._store.local_file(part.key, part.sha256)

    def source(self, record: ArtifactRecord, name: str) -> Source:
        """A verified part for a decoder, which may begin before all of it is on this machine."""
        part = record.part(name)
        self.verify(part)
        return self._store.source(part.key)

    def table(self, record: ArtifactRecord, name: str = MAIN_TABLE, columns: list[str] | None = None) -> pa.Table:
        """A verified table, whole or some of its columns."""
        table: pa.Table = pq.read_table(self.path(record, name), columns=columns)
        return table.replace_schema_metadata(None)

    def batches(self, record: ArtifactRecord, name: str, columns: list[str], rows: int) -> Iterator[pa.RecordBatch]:
        """A verified table, a few rows at a time."""
        with pq.ParquetFile(self.path(record, name), pre_buffer=False) as file:
            yield from file.iter_batches(batch_size=rows, columns=columns)


@contextmanager
def scratch_folder(store: ObjectStore) -> Iterator[Path]:
    """A folder of the store on this machine that is gone afterwards, whatever happened.

    Raises:
        TransientFailure: the disk is full; the files in the folder are written by many libraries, so it is told here.
    """
    parent = store.scratch
    try:
        parent.mkdir(parents=True, exist_ok=True)
        _sweep(parent)
        with tempfile.TemporaryDirectory(dir=parent) as name:
            yield Path(name)
    except OSError as error:
        if not is_out_of_space(error):
            raise
        raise TransientFailure(
            "There is no space left to work in.", subject="scratch folder", remedy="Free disk space and start it again."
        ) from error


def _sweep(parent: Path) -> None:
    """Remove what processes that were killed left behind; no run lives this long."""
    oldest_s = time.time() - SCRATCH_KEPT_S
    for folder in parent.iterdir():
        with suppress(FileNotFoundError):  # another process may be sweeping too
            if folder.stat().st_mtime < oldest_s:
                shutil.rmtree(folder, ignore_errors=True)
