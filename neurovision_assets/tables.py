"""How a table's contract is written down once and used three ways: Arrow schema, pandera checks, Dagster's column list.

Belongs here: the contract's form, validation, the content hash of a table. Does not belong here: the contracts of
particular tables (``schemas``).
"""

from __future__ import annotations

import hashlib
import json
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import dagster as dg
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

if TYPE_CHECKING:
    from numpy.typing import NDArray

REPORTED_FAILURES = 20
_PANDERA = threading.Lock()
"""Stages that work side by side use it one after another: its modules import each other in circles, and two threads
that begin at different ones at once wait for each other, which Python ends with an error in one of them."""


@dataclass(frozen=True)
class ColumnContract:
    """One column: its type, meaning and bounds.

    Attributes:
        name: the column's name, with its unit.
        type: Arrow type.
        description: what a reader needs to know.
        minimum: least value, inclusive.
        maximum: greatest value, inclusive.
        allowed: the only values, None for any.
        nullable: whether a value may be absent.
        unique: whether no value comes twice.
    """

    name: str
    type: pa.DataType
    description: str
    minimum: float | None = None
    maximum: float | None = None
    allowed: tuple[str, ...] | None = None
    nullable: bool = False
    unique: bool = False

    @property
    def is_bounded(self) -> bool:
        """Whether more is promised of its values than their type and that they are there."""
        return self.unique or any(bound is not None for bound in (self.minimum, self.maximum, self.allowed))


@dataclass(frozen=True)
class TableContract:
    """The promise of one table.

    Attributes:
        name: the table's name.
        version: raised whenever the promise changes; recorded as ``schema_version``.
        columns: in order.
    """

    name: str
    version: int
    columns: tuple[ColumnContract, ...]

    @property
    def arrow_schema(self) -> pa.Schema:
        """The Arrow schema; every field carries its description."""
        return pa.schema(
            [
                pa.field(
                    column.name, column.type, nullable=column.nullable, metadata={"description": column.description}
                )
                for column in self.columns
            ]
        )

    @property
    def dagster_schema(self) -> dg.TableSchema:
        """The same for Dagster's UI."""
        return dg.TableSchema(
            columns=[
                dg.TableColumn(
                    column.name,
                    str(column.type),
                    description=column.description,
                    constraints=dg.TableColumnConstraints(nullable=column.nullable, unique=column.unique),
                )
                for column in self.columns
            ]
        )

    def pandera_schema(self) -> Any:
        """A ``pandera.DataFrameSchema`` of the bounded columns; types and absent values are the Arrow schema's."""
        import pandera.pandas as pandera

        return pandera.DataFrameSchema(
            {
                column.name: pandera.Column(
                    checks=_checks(pandera, column), nullable=column.nullable, unique=column.unique
                )
                for column in self.columns
                if column.is_bounded
            },
            name=self.name,
            strict=True,
        )

    @property
    def bounded_columns(self) -> list[str]:
        """Names of the columns that pandera looks at."""
        return [column.name for column in self.columns if column.is_bounded]


class ContractChecker:
    """Holds a table against its contract while it is written, keeping only the bounded columns in memory.

    Args:
        contract: the promise.
    """

    def __init__(self, contract: TableContract) -> None:
        self._contract = contract
        self._bounded: list[pa.RecordBatch] = []
        self._problems: list[str] = []
        self._rows = 0

    def add(self, batch: pa.RecordBatch) -> bool:
        """Take in the next rows.

        Returns:
            Whether they can stand in the table at all: the columns are those promised, and no value is absent that
            must be there. (Bounds are looked at by :meth:`violations`, when all rows are there.)
        """
        problems = self._problems_of_form(batch)
        self._problems += problems
        self._rows += batch.num_rows
        if not problems:
            self._bounded.append(batch.select(self._contract.bounded_columns))
        return not problems

    def violations(self) -> list[str]:
        """Where the table breaks the contract, a sentence each with row and reason; empty when it keeps it."""
        return self._problems or self._pandera_violations()

    def _problems_of_form(self, batch: pa.RecordBatch) -> list[str]:
        expected = self._contract.arrow_schema
        if not batch.schema.equals(expected):
            return [f"{self._contract.name}: columns are {_names(batch.schema)}, promised are {_names(expected)}"]
        return [
            f"{column.name}, row {self._rows + int(absent[0])}: the value is absent ({len(absent)} are)"
            for column in self._contract.columns
            if not column.nullable and len(absent := _absent(batch[column.name]))
        ]

    def _pandera_violations(self) -> list[str]:
        with _PANDERA:
            return self._out_of_bounds()

    def _out_of_bounds(self) -> list[str]:
        from pandera.errors import SchemaErrors

        schema = pa.schema([self._contract.arrow_schema.field(name) for name in self._contract.bounded_columns])
        frame = pa.Table.from_batches(self._bounded, schema).to_pandas()
        try:
            self._contract.pandera_schema().validate(frame, lazy=True)
        except SchemaErrors as errors:
            cases = errors.failure_cases.head(REPORTED_FAILURES)
            return [
                f"{case['column']}, row {case['index']}: {case['failure_case']!r} breaks {case['check']}"
                for case in cases.to_dict("records")
            ]
        return []


