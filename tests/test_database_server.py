"""The application database on a real PostgreSQL: the promises of SQLite, and what only a server can do wrong."""

from __future__ import annotations

import multiprocessing
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy import func, inspect, select
from sqlalchemy.engine import make_url

from commands.services.postgres import Postgres
from resources.dagster_storage import PooledPostgresStorage
from resources.database import server
from resources.database.engine import Database
from resources.database.schema import bring_up_to_date, current_revision, migrate
from resources.database.tables import METADATA, SCHEMA_REVISION, UPLOAD_INDEX, VERSIONS
from resources.errors import ConfigurationError, TransientFailure
from resources.postgres import without_password
from resources.settings import Settings
from tests.test_database import ROWS, WRITERS, shape_of, write_rows
from tests.waiting import PATIENCE_S

pytestmark = [pytest.mark.services, pytest.mark.xdist_group("postgres")]
ROW = {"size_bytes": 0, "modified_s": 0.0, "upload_version": ""}


def add(database: Database, video_id: str) -> None:
    with database.writing() as connection:
        connection.execute(UPLOAD_INDEX.insert().values(video_id=video_id, **ROW))


def count(database: Database) -> int:
    with database.reading() as connection:
        return int(connection.execute(select(func.count()).select_from(UPLOAD_INDEX)).scalar_one())


def test_the_migrations_lead_there_and_back_over_rows(database_url: str) -> None:
    database = Database(url=database_url)
    declared = shape_of(database)
    add(database, "a")
    with database.writing() as connection:
        migrate(connection, "base")
        assert set(inspect(connection).get_table_names()) == {VERSIONS.name}
        migrate(connection, "head")
        assert current_revision(connection) == SCHEMA_REVISION
    assert shape_of(database) == declared
    assert set(declared) == set(METADATA.tables) - {VERSIONS.name}


def test_a_migration_that_fails_leaves_tables_and_rows(database_url: str) -> None:
    database = Database(url=database_url)
    add(database, "a")

    def fails_half_way() -> None:
        with database.writing() as connection:
            migrate(connection, "base")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fails_half_way()
    assert count(database) == 1


