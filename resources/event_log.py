"""Dagster's event log of one machine, with its index kept open.

Belongs here: Dagster's SQLite event log, and the one connection that it should not close. Does not belong here: what is
logged, and PostgreSQL.

Why: Dagster opens and closes the index for every single statement, and the last connection that closes makes SQLite
move the whole write-ahead log into the file. A run of eight stages does so some 600 times: a second of every run. The
files of single runs are still closed after each event, because the UI learns of new events by their modification.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any, Self

from dagster import StringSource
from dagster._core.storage.event_log import SqliteEventLogStorage
from dagster._serdes import ConfigurableClassData
from sqlalchemy import Connection, Engine, create_engine
from sqlalchemy.pool import QueuePool

BUSY_TIMEOUT_S = 30.0
FOLDER = Path("history", "runs")
"""Below DAGSTER_HOME, where Dagster's own storage has it."""


class LocalEventLog(SqliteEventLogStorage):
    """Dagster's event log in SQLite files; the index across runs stays connected as long as the process lives."""

    @classmethod
    def config_type(cls) -> dict[str, Any]:
        """One field: DAGSTER_HOME."""
        return {"dagster_home": StringSource}

    @classmethod
    def from_config_value(cls, inst_data: ConfigurableClassData | None, config_value: dict[str, Any]) -> Self:
        """Called by Dagster with what ``dagster.yaml`` says."""
        return cls(base_dir=str(Path(config_value["dagster_home"]) / FOLDER), inst_data=inst_data)

    @contextmanager
    def index_connection(self) -> Iterator[Connection]:
        """A transaction on the index; one at a time in a process."""
        engine = self._index_engine
        with self._db_lock, engine.connect() as connection, connection.begin():
            yield connection

    def dispose(self) -> None:
        """Close what was kept open."""
        super().dispose()
        if "_index_engine" in self.__dict__:
            self._index_engine.dispose()

    @cached_property
    def _index_engine(self) -> Engine:
        with super().index_connection():
            pass  # makes the index's tables where they are missing
        return create_engine(
            self.conn_string_for_shard("index"),
            poolclass=QueuePool,
            pool_size=1,
            connect_args={"timeout": BUSY_TIMEOUT_S, "check_same_thread": False},
        )