class TableHasher:
    """SHA-256 of a table's values, whatever its file's encoding, chunks and metadata.

    Args:
        schema: names and types, which count too.
    """

    def __init__(self, schema: pa.Schema) -> None:
        self._schema = schema
        self._columns = [_ColumnHasher(field.type) for field in schema]

    def update(self, batch: pa.RecordBatch) -> None:
        """Take in the next rows."""
        for hasher, column in zip(self._columns, batch.columns, strict=True):
            hasher.update(column)

    def hexdigest(self) -> str:
        """The hash of all rows so far, 64 hex digits."""
        digest = hashlib.sha256(json.dumps([[field.name, str(field.type)] for field in self._schema]).encode())
        for hasher in self._columns:
            digest.update(hasher.digest())
        return digest.hexdigest()


class _ColumnHasher:
    """Hash of a growing column: where values are absent, how long they are, what they are, each by itself.

    Apart from each other the three do not depend on how the rows are cut into batches, and no two columns share them.
    """

    def __init__(self, kind: pa.DataType) -> None:
        self._rows = 0
        self._absent, self._lengths, self._values = hashlib.sha256(), hashlib.sha256(), hashlib.sha256()
        is_list = pa.types.is_list(kind) or pa.types.is_fixed_size_list(kind)
        if not (is_list or pa.types.is_primitive(kind) or pa.types.is_string(kind) or pa.types.is_binary(kind)):
            raise TypeError(f"columns of type {kind} have no content hash")
        self._items = _ColumnHasher(kind.value_type) if is_list else None

    def update(self, column: pa.Array) -> None:
        """Take in the next values."""
        self._absent.update((self._rows + _absent(column)).tobytes())
        self._rows += len(column)
        if self._items is not None:
            self._lengths.update(_numbers(pc.list_value_length(column), np.int64))
            self._items.update(column.flatten())
        elif pa.types.is_string(column.type) or pa.types.is_binary(column.type):
            self._lengths.update(_numbers(pc.binary_length(column), np.int64))
            self._values.update(b"".join(column.drop_null().cast(pa.binary()).to_pylist()))
        else:
            self._values.update(_numbers(column))

    def digest(self) -> bytes:
        """The hash of all values so far."""
        items = self._items.digest() if self._items is not None else b""
        parts = (hasher.digest() for hasher in (self._absent, self._lengths, self._values))
        return hashlib.sha256(self._rows.to_bytes(8, "little") + b"".join(parts) + items).digest()


def _absent(column: pa.Array) -> NDArray[np.int64]:
    """Positions without a value."""
    if not column.null_count:
        return np.empty(0, np.int64)
    return np.flatnonzero(column.is_null().to_numpy(zero_copy_only=False)).astype(np.int64)


def _numbers(column: pa.Array, dtype: type[np.generic] | None = None) -> bytes:
    """Bytes of the values that are there."""
    return np.ascontiguousarray(column.drop_null().to_numpy(zero_copy_only=False), dtype=dtype).tobytes()


def _checks(pandera: Any, column: ColumnContract) -> list[Any]:
    checks = []
    if column.minimum is not None:
        checks.append(pandera.Check.ge(column.minimum))
    if column.maximum is not None:
        checks.append(pandera.Check.le(column.maximum))
    if column.allowed is not None:
        checks.append(pandera.Check.isin(column.allowed))
    return checks


def _names(schema: pa.Schema) -> str:
    return ", ".join(f"{field.name} {field.type}" for field in schema)