def test_many_workers_that_start_at_once_make_it_once_and_write_in_turn(database_url: str) -> None:
    context = multiprocessing.get_context("spawn")
    writers = [context.Process(target=write_rows, args=(database_url, number)) for number in range(WRITERS)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert [writer.exitcode for writer in writers] == [0] * WRITERS
    with Database(url=database_url).reading() as connection:
        seen = sorted(connection.execute(select(UPLOAD_INDEX.c.size_bytes)).scalars())
    assert seen == list(range(ROWS * WRITERS)), "no writer saw a state that another had already changed"


def test_of_two_that_migrate_the_second_waits_and_finds_it_done(database_url: str) -> None:
    database = Database(url=database_url)
    add(database, "a")
    with database.writing() as connection:
        connection.execute(VERSIONS.update().values(version_num="old"))
    migrations = []

    def slow(connection: object) -> None:
        revision = current_revision(connection)  # type: ignore[arg-type]
        if revision != SCHEMA_REVISION:
            migrations.append(revision)
            go_on.wait(PATIENCE_S)
            connection.execute(VERSIONS.update().values(version_num=SCHEMA_REVISION))  # type: ignore[attr-defined]

    go_on = threading.Event()
    engine = server.open_database(database_url, 4, lambda text: text)

    def start() -> None:
        with engine.connect() as connection, connection.begin():
            server.prepare(connection, slow)

    workers = [threading.Thread(target=start) for _ in range(3)]
    for worker in workers:
        worker.start()
    go_on.set()
    for worker in workers:
        worker.join()
    assert migrations == ["old"]
    engine.dispose()


def test_a_reader_sees_one_state_and_cannot_write(database_url: str) -> None:
    database = Database(url=database_url)
    query = select(func.count()).select_from(UPLOAD_INDEX)
    with database.reading() as connection:
        assert connection.execute(query).scalar() == 0
        add(database, "a")
        assert connection.execute(query).scalar() == 0
    assert count(database) == 1
    with pytest.raises(Exception, match="read-only"), database.reading() as connection:
        connection.execute(UPLOAD_INDEX.insert().values(video_id="b", **ROW))
    add(database, "c")


def test_a_server_that_was_restarted_goes_unnoticed_one_that_is_gone_is_said(tmp_path: Path) -> None:
    folder = tmp_path_of_nobody(tmp_path)
    with Postgres(folder, durable=False) as own:
        database = Database(url=own.database("restarted"))
        add(database, "a")
        own.kill()
        with pytest.raises(TransientFailure, match=r"restarted: The application database cannot be used.*refused"):
            count(database)
        own.start()
        assert count(database) == 1


def tmp_path_of_nobody(tmp_path: Path) -> Path:
    """A folder that every user gets to: pytest's own are closed to others."""
    for parent in (tmp_path, *tmp_path.parents):
        if not parent.stat().st_mode & 0o001:
            parent.chmod(parent.stat().st_mode | 0o011)
    return tmp_path / "postgres"


def test_a_wrong_password_is_one_line_that_does_not_say_it(database_url: str) -> None:
    wrong = make_url(database_url).set(password="not-the-word").render_as_string(hide_password=False)  # noqa: S106
    with pytest.raises(ConfigurationError, match=r"^NEUROVISION_DATABASE_URL: PostgreSQL refuses") as raised:
        count(Database(url=wrong))
    assert "not-the-word" not in str(raised.value)
    assert "password authentication failed" in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_database_that_is_not_there_is_named(database_url: str) -> None:
    absent = make_url(database_url).set(database="absent").render_as_string(hide_password=False)
    with pytest.raises(ConfigurationError, match=r"/absent \(database .absent. does not exist\)"):
        count(Database(url=absent))


def test_the_resource_holds_no_password_and_connects(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NEUROVISION_DATABASE_URL", database_url)
    database = Database.of(Settings())
    password = str(make_url(database_url).password)
    assert password not in repr(database)
    assert count(database) == 0

    monkeypatch.setenv("NEUROVISION_DATABASE_URL", without_password(database_url))
    monkeypatch.setenv("PGPASSWORD", password)
    assert count(Database.of(Settings())) == 0


def test_a_schema_that_is_newer_is_refused_before_anything(database_url: str) -> None:
    with Database(url=database_url).writing() as connection:
        connection.execute(VERSIONS.update().values(version_num="9999"))
    with pytest.raises(ConfigurationError, match=r"NEUROVISION_DATABASE_URL.*schema is 9999.*knows"):
        count(Database(url=database_url))


def test_only_what_tolerates_delay_is_read_from_the_replica(database_url: str, postgres: Postgres) -> None:
    late = postgres.database("replica")
    try:
        database = Database(url=database_url, replica_url=late)
        with database.reading_some_seconds_late() as connection:
            assert connection.engine.url.database != "replica", "it has no tables yet"
        with Database(url=late).writing() as connection:
            bring_up_to_date(connection)
        database = Database(url=database_url, replica_url=late)
        add(database, "a")
        with database.reading_some_seconds_late() as connection:
            assert connection.execute(select(func.count()).select_from(UPLOAD_INDEX)).scalar() == 0
        assert count(database) == 1, "what was just written is read where it was written"
    finally:
        postgres.drop("replica")


def sessions(url: str) -> int:
    """Connections to a database besides this one."""
    engine = server.open_database(url, 1, lambda text: text)
    with engine.connect() as connection:
        query = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
        found = int(connection.exec_driver_sql(query).scalar_one())
    engine.dispose()
    return found


def kept(url: str, most: int) -> int:
    """Connections that are left when the work has ended: the server takes a moment to see that one was closed."""
    until_s = time.monotonic() + PATIENCE_S
    while (found := sessions(url)) > most and time.monotonic() < until_s:
        time.sleep(0.1)
    return found


@pytest.mark.parametrize("size", [1, 3])
def test_a_process_keeps_as_many_connections_as_the_pool_has(database_url: str, size: int) -> None:
    database = Database(url=database_url, pool_size=size)
    most: list[int] = []
    all_in = threading.Barrier(size + server.OVERFLOW, lambda: most.append(sessions(database_url)))

    def read(_number: int) -> None:
        with database.reading() as connection:
            connection.execute(select(1))
            all_in.wait(PATIENCE_S)

    with ThreadPoolExecutor(all_in.parties) as pool:
        list(pool.map(read, range(all_in.parties)))
    assert most == [size + server.OVERFLOW]
    assert kept(database_url, size) == size


def test_dagster_s_three_storages_share_one_pool(database_url: str) -> None:
    storage = PooledPostgresStorage(database_url, pool_size=2)

    def ask(_number: int) -> tuple[int, int, int]:
        return (
            storage.run_storage.get_runs_count(),
            len(storage.event_log_storage.all_asset_keys()),
            len(storage.schedule_storage.all_instigator_state()),
        )

    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(ask, range(64))) == {(0, 0, 0)}
    assert 1 <= kept(database_url, 2) <= 2
