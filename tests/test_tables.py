"""Contracts of tables and the hash of their values."""

import io
import subprocess
import sys
from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from neurovision_assets import schemas
from neurovision_assets.tables import ColumnContract, ContractChecker, TableContract, TableHasher
from tests.rooms import violations

SAMPLE = TableContract(
    "sample",
    1,
    (
        ColumnContract("index", pa.int32(), "A number.", minimum=0, unique=True),
        ColumnContract("score", pa.float32(), "A share.", minimum=0, maximum=1),
        ColumnContract("kind", pa.string(), "A kind.", allowed=("a", "b")),
        ColumnContract("note", pa.float64(), "May be absent.", nullable=True, minimum=0),
        ColumnContract("data", pa.binary(), "Bytes."),
    ),
)
GOOD = {
    "index": [0, 1, 2],
    "score": [0.0, 0.5, 1.0],
    "kind": ["a", "b", "a"],
    "note": [None, 0.0, 9.0],
    "data": [b""] * 3,
}
CONTRACTS = [value for value in vars(schemas).values() if isinstance(value, TableContract)]


def table(contract: TableContract, values: dict[str, Sequence[Any]]) -> pa.Table:
    arrays = [pa.array(values[field.name], field.type) for field in contract.arrow_schema]
    return pa.Table.from_arrays(arrays, schema=contract.arrow_schema)


def test_a_table_that_keeps_its_contract_has_no_violations():
    assert violations(SAMPLE, table(SAMPLE, GOOD)) == []


@pytest.mark.parametrize(
    ("column", "values", "said"),
    [
        ("index", [0, -1, 2], "index, row 1: -1 breaks greater_than_or_equal_to(0)"),
        ("index", [0, 1, 1], "index, row 2: 1 breaks field_uniqueness"),
        ("index", [0, None, 2], "index, row 1: the value is absent (1 are)"),
        ("score", [0, 0.5, 1.5], "score, row 2: 1.5 breaks less_than_or_equal_to(1)"),
        ("score", [float("nan"), 0.5, 1], "score, row 0: nan breaks not_nullable"),
        ("score", [0, float("inf"), 1], "score, row 1: inf breaks less_than_or_equal_to(1)"),
        ("kind", ["a", "b", "c"], "kind, row 2: 'c' breaks isin(('a', 'b'))"),
        ("kind", [None, None, "a"], "kind, row 0: the value is absent (2 are)"),
        ("note", [None, -1.0, 9.0], "note, row 1: -1.0 breaks greater_than_or_equal_to(0)"),
        ("data", [b"", b"", None], "data, row 2: the value is absent (1 are)"),
    ],
)
def test_each_violation_is_told_with_column_row_and_reason(column: str, values: Sequence[Any], said: str):
    told = violations(SAMPLE, table(SAMPLE, {**GOOD, column: values}))
    assert said in told


def test_rows_are_counted_over_batches():
    rows = table(SAMPLE, {**GOOD, "score": [0, 0.5, 2]})
    checker = ContractChecker(SAMPLE)
    for start in range(3):
        checker.add(rows.slice(start, 1).to_batches()[0])
    assert checker.violations() == ["score, row 2: 2.0 breaks less_than_or_equal_to(1)"]
    absent = ContractChecker(SAMPLE)
    bad = table(SAMPLE, {**GOOD, "kind": ["a", None, None]})
    assert [absent.add(bad.slice(start, 1).to_batches()[0]) for start in range(3)] == [True, False, False]
    assert [text.partition(":")[0] for text in absent.violations()] == ["kind, row 1", "kind, row 2"]


@pytest.mark.parametrize(
    "schema",
    [
        SAMPLE.arrow_schema.set(1, pa.field("score", pa.float64(), nullable=False)),
        SAMPLE.arrow_schema.remove(4),
        SAMPLE.arrow_schema.append(pa.field("more", pa.int8())),
        pa.schema(list(SAMPLE.arrow_schema)[::-1]),
    ],
)
def test_other_columns_are_told(schema: pa.Schema):
    batch = pa.RecordBatch.from_pylist([], schema=schema)
    checker = ContractChecker(SAMPLE)
    assert not checker.add(batch)
    [told] = checker.violations()
    assert told.startswith("sample: columns are ")
    assert "promised are index int32, score float" in told


def test_no_rows_keep_every_contract():
    for contract in (SAMPLE, *CONTRACTS):
        assert ContractChecker(contract).violations() == []
        assert violations(contract, contract.arrow_schema.empty_table()) == []


def minimal(column: ColumnContract) -> Any:
    """The least value that a column takes."""
    kind = column.type
    if pa.types.is_fixed_size_list(kind):
        return [0.0] * kind.list_size
    if pa.types.is_list(kind):
        return []
    if pa.types.is_string(kind):
        return column.allowed[0] if column.allowed else ""
    if pa.types.is_binary(kind):
        return b""
    return bool(0) if pa.types.is_boolean(kind) else column.minimum or 0


