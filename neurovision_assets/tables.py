"""How a table's contract is written down once and used three ways: Arrow schema, pandera checks, Dagster's column list.

Belongs here: the contract's form, validation, the content hash of a table. Does not belong here: the contracts of
particular tables (``schemas``).
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Any

import dagster as dg
import numpy as np
import pyarrow as pa

REPORTED_FAILURES = 20


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
    def is_scalar(self) -> bool:
        """Whether pandera can look at it; bytes and lists are checked by their Arrow type alone."""
        return not (pa.types.is_nested(self.type) or pa.types.is_binary(self.type))


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
        """A ``pandera.DataFrameSchema`` of the scalar columns."""
        import pandera.pandas as pandera

        return pandera.DataFrameSchema(
            {
                column.name: pandera.Column(
                    checks=_checks(pandera, column), nullable=column.nullable, unique=column.unique
                )
                for column in self.columns
                if column.is_scalar
            },
            name=self.name,
            strict=True,
        )

    @property
    def scalar_columns(self) -> list[str]:
        """Names of the columns that pandera looks at."""
        return [column.name for column in self.columns if column.is_scalar]


class ContractChecker:
    """Holds a table against its contract while it is written, keeping only the scalar columns in memory.

    Args:
        contract: the promise.
    """

    def __init__(self, contract: TableContract) -> None:
        self._contract = contract
        self._scalars: list[pa.RecordBatch] = []
        self._problems: list[str] = []

    def add(self, batch: pa.RecordBatch) -> None:
        """Take in the next rows."""
        expected = self._contract.arrow_schema
        if not batch.schema.equals(expected):
            self._problems.append(
                f"{self._contract.name}: columns are {_names(batch.schema)}, promised are {_names(expected)}"
            )
            return
        self._problems += [
            f"{column.name}: {batch[column.name].null_count} values are absent"
            for column in self._contract.columns
            if not column.nullable and batch[column.name].null_count
        ]
        self._scalars.append(batch.select(self._contract.scalar_columns))

    def violations(self) -> list[str]:
        """Where the table breaks the contract, a sentence each with row and reason; empty when it keeps it."""
        return self._problems or self._pandera_violations()

    def _pandera_violations(self) -> list[str]:
        from pandera.errors import SchemaErrors

        frame = pa.Table.from_batches(self._scalars).to_pandas()
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
        self._columns = [hashlib.sha256() for _ in schema]

    def update(self, batch: pa.RecordBatch) -> None:
        """Take in the next rows."""
        for hasher, column in zip(self._columns, batch.columns, strict=True):
            _update(hasher, column)

    def hexdigest(self) -> str:
        """The hash of all rows so far, 64 hex digits."""
        digest = hashlib.sha256(json.dumps([[field.name, str(field.type)] for field in self._schema]).encode())
        for hasher in self._columns:
            digest.update(hasher.digest())
        return digest.hexdigest()


def _update(hasher: Any, column: pa.Array) -> None:
    hasher.update(np.packbits(column.is_valid().to_numpy(zero_copy_only=False)).tobytes() if column.null_count else b"")
    kind = column.type
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        hasher.update(column.value_lengths().fill_null(0).to_numpy(zero_copy_only=False).tobytes())
        _update(hasher, column.flatten())
    elif pa.types.is_fixed_size_list(kind):
        _update(hasher, column.flatten())
    elif pa.types.is_string(kind) or pa.types.is_binary(kind):
        for value in column:
            data = value.as_buffer()
            hasher.update(b"-" if data is None else len(data).to_bytes(8, "little"))
            hasher.update(data or b"")
    else:
        values = column.fill_null(0) if not pa.types.is_boolean(kind) else column.fill_null(False)
        hasher.update(np.ascontiguousarray(values.to_numpy(zero_copy_only=False)).tobytes())


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
