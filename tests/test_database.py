"""The application database: migrations there and back, several writers, and errors that a person can act on."""

import datetime as dt
import multiprocessing
import sqlite3
import threading
from pathlib import Path

import pytest
from sqlalchemy import delete, func, inspect, select

from resources.database.engine import Database, open_engine
from resources.database.schema import current_revision, migrate
from resources.database.tables import METADATA, PLANS, REQUESTS, SCHEMA_REVISION, UPLOAD_INDEX, VERSIONS
from resources.errors import ConfigurationError, NeuroVisionError, TransientFailure

ROWS = 50
WRITERS = 4


def url_of(folder: Path) -> str:
    return f"sqlite:///{folder / 'application.db'}"


def shape_of(database: Database) -> dict[str, list[str]]:
    """Tables and their columns with types, keys and indexes, as the database itself tells them."""
    with database.reading() as connection:
        told = inspect(connection)
        return {
            table: [
                *(f"{column['name']} {column['type']} {column['nullable']}" for column in told.get_columns(table)),
                str(told.get_pk_constraint(table)["constrained_columns"]),
                str(sorted((index["name"], index["column_names"]) for index in told.get_indexes(table))),
                str(
                    sorted((key["constrained_columns"], key["referred_table"]) for key in told.get_foreign_keys(table))
                ),
            ]
            for table in told.get_table_names()
            if table != VERSIONS.name
        }


def test_the_migrations_lead_to_the_tables_and_back(tmp_path: Path) -> None:
    (tmp_path / "short").mkdir()
    short, long = Database(url=url_of(tmp_path / "short")), Database(url=url_of(tmp_path))
    declared = shape_of(short)
    assert set(declared) == set(METADATA.tables) - {VERSIONS.name}

    with long.writing() as connection:
        migrate(connection, "base")
        assert set(inspect(connection).get_table_names()) == {VERSIONS.name}
        migrate(connection, "head")
        assert current_revision(connection) == SCHEMA_REVISION
    assert shape_of(long) == declared


def test_a_database_of_a_newer_version_is_refused(tmp_path: Path) -> None:
    with Database(url=url_of(tmp_path)).writing() as connection:
        connection.execute(VERSIONS.update().values(version_num="9999"))
    with (
        pytest.raises(ConfigurationError, match=r"NEUROVISION_DATABASE_URL.*another version"),
        Database(url=url_of(tmp_path)).reading(),
    ):
        pass


def test_an_older_database_is_brought_up_to_date_by_its_first_use(tmp_path: Path) -> None:
    with open_engine(url_of(tmp_path)).connect() as connection, connection.begin():
        VERSIONS.create(connection)
        connection.execute(VERSIONS.insert().values(version_num="base"))
        connection.execute(delete(VERSIONS))
    with Database(url=url_of(tmp_path)).reading() as connection:
        assert current_revision(connection) == SCHEMA_REVISION


def test_plans_of_before_are_kept_by_the_migration(tmp_path: Path) -> None:
    plan = {"id": "0123abcd", "created_at": dt.datetime.now(dt.UTC), "proposed_by": "somebody", "state": "proposed"}
    with Database(url=url_of(tmp_path)).writing() as connection:
        migrate(connection, "0001")
        connection.execute(PLANS.insert().values(**plan, standards={}, summary={}))
    with Database(url=url_of(tmp_path)).reading() as connection:
        assert current_revision(connection) == SCHEMA_REVISION
        kept = connection.execute(select(PLANS)).mappings().one()
    assert {**plan, "occasion": None}.items() <= dict(kept).items()


def write_rows(url: str, writer: int) -> None:
    database = Database(url=url)
    for number in range(ROWS):
        with database.writing() as connection:
            before = connection.execute(select(func.count()).select_from(UPLOAD_INDEX)).scalar()
            row = {"video_id": f"{writer}-{number}", "size_bytes": before, "modified_s": 0.0, "upload_version": ""}
            connection.execute(UPLOAD_INDEX.insert().values(row))


def test_several_processes_create_and_write_it_at_once(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    writers = [context.Process(target=write_rows, args=(url_of(tmp_path), number)) for number in range(WRITERS)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert [writer.exitcode for writer in writers] == [0] * WRITERS
    with Database(url=url_of(tmp_path)).reading() as connection:
        seen = sorted(connection.execute(select(UPLOAD_INDEX.c.size_bytes)).scalars())
    assert seen == list(range(ROWS * WRITERS)), "no writer saw a state that another had already changed"


def test_a_writer_who_reads_first_is_not_overtaken(tmp_path: Path) -> None:
    """Without its word at the start it would see an old state, and SQLite would refuse its write."""
    first, second = Database(url=url_of(tmp_path)), Database(url=url_of(tmp_path))
    row = {"size_bytes": 0, "modified_s": 0.0, "upload_version": ""}

    def write() -> None:
        with second.writing() as connection:
            connection.execute(UPLOAD_INDEX.insert().values(video_id="second", **row))

    other = threading.Thread(target=write)
    with first.writing() as connection:
        assert connection.execute(select(func.count()).select_from(UPLOAD_INDEX)).scalar() == 0
        other.start()
        other.join(0.5)
        assert other.is_alive(), "it waits for its turn"
        connection.execute(UPLOAD_INDEX.insert().values(video_id="first", **row))
    other.join()
    with first.reading() as connection:
        assert connection.execute(select(func.count()).select_from(UPLOAD_INDEX)).scalar() == 2


def test_a_transaction_that_fails_leaves_nothing(tmp_path: Path) -> None:
    database = Database(url=url_of(tmp_path))

    def fails_half_way() -> None:
        row = {"video_id": "a", "size_bytes": 1, "modified_s": 0.0, "upload_version": ""}
        with database.writing() as connection:
            connection.execute(UPLOAD_INDEX.insert().values(row))
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fails_half_way()
    with database.reading() as connection:
        assert connection.execute(select(func.count()).select_from(UPLOAD_INDEX)).scalar() == 0


def test_readers_go_on_while_somebody_writes(tmp_path: Path) -> None:
    database = Database(url=url_of(tmp_path))
    with database.writing(), database.reading() as connection:
        assert connection.execute(select(func.count()).select_from(REQUESTS)).scalar() == 0


def test_a_locked_database_is_a_transient_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("resources.database.engine.BUSY_TIMEOUT_MS", 10)
    database = Database(url=url_of(tmp_path))
    with database.reading():
        pass
    with sqlite3.connect(tmp_path / "application.db", isolation_level=None) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(TransientFailure, match=r"application.db.*locked"), database.writing():
            pass


def test_a_file_that_is_no_database_is_said_with_its_name(tmp_path: Path) -> None:
    (tmp_path / "application.db").write_bytes(b"this is not SQLite" * 100)
    with (
        pytest.raises(NeuroVisionError, match=r"application.db: .*not a database"),
        Database(url=url_of(tmp_path)).reading(),
    ):
        pass


@pytest.mark.parametrize("url", ["nonsense", "oracle9://somebody:secret@host/name"])
def test_a_url_that_cannot_be_used_names_its_setting_and_no_password(url: str) -> None:
    with pytest.raises(ConfigurationError, match=r"^NEUROVISION_DATABASE_URL") as raised, Database(url=url).reading():
        pass
    assert "secret" not in str(raised.value)