@pytest.mark.parametrize("contract", CONTRACTS, ids=lambda contract: contract.name)
def test_every_contract_takes_a_minimal_row_and_refuses_each_value_out_of_bounds(contract: TableContract):
    row = {column.name: [minimal(column)] for column in contract.columns}
    assert violations(contract, table(contract, row)) == []
    for column in contract.columns:
        if not column.nullable:
            [told] = violations(contract, table(contract, {**row, column.name: [None]}))
            assert told.startswith(f"{column.name}, row 0: the value is absent")
        else:
            assert violations(contract, table(contract, {**row, column.name: [None]})) == []
        for bound, step in ((column.minimum, -1), (column.maximum, 1)):
            if bound is not None:
                [told] = violations(contract, table(contract, {**row, column.name: [bound + step]}))
                assert told.startswith(f"{column.name}, row 0: {bound + step}")
        if column.allowed:
            assert violations(contract, table(contract, {**row, column.name: ["something else"]}))
        if column.unique:
            twice = {name: values * 2 for name, values in row.items()}
            assert any(text.startswith(f"{column.name}, row") for text in violations(contract, table(contract, twice)))


def test_there_are_contracts_to_test():
    assert {contract.name for contract in CONTRACTS} >= {
        "frames",
        "features",
        "phases",
        "detections",
        "anatomy",
        "events",
    }


def test_arrow_and_dagster_are_told_the_same():
    for contract in CONTRACTS:
        assert [column.name for column in contract.dagster_schema.columns] == contract.arrow_schema.names
        for field, column in zip(contract.arrow_schema, contract.dagster_schema.columns, strict=True):
            assert column.description == field.metadata[b"description"].decode()
            assert column.constraints.nullable == field.nullable


MIXED = pa.schema(
    [
        pa.field("whole", pa.int16()),
        pa.field("part", pa.float32()),
        pa.field("flag", pa.bool_()),
        pa.field("text", pa.string()),
        pa.field("bytes", pa.binary()),
        pa.field("list", pa.list_(pa.int32())),
        pa.field("pair", pa.list_(pa.float32(), 2)),
    ]
)
FLOATS = st.floats(width=32, allow_nan=False)
ROW = st.fixed_dictionaries(
    {
        "whole": st.none() | st.integers(-(2**15), 2**15 - 1),
        "part": st.none() | FLOATS,
        "flag": st.none() | st.booleans(),
        "text": st.none() | st.text(max_size=3),
        "bytes": st.none() | st.binary(max_size=3),
        "list": st.none() | st.lists(st.none() | st.integers(0, 3), max_size=3),
        "pair": st.lists(FLOATS, min_size=2, max_size=2),  # Arrow cannot read an absent one back from Parquet
    }
)
ROWS = st.lists(ROW, max_size=12)
Rows = list[dict[str, Any]]


def hash_of(rows: pa.Table, schema: pa.Schema = MIXED) -> str:
    hasher = TableHasher(schema)
    for batch in rows.to_batches():
        hasher.update(batch)
    return hasher.hexdigest()


def arrow(rows: Rows) -> pa.Table:
    return pa.Table.from_pylist(rows, schema=MIXED)


def values_of(rows: Rows) -> list[list[bytes | None]]:
    """What the rows say, to the bit (−0.0 is not 0.0)."""
    return [[repr(arrow([row])[name][0].as_py()).encode() for name in MIXED.names] for row in rows]


@settings(deadline=None)
@given(ROWS, st.integers(1, 5), st.sampled_from(["none", "zstd"]), st.booleans(), st.sampled_from(["1.0", "2.0"]))
def test_the_hash_does_not_see_how_values_are_stored(
    rows: Rows, group: int, compression: str, dictionary: bool, pages: str
):
    original = arrow(rows)
    file = io.BytesIO()
    pq.write_table(
        original,
        file,
        row_group_size=group,
        compression=compression,
        use_dictionary=dictionary,
        data_page_version=pages,
        store_schema=True,
    )
    read = pq.read_table(file)
    assert hash_of(read) == hash_of(original)
    assert hash_of(pa.Table.from_batches(original.to_batches(max_chunksize=group), MIXED)) == hash_of(original)
    padded = pa.concat_tables([original, original]).combine_chunks().slice(len(rows))
    assert hash_of(padded) == hash_of(original), "a slice is what it shows"


@settings(deadline=None)
@given(ROWS, ROWS)
def test_other_rows_have_another_hash(one: Rows, two: Rows):
    assume(values_of(one) != values_of(two))
    assert hash_of(arrow(one)) != hash_of(arrow(two))


