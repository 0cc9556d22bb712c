"""The warehouse of the marts: one DuckDB file that has one writer at a time.

Belongs here: opening it, the writer's turn, replacing tables. Does not belong here: what the tables mean
(``neurovision_assets/marts``). It holds nothing that cannot be made again. DuckDB belongs to the set ``learn``, so only
functions import it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

import dagster as dg
import pyarrow as pa
from filelock import FileLock, Timeout

from resources.errors import ConfigurationError, TransientFailure

if TYPE_CHECKING:
    import duckdb

FILE_NAME: Final = "warehouse.duckdb"
NO_DOWNLOADS: Final = {"autoinstall_known_extensions": "false", "autoload_known_extensions": "false"}
"""DuckDB would fetch an extension from its makers' server at the first need of it."""
TURN_WAIT_S: Final = 900.0
"""The whole of a build takes a minute or two."""


class Warehouse(dg.ConfigurableResource):  # type: ignore[type-arg]
    """One DuckDB file and what belongs to it.

    Args:
        folder: of the file, made at the first use.
    """

    folder: str

    @property
    def root(self) -> Path:
        """The folder."""
        return Path(self.folder)

    @property
    def file(self) -> Path:
        """The database."""
        return self.root / FILE_NAME

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Be the only process that writes; it ends with the process that holds it.

        Raises:
            TransientFailure: another one does not come to an end.
            ConfigurationError: the folder cannot be written.
        """
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            lock = FileLock(self.root / ".writing.lock")
            lock.acquire(timeout=TURN_WAIT_S)
        except Timeout as error:
            raise TransientFailure(
                f"Another process has been writing for {TURN_WAIT_S:.0f} s.",
                subject=str(self.file),
                remedy="Look at the runs of the job marts, end the one that hangs and try again.",
            ) from error
        except OSError as error:
            raise ConfigurationError(
                f"The warehouse's folder cannot be written ({error.strerror}).",
                subject=self.folder,
                remedy="Give this user the right to write there.",
            ) from error
        try:
            yield
        finally:
            lock.release()

    @contextmanager
    def writing(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """A transaction, all of it or nothing, in a turn of its own.

        Raises:
            TransientFailure: another process writes, or a program keeps the file open.
        """
        with self.turn(), self._open(read_only=False) as connection:
            connection.begin()
            try:
                yield connection
            except BaseException:
                connection.rollback()
                raise
            connection.commit()

    @contextmanager
    def reading(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """A connection that cannot write; a writer waits for its end.

        Raises:
            TransientFailure: somebody writes just now, or nothing was ever written.
        """
        with self._open(read_only=True) as connection:
            yield connection

    @contextmanager
    def _open(self, *, read_only: bool) -> Iterator[duckdb.DuckDBPyConnection]:
        import duckdb

        try:
            connection = duckdb.connect(str(self.file), read_only=read_only, config=dict(NO_DOWNLOADS))
        except (duckdb.IOException, duckdb.ConnectionException) as error:
            raise TransientFailure(
                f"The warehouse cannot be opened ({str(error).splitlines()[0].rstrip('.')}).",
                subject=str(self.file),
                remedy="Close what has it open, or build the marts first (job marts).",
            ) from error
        with connection:
            yield connection


def replace_tables(connection: duckdb.DuckDBPyConnection, schema: str, tables: Mapping[str, pa.Table]) -> None:
    """Write whole tables in place of those that were there.

    Args:
        connection: in a transaction that writes.
        schema: of the tables, made where it is missing.
        tables: by name; names are ours, never a user's.
    """
    connection.execute(f'CREATE SCHEMA IF NOT EXISTS "{schema}"')
    for name, table in tables.items():
        connection.register("incoming_rows", table)
        connection.execute(f'CREATE OR REPLACE TABLE "{schema}"."{name}" AS SELECT * FROM incoming_rows')  # noqa: S608
        connection.unregister("incoming_rows")


def table_before(connection: duckdb.DuckDBPyConnection, schema: str, name: str, columns: pa.Schema) -> pa.Table | None:
    """A table as the last writer left it, None where there is none, or one of other columns.

    Args:
        connection: to read from.
        schema: of the table.
        name: of the table; it is ours, never a user's.
        columns: what the table must have to be of use.
    """
    there = connection.execute(  # asked first: a failed statement would end the transaction
        "SELECT column_name FROM information_schema.columns WHERE table_schema = ? AND table_name = ? "
        "ORDER BY ordinal_position",
        [schema, name],
    ).fetchall()
    if [column for (column,) in there] != columns.names:
        return None
    found: pa.Table = connection.sql(f'SELECT * FROM "{schema}"."{name}"').to_arrow_table()  # noqa: S608
    return found
