"""A folder of tables: an imported set, or a version of the data set.

Belongs here: where tables lie, writing them under their contracts, the content hash. Does not belong here: what is in
them, DVC (``resources/datasets``).

    operations.parquet  phases.parquet  events.parquet  boxes.parquet  presence.parquet  moments.parquet
    masks.parquet       splits.parquet
    frames/OPERATION.parquet      stored pictures, a file an operation
    pictures/OPERATION.parquet    pictures as they came, in imported sets without videos
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from neurovision_assets.provenance import canonical_json
from neurovision_assets.tables import ContractChecker, TableContract, TableHasher
from neurovision_assets.training.dataset.schemas import ANNOTATIONS, FRAMES, OPERATIONS, PICTURES, SPLITS
from resources.errors import PermanentFailure

SINGLE_TABLES: Final = (OPERATIONS, *ANNOTATIONS, SPLITS)
BATCH_ROWS: Final = 256
"""Rows of a row group of tables with pictures."""
SHOWN_VIOLATIONS: Final = 5


class DatasetFolder:
    """Tables in a folder.

    Args:
        root: the folder; made at the first write.
    """

    def __init__(self, root: Path) -> None:
        self.root = root

    def path(self, contract: TableContract) -> Path:
        """Where a table lies."""
        return self.root / f"{contract.name}.parquet"

    def pictures_path(self, contract: TableContract, operation: str) -> Path:
        """Where an operation's pictures lie; the contract is ``FRAMES`` or ``PICTURES``."""
        return self.root / contract.name / f"{operation}.parquet"

    def has(self, contract: TableContract) -> bool:
        """Whether there is such a table."""
        return self.path(contract).is_file()

    def table(self, contract: TableContract) -> pa.Table:
        """A table; without rows where there is none.

        Raises:
            PermanentFailure: its columns are not those of the contract.
        """
        if not self.has(contract):
            return contract.arrow_schema.empty_table()
        table: pa.Table = pq.read_table(self.path(contract)).replace_schema_metadata(None)
        if not table.schema.equals(contract.arrow_schema):
            raise PermanentFailure(
                f"The table has not the columns of {contract.name}, version {contract.version}.",
                subject=str(self.path(contract)),
                remedy="Import the set again.",
            )
        return table

    def rows(self, contract: TableContract) -> list[dict[str, Any]]:
        """A table as dictionaries."""
        found: list[dict[str, Any]] = self.table(contract).to_pylist()
        return found

    def write(self, contract: TableContract, rows: Iterable[dict[str, Any]], *, keep_empty: bool = False) -> int:
        """Write a table whole, and give how many rows it has; without rows there is a file only if that is asked for.

        Raises:
            PermanentFailure: rows break the contract; the first are named.
        """
        path = self.path(contract)
        path.unlink(missing_ok=True)
        return write_rows(path, contract, rows, keep_empty=keep_empty)

    def pictures(self, contract: TableContract, operation: str) -> Iterator[dict[str, Any]]:
        """An operation's pictures in order of time, a few in memory at once; none where there is no file."""
        path = self.pictures_path(contract, operation)
        if path.is_file():
            with pq.ParquetFile(path) as file:
                for batch in file.iter_batches(batch_size=BATCH_ROWS):
                    yield from batch.to_pylist()

    def operations_with(self, contract: TableContract) -> list[str]:
        """Names of the operations that have ``FRAMES`` or ``PICTURES``."""
        return sorted(path.stem for path in (self.root / contract.name).glob("*.parquet"))

    def content_hash(self, of: Collection[TableContract] = (*SINGLE_TABLES, FRAMES, PICTURES)) -> str:
        """SHA-256 of all rows of tables and pictures, whatever their files' encoding."""
        single = [contract for contract in SINGLE_TABLES if contract in of and self.has(contract)]
        found = {contract.name: rows_hash(self.path(contract)) for contract in single}
        for contract in (FRAMES, PICTURES):
            for operation in self.operations_with(contract) if contract in of else ():
                path = self.pictures_path(contract, operation)
                found[f"{contract.name}/{operation}"] = rows_hash(path)
        return hashlib.sha256(canonical_json(found).encode()).hexdigest()


def write_rows(
    path: Path,
    contract: TableContract,
    rows: Iterable[dict[str, Any]],
    *,
    keep_empty: bool = False,
    metadata: Mapping[bytes, bytes] | None = None,
) -> int:
    """Write rows, a row group of ``BATCH_ROWS`` at a time; a table that is not whole does not appear.

    Args:
        path: the file.
        contract: its promise.
        rows: in order; read once.
        keep_empty: whether a table without rows gets a file.
        metadata: of the file; no part of its content.

    Raises:
        PermanentFailure: rows break the contract; the first are named.
    """
    schema, checker = contract.arrow_schema, ContractChecker(contract)
    partial, count = path.with_suffix(".partial"), 0
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with pq.ParquetWriter(partial, schema.with_metadata(metadata), compression="zstd") as writer:
            for batch in _batches(rows, schema):
                checker.add(batch)
                writer.write_batch(batch)
                count += batch.num_rows
        if violations := checker.violations():
            raise PermanentFailure(
                f"Rows break the contract of {contract.name}: {'; '.join(violations[:SHOWN_VIOLATIONS])}.",
                subject=path.name,
                remedy="Correct the annotations.",
            )
        if count or keep_empty:
            partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
    return count


def _batches(rows: Iterable[dict[str, Any]], schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    waiting: list[dict[str, Any]] = []
    for row in rows:
        waiting.append(row)
        if len(waiting) == BATCH_ROWS:
            yield pa.RecordBatch.from_pylist(waiting, schema=schema)
            waiting = []
    if waiting:
        yield pa.RecordBatch.from_pylist(waiting, schema=schema)


def rows_hash(path: Path) -> str:
    """SHA-256 of a table's rows, whatever its file's encoding."""
    with pq.ParquetFile(path) as file:
        hasher = TableHasher(file.schema_arrow.remove_metadata())
        for batch in file.iter_batches(batch_size=BATCH_ROWS):
            hasher.update(batch)
    return hasher.hexdigest()