@settings(deadline=None)
@given(ROWS, st.data())
def test_one_changed_value_changes_the_hash(rows: Rows, data: st.DataObject):
    assume(rows)
    position = data.draw(st.integers(0, len(rows) - 1))
    name = data.draw(st.sampled_from(MIXED.names))
    changed = [dict(row) for row in rows]
    changed[position][name] = data.draw(ROW)[name]
    assume(values_of(changed) != values_of(rows))
    assert hash_of(arrow(changed)) != hash_of(arrow(rows))


@pytest.mark.parametrize(
    ("one", "two", "kind"),
    [
        ([None, 0], [0, None], pa.int32()),
        ([0], [None], pa.int32()),
        ([0, 0], [0], pa.int32()),
        ([None, None], [None], pa.int32()),
        (["ab", ""], ["a", "b"], pa.string()),
        ([""], [None], pa.string()),
        ([[1], []], [[], [1]], pa.list_(pa.int32())),
        ([[None]], [[0]], pa.list_(pa.int32())),
        ([[]], [None], pa.list_(pa.int32())),
        ([[1], [], []], [[0], [0]], pa.list_(pa.int32())),
        ([0.0], [-0.0], pa.float32()),
        ([True], [False], pa.bool_()),
    ],
)
def test_rows_that_are_easily_confused_are_not(one: Sequence[Any], two: Sequence[Any], kind: pa.DataType):
    schema = pa.schema([pa.field("x", kind)])
    hashes = [hash_of(pa.table({"x": pa.array(values, kind)}), schema) for values in (one, two)]
    assert hashes[0] != hashes[1]


def test_names_types_and_order_of_columns_count():
    values = np.arange(3, dtype=np.int32)
    tables = [
        pa.table({"a": values, "b": values}),
        pa.table({"b": values, "a": values}),
        pa.table({"a": values, "c": values}),
        pa.table({"a": values, "b": values.view(np.float32)}),
        pa.table({"a": values, "b": pa.array(values).view(pa.date32())}),
    ]
    assert len({hash_of(rows, rows.schema) for rows in tables}) == len(tables)
    one, two = pa.table({"a": [1], "b": [2]}), pa.table({"a": [2], "b": [1]})
    assert hash_of(one, one.schema) != hash_of(two, two.schema)


def test_an_empty_table_has_a_hash_with_and_without_batches():
    empty = TableHasher(MIXED)
    empty.update(pa.RecordBatch.from_pylist([], schema=MIXED))
    assert empty.hexdigest() == TableHasher(MIXED).hexdigest()


def test_a_type_without_a_rule_is_refused_and_not_hashed_by_its_address():
    with pytest.raises(TypeError, match="struct"):
        TableHasher(pa.schema([pa.field("x", pa.struct([("a", pa.int8())]))]))


def test_the_hash_is_the_same_for_years():
    """Data versions in stored records are compared with new ones: a change of the rule makes every result stale."""
    rows = arrow(
        [
            {
                "whole": 1,
                "part": 0.5,
                "flag": True,
                "text": "ж",
                "bytes": b"\x00",
                "list": [1, None],
                "pair": [1.0, 2.0],
            },
            dict.fromkeys(MIXED.names),
        ]
    )
    assert hash_of(rows) == "bb73a8edfe01f8a7852423a4476764d69779231b717394d3adb303771cdb3335"


def test_what_has_no_bounds_is_not_kept_for_the_check():
    contract = TableContract(
        "masks",
        1,
        (ColumnContract("frame", pa.int64(), "A frame.", minimum=0), ColumnContract("mask", pa.string(), "Long.")),
    )
    checker = ContractChecker(contract)
    before = pa.total_allocated_bytes()
    for number in range(50):
        assert checker.add(pa.record_batch([[number], ["x" * 100_000]], schema=contract.arrow_schema))
    assert pa.total_allocated_bytes() - before < 1_000_000
    assert checker.violations() == []


SIDE_BY_SIDE = """
import threading, time
from neurovision_assets.schemas import FRAMES
from neurovision_assets.tables import ContractChecker

def look():
    try:
        told.append(ContractChecker(FRAMES).violations())
    except BaseException as error:
        told.append(repr(error))

told, threads = [], [threading.Thread(target=look) for _ in range(100)]
for thread in threads:
    thread.start()
    time.sleep(0.01)
for thread in threads:
    thread.join()
print([one for one in told if one], len(told))
"""


def test_stages_side_by_side_may_be_the_first_to_use_pandera() -> None:
    """In a process of its own, where nobody has imported it; threads begin all along the time that the import takes."""
    done = subprocess.run([sys.executable, "-c", SIDE_BY_SIDE], capture_output=True, text=True, check=True)
    assert done.stdout == "[] 100\n"
