"""One writer at a time, all of its tables or none; and reading anew only what changed."""

import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pytest

import resources.warehouse
from neurovision_assets.marts.contents import CONTENTS, gather_contents
from neurovision_assets.marts.tables import RESULTS
from resources.errors import TransientFailure
from resources.warehouse import Warehouse, replace_tables, table_before
from tests.marts_home import MartsHome, Video, marts_home

ONE, TWO = pa.table({"a": [1]}), pa.table({"a": [2]})
HOLDER = """
import sys, duckdb
connection = duckdb.connect(sys.argv[1])
print("open", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def warehouse(tmp_path: Path) -> Warehouse:
    return Warehouse(folder=str(tmp_path / "warehouse"))


def rows(warehouse: Warehouse, name: str) -> list[tuple[int]]:
    with warehouse.reading() as connection:
        return connection.sql(f"SELECT * FROM s.{name}").fetchall()  # noqa: S608


def test_a_write_that_breaks_off_leaves_all_tables_as_they_were(warehouse: Warehouse) -> None:
    with warehouse.writing() as connection:
        replace_tables(connection, "s", {"x": ONE, "y": ONE})
    with pytest.raises(ZeroDivisionError):
        break_off(warehouse)
    assert rows(warehouse, "x") == rows(warehouse, "y") == [(1,)]


def test_a_table_of_other_columns_is_no_table_before(warehouse: Warehouse) -> None:
    with warehouse.writing() as connection:
        assert table_before(connection, "s", "x", ONE.schema) is None
        replace_tables(connection, "s", {"x": ONE})
        found = table_before(connection, "s", "x", ONE.schema)
        assert found is not None
        assert found.to_pylist() == [{"a": 1}]
        assert table_before(connection, "s", "x", pa.schema([("b", pa.int64())])) is None


def test_a_program_that_keeps_the_file_open_is_named_as_the_reason(warehouse: Warehouse) -> None:
    with warehouse.writing() as connection:
        replace_tables(connection, "s", {"x": ONE})
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(warehouse.file)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "open\n"
        with pytest.raises(TransientFailure, match="cannot be opened"), warehouse.writing():
            pass
    finally:
        holder.kill()
        holder.communicate()
    with warehouse.writing() as connection:
        replace_tables(connection, "s", {"x": TWO})
    assert rows(warehouse, "x") == [(2,)]


def test_a_second_writer_waits_and_in_the_end_says_so(warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resources.warehouse, "TURN_WAIT_S", 0.1)
    with warehouse.turn(), pytest.raises(TransientFailure, match="has been writing"), warehouse.turn():
        pass
    with warehouse.turn():
        pass


def break_off(warehouse: Warehouse) -> None:
    with warehouse.writing() as connection:
        replace_tables(connection, "s", {"x": TWO})
        raise ZeroDivisionError


def stored(home: MartsHome) -> pa.Table:
    """What is stored now, as the index would tell it."""
    told = [
        {"video_id": video, "asset": asset, "data_version": record.data_version}
        for (video, asset), record in home.records.items()
    ]
    return pa.Table.from_pylist(told, schema=pa.schema([RESULTS.arrow_schema.field(name) for name in told[0]]))


def test_only_results_that_changed_are_read_and_those_that_are_gone_go(tmp_path: Path) -> None:
    segments, confidences = CONTENTS
    with marts_home(tmp_path) as home:
        home.add(Video("one"), Video("two"))
        first = gather_contents(segments, home.store, stored(home), None)
        assert (first.read, first.table.num_rows) == (2, 2)
        again = gather_contents(segments, home.store, stored(home), first.table)
        assert again.read == 0
        assert again.table.equals(first.table)

        home.add(Video("two", segments=[("preparation", 10, 0.5), ("port-closure", 5, 1.0)]))
        del home.records[Video("one").key, "surgery/phases"]
        changed = gather_contents(segments, home.store, stored(home), first.table)
        assert changed.read == 1
        assert [(row["video_id"], row["phase"], row["end_ms"]) for row in changed.table.to_pylist()] == [
            (Video("two").key, "preparation", 10_000),
            (Video("two").key, "port-closure", 15_000),
        ]
        assert gather_contents(confidences, home.store, stored(home), None).read == 5


def test_a_result_that_was_altered_is_named_and_the_others_are_told(tmp_path: Path) -> None:
    with marts_home(tmp_path) as home:
        home.add(Video("one"), Video("two"))
        home.store.write_bytes(f"surgery/phases/{Video('one').key}.segments.parquet", b"something else")
        found = gather_contents(CONTENTS[0], home.store, stored(home), None)
        assert found.unreadable == (f"surgery/phases/{Video('one').key}",)
        assert {row["video_id"] for row in found.table.to_pylist()} == {Video("two").key}
