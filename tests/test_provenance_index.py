"""The provenance index: fed by runs, never in a video's way, and the same when it is made again from the store."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import delete, select, update

from neurovision_assets.provenance_index import index_result, rebuild_index
from resources.database.engine import Database
from resources.database.tables import PROVENANCE_INDEX
from tests.reprocessing import desk
from tests.toy_domain import TOY, ToyPlatform

ASSETS = [stage.asset for stage in TOY.stages]


@pytest.fixture
def platform(tmp_path: Path) -> Iterator[ToyPlatform]:
    with desk(tmp_path) as office:
        yield office.platform


def rows(database: Database) -> dict[tuple[str, str], dict[str, Any]]:
    """The whole index, without the time at which rows were written."""
    with database.reading() as connection:
        found = connection.execute(select(PROVENANCE_INDEX)).mappings().all()
    return {
        (row["video_id"], row["asset"]): {name: value for name, value in row.items() if name != "indexed_at"}
        for row in found
    }


def test_a_run_leaves_a_row_for_every_result(platform: ToyPlatform) -> None:
    keys = platform.add("one", "two")
    platform.run(keys)
    found = rows(platform.database)
    assert set(found) == {(key, asset) for key in keys for asset in ASSETS}
    record = platform.reader.required_record("toy/total", keys[0])
    row = found[keys[0], "toy/total"]
    assert row["data_version"] == record.data_version
    made = record.provenance.model_dump()
    assert {name: row[name] for name in made if name != "models"} == {n: v for n, v in made.items() if n != "models"}

    platform.add("one", profile="triple")
    platform.run(keys[:1])
    again = rows(platform.database)
    assert len(again) == len(found)
    assert again[keys[0], "toy/double"]["data_version"] != found[keys[0], "toy/double"]["data_version"]


def test_the_index_made_again_is_the_index_that_runs_made(platform: ToyPlatform) -> None:
    keys = platform.add("one", "two")
    platform.run(keys)
    before = rows(platform.database)
    with platform.database.writing() as connection:
        connection.execute(delete(PROVENANCE_INDEX).where(PROVENANCE_INDEX.c.video_id == keys[0]))
        connection.execute(update(PROVENANCE_INDEX).values(code_version="wrong"))
    platform.store.write_bytes("toy/seed/broken-00000000.record.json", b"{")

    assert rebuild_index(platform.database, platform.store, ASSETS) == len(before)
    assert rows(platform.database) == before

    (platform.home / "application.db").unlink()
    rebuild_index(platform.database, platform.store, ASSETS)
    assert rows(platform.database) == before


def test_rows_of_results_that_are_gone_go_too(platform: ToyPlatform) -> None:
    [one] = platform.add("one")
    platform.run([one])
    platform.store.delete(f"toy/extra/{one}.record.json")
    assert rebuild_index(platform.database, platform.store, ASSETS) == len(ASSETS) - 1
    assert (one, "toy/extra") not in rows(platform.database)


def test_what_a_stage_writes_while_the_index_is_made_again_stays(
    platform: ToyPlatform, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between reading the records and writing the rows a stage ends: its row is newer than what was read."""
    [one] = platform.add("one")
    platform.run([one])
    old = platform.reader.required_record("toy/seed", one)
    newer = old.model_copy(update={"data_version": "newer", "provenance": later(old.provenance)})
    new = newer.model_copy(update={"provenance": later(old.provenance).model_copy(update={"asset": "toy/new"})})
    listed = type(platform.store).list_folder

    def listed_then_written(store: Any, prefix: str) -> Any:
        found = listed(store, prefix)
        if prefix == ASSETS[-1]:
            index_result(platform.database, newer)
            index_result(platform.database, new)
        return found

    monkeypatch.setattr(type(platform.store), "list_folder", listed_then_written)
    rebuild_index(platform.database, platform.store, ASSETS)
    assert rows(platform.database)[one, "toy/seed"]["data_version"] == "newer"
    assert (one, "toy/new") in rows(platform.database)


def later(provenance: Any) -> Any:
    """The same, a day after."""
    import datetime as dt

    return provenance.model_copy(update={"finished": provenance.finished + dt.timedelta(days=1)})


def test_an_index_that_fails_fails_no_video_and_is_mended_afterwards(platform: ToyPlatform) -> None:
    keys = platform.add("one", "two")
    path = platform.home / "application.db"
    path.write_bytes(b"this is no database" * 100)

    result = platform.run(keys)

    assert result.success
    assert platform.materialized("total") == set(keys)
    warnings = [
        entry.user_message
        for entry in platform.instance.all_logs(result.run_id)
        if "not in the provenance index" in entry.user_message
    ]
    assert len(warnings) == len(keys) * len(ASSETS)
    assert "make index" in warnings[0]

    path.unlink()
    assert rebuild_index(platform.database, platform.store, ASSETS) == len(keys) * len(ASSETS)
    assert set(rows(platform.database)) == {(key, asset) for key in keys for asset in ASSETS}
