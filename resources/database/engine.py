"""Connections to the application database, SQLite or a server.

Belongs here: opening, transactions, bringing the tables up to date, errors in the house's words. Does not belong here:
tables (``tables``), queries. A transaction that writes says so at its start: one that begins to write half-way would
fail in SQLite when another process has written since, whatever patience it was given.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

import dagster as dg
from pydantic_core import from_json
from sqlalchemy import Connection, Engine, create_engine, event, inspect, select
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, OperationalError, SQLAlchemyError

from resources.database.tables import METADATA, SCHEMA_REVISION, VERSIONS
from resources.errors import ConfigurationError, NeuroVisionError, PermanentFailure, TransientFailure

BUSY_TIMEOUT_MS = 10_000
"""How long a writer waits for another; a write here takes milliseconds, a plan of 80,000 rows a few seconds."""
WRITES = "neurovision_writes"
SETTING = "NEUROVISION_DATABASE_URL"


class Database(dg.ConfigurableResource):  # type: ignore[type-arg]
    """The application database; it is opened, and created where it is missing, at the first use.

    Args:
        url: as SQLAlchemy spells it, ``sqlite:////data/application.db``.
    """

    url: str

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A transaction that sees one state of the database and writes nothing.

        Raises:
            NeuroVisionError: the database cannot be used.
        """
        with _in_our_words(self.url), self._ready.connect() as connection, connection.begin():
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """A transaction that writes, all of it or nothing; of several, each waits for the one before.

        Raises:
            NeuroVisionError: the database cannot be used.
        """
        with _in_our_words(self.url), _writer(self._ready) as connection, connection.begin():
            yield connection

    @cached_property
    def _ready(self) -> Engine:
        engine = open_engine(self.url)
        with _writer(engine) as connection, connection.begin():
            bring_up_to_date(connection)
        return engine


def open_engine(url: str) -> Engine:
    """An engine whose SQLite files can be read while they are written (write-ahead log) and wait for their turn.

    Raises:
        ConfigurationError: the URL cannot be used.
    """
    try:
        parsed = make_url(url)
        if parsed.get_backend_name() == "sqlite" and parsed.database:
            Path(parsed.database).parent.mkdir(parents=True, exist_ok=True)
        engine = create_engine(parsed, json_deserializer=from_json)  # a plan reads 80,000 small documents
    except (ArgumentError, ModuleNotFoundError, OSError) as error:
        raise ConfigurationError(
            f"The application database cannot be opened ({type(error).__name__}).",
            subject=SETTING,
            remedy="Correct the URL, or unset it to have SQLite in the data home.",
        ) from error
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _prepare_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
    return engine


def bring_up_to_date(connection: Connection) -> None:
    """Make the tables, or run the migrations that a database has not seen yet, inside the caller's transaction.

    Raises:
        ConfigurationError: the database was written by a newer version of this code.
    """
    revision = current_revision(connection)
    if revision is None:  # a test compares this short way with the migrations' long one
        METADATA.create_all(connection)
        connection.execute(VERSIONS.insert().values(version_num=SCHEMA_REVISION))
    elif revision != SCHEMA_REVISION:
        from alembic.util import CommandError

        try:
            migrate(connection, "head")
        except CommandError as error:
            raise ConfigurationError(
                f"The application database was made by another version of this code ({error}).",
                subject=SETTING,
                remedy="Use the version that made it, or a newer one.",
            ) from error


def current_revision(connection: Connection) -> str | None:
    """The migration that a database stands at, None for an empty one."""
    if not inspect(connection).has_table(VERSIONS.name):
        return None
    revision: str | None = connection.execute(select(VERSIONS.c.version_num)).scalar()
    return revision


def migrate(connection: Connection, revision: str) -> None:
    """Bring a database to a migration, forward or back.

    Args:
        connection: in a transaction that writes.
        revision: ``head``, ``base`` or a migration's name.
    """
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations").replace("%", "%%"))
    config.attributes["connection"] = connection
    if revision == "head":
        command.upgrade(config, revision)
    else:
        command.downgrade(config, revision)


def _writer(engine: Engine) -> Connection:
    return engine.connect().execution_options(**{WRITES: True})


def _prepare_sqlite(connection: Any, _record: Any) -> None:
    """Leave transactions to us, wait for other writers, let readers read meanwhile."""
    connection.isolation_level = None
    cursor = connection.cursor()
    cursor.execute(f"PRAGMA busy_timeout = {BUSY_TIMEOUT_MS}")
    if cursor.execute("PRAGMA journal_mode").fetchone()[0] != "wal":
        cursor.execute("PRAGMA journal_mode = WAL")
    cursor.execute("PRAGMA synchronous = NORMAL")  # what is lost in a power failure was written in the last moment
    cursor.execute("PRAGMA foreign_keys = ON")
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    writes = connection.get_execution_options().get(WRITES, False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


@contextmanager
def _in_our_words(url: str) -> Iterator[None]:
    try:
        yield
    except NeuroVisionError:
        raise
    except SQLAlchemyError as error:
        subject = make_url(url).render_as_string(hide_password=True)
        kind = TransientFailure if isinstance(error, OperationalError) else PermanentFailure
        reason = str(getattr(error, "orig", None) or type(error).__name__).splitlines()[0]
        raise kind(
            f"The application database cannot be used ({reason}).",
            subject=subject,
            remedy="Check that it is there, not full and not locked.",
        ) from error
