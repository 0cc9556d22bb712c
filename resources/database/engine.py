"""Connections to the application database, SQLite or a server.

Belongs here: opening, transactions, errors in the house's words. Does not belong here: tables (``tables``), how they
get there (``schema``), what only PostgreSQL needs (``server``), queries. A transaction that writes says so at its
start: one that begins to write half-way would fail in SQLite when another process has written since, whatever patience
it was given.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

import dagster as dg
from pydantic_core import from_json
from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, OperationalError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as NoFreeConnection

from resources.database import server
from resources.database.schema import SETTING, bring_up_to_date, current_revision, require_known
from resources.database.tables import SCHEMA_REVISION
from resources.errors import ConfigurationError, NeuroVisionError, PermanentFailure, TransientFailure
from resources.postgres import is_postgres, without_password
from resources.settings import Settings

BUSY_TIMEOUT_MS = 10_000
"""How long a writer waits for another; a write here takes milliseconds, a plan of 80,000 rows a few seconds."""
SQLITE = "sqlite"
WRITES = "neurovision_writes"
REPLICA_SETTING = "NEUROVISION_DATABASE_REPLICA_URL"
POOL_SIZE = 2


class Database(dg.ConfigurableResource):  # type: ignore[type-arg]
    """The application database; it is opened, and created where it is missing, at the first use.

    Args:
        url: as SQLAlchemy spells it, ``sqlite:////data/application.db``; without a password, which is read from the
            environment at each start: Dagster shows a resource's fields to whoever opens its UI.
        replica_url: of a server that follows it, for reads that tolerate delay.
        pool_size: connections that a process keeps to a server.
    """

    url: str
    replica_url: str = ""
    pool_size: int = POOL_SIZE

    @classmethod
    def of(cls, settings: Settings) -> "Database":
        """The one of a deployment."""
        return cls(
            url=without_password(settings.application_database),
            replica_url=without_password(settings.database_replica_url) if settings.database_replica_url else "",
            pool_size=settings.database_pool_size,
        )

    def check(self) -> None:
        """It answers, and was not made by a newer version of this code; nothing is made or migrated.

        Raises:
            NeuroVisionError: one of these is not so.
        """
        engine = open_engine(self.url, self.pool_size)
        with _in_our_words(self.url), _reader(engine) as connection, connection.begin():
            revision = current_revision(connection)
            if revision not in {None, SCHEMA_REVISION}:
                require_known(str(revision))
        engine.dispose()

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A transaction that sees one state of the database and writes nothing.

        Raises:
            NeuroVisionError: the database cannot be used.
        """
        with _in_our_words(self.url), _reader(self._ready) as connection, connection.begin():
            yield connection

    @contextmanager
    def reading_some_seconds_late(self) -> Iterator[Connection]:
        """The same, from the replica where there is one: for what a night's or a week's summary asks.

        Never for what somebody has just written, asked for or decided: a replica may not know of it yet (T44).

        Raises:
            NeuroVisionError: the database cannot be used.
        """
        engine = self._replica or self._ready
        with _in_our_words(str(engine.url)), _reader(engine) as connection, connection.begin():
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """A transaction that writes, all of it or nothing; of several, each waits for the one before.

        Raises:
            NeuroVisionError: the database cannot be used.
        """
        with _in_our_words(self.url), _writer(self._ready) as connection, connection.begin():
            if connection.dialect.name != SQLITE:
                server.take_writers_turn(connection)
            yield connection

    @cached_property
    def _ready(self) -> Engine:
        engine = open_engine(self.url, self.pool_size)
        with _writer(engine) as connection, connection.begin():
            if engine.dialect.name == SQLITE:
                bring_up_to_date(connection)
            else:
                server.prepare(connection, bring_up_to_date)
        return engine

    @cached_property
    def _replica(self) -> Engine | None:
        """The replica where it has this code's tables; one that is being migrated does not yet."""
        if not self.replica_url:
            return None
        engine = open_engine(self.replica_url, self.pool_size, REPLICA_SETTING)
        with _in_our_words(self.replica_url), _reader(engine) as connection, connection.begin():
            return engine if current_revision(connection) == SCHEMA_REVISION else None


def open_engine(url: str, pool_size: int = POOL_SIZE, variable: str = SETTING) -> Engine:
    """An engine; with SQLite, one whose files can be read while they are written (write-ahead log).

    Raises:
        ConfigurationError: the URL cannot be used.
    """
    try:
        parsed = make_url(url)
        if parsed.get_backend_name() == SQLITE and parsed.database:
            Path(parsed.database).parent.mkdir(parents=True, exist_ok=True)
        if is_postgres(url):
            return server.open_database(url, pool_size, from_json, variable)
        engine = create_engine(parsed, json_deserializer=from_json)  # a plan reads 80,000 small documents
    except (ArgumentError, ModuleNotFoundError, OSError) as error:
        raise ConfigurationError(
            f"The application database cannot be opened ({type(error).__name__}).",
            subject=variable,
            remedy="Correct the URL, or unset it to have SQLite in the data home.",
        ) from error
    if engine.dialect.name == SQLITE:
        event.listen(engine, "connect", _prepare_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
    return engine


def _reader(engine: Engine) -> Connection:
    connection = engine.connect()
    return connection if engine.dialect.name == SQLITE else connection.execution_options(**server.READER)


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
        subject = without_password(url)
        if refused := server.refusal(error, subject):
            raise refused from error
        reason = str(getattr(error, "orig", None) or type(error).__name__).splitlines()[0]
        raise (TransientFailure if _may_pass(error) else PermanentFailure)(
            f"The application database cannot be used ({reason}).",
            subject=subject,
            remedy="Check that it is there, not full and not locked.",
        ) from error


def _may_pass(error: SQLAlchemyError) -> bool:
    """Whether another try may help: the server is gone or busy, no connection is free."""
    is_cut_off = isinstance(error, DBAPIError) and error.connection_invalidated
    return is_cut_off or isinstance(error, (OperationalError, NoFreeConnection))
