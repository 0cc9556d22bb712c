"""Dagster's event log of one machine, with its files kept open while they are written.

Belongs here: Dagster's SQLite event log, and which of its files stay connected. Does not belong here: what is logged,
and PostgreSQL.

Why: Dagster connects and disconnects for every single statement, and the last connection that closes makes SQLite move
the write-ahead log into the file. A run of eight stages does so some 700 times: two seconds of every run.
"""

from __future__ import annotations

import os
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

from dagster import EventLogEntry, StringSource
from dagster._core.storage.event_log import SqliteEventLogStorage
from dagster._serdes import ConfigurableClassData
from sqlalchemy import Connection, Engine, create_engine
from sqlalchemy.pool import QueuePool

INDEX = "index"
KEPT_FILES = 4
"""The index and the runs that this process spoke of last; a web server asks for hundreds, one after another."""
BUSY_TIMEOUT_S = 30.0
FOLDER = Path("history", "runs")
"""Below DAGSTER_HOME, where Dagster's own storage has it."""


class LocalEventLog(SqliteEventLogStorage):
    """Dagster's event log in SQLite files, a few of which stay connected."""

    def __init__(self, base_dir: str, inst_data: ConfigurableClassData | None = None) -> None:
        self._engines: OrderedDict[str, Engine] = OrderedDict()
        super().__init__(base_dir, inst_data)

    @classmethod
    def config_type(cls) -> dict[str, Any]:
        """One field: DAGSTER_HOME."""
        return {"dagster_home": StringSource}

    @classmethod
    def from_config_value(cls, inst_data: ConfigurableClassData | None, config_value: Any) -> Self:
        """Called by Dagster with what ``dagster.yaml`` says."""
        return cls(base_dir=str(Path(config_value["dagster_home"]) / FOLDER), inst_data=inst_data)

    def run_connection(self, run_id: str | None = None) -> Any:
        """A transaction on the file of a run."""
        return self._transaction(INDEX if run_id is None else run_id)

    def index_connection(self) -> Any:
        """A transaction on the index across runs."""
        return self._transaction(INDEX)

    def store_event(self, event: EventLogEntry) -> None:
        """Store an event and touch the run's file: what the UI watches is not the write-ahead log."""
        super().store_event(event)
        os.utime(self.path_for_shard(event.run_id))

    def wipe(self) -> None:
        """Forget everything; files that are removed must not stay open."""
        self._close()
        super().wipe()

    def dispose(self) -> None:
        """Close what was kept open."""
        super().dispose()
        self._close()

    @contextmanager
    def _transaction(self, file: str) -> Iterator[Connection]:
        """One at a time in a process, as Dagster has it."""
        if file not in self._initialized_dbs:
            with self._connect(file):  # makes the tables where they are missing
                pass
        with self._db_lock, self._engine(file).connect() as connection, connection.begin():
            yield connection

    def _engine(self, file: str) -> Engine:
        if file not in self._engines:
            self._engines[file] = create_engine(
                self.conn_string_for_shard(file),
                poolclass=QueuePool,
                pool_size=1,
                connect_args={"timeout": BUSY_TIMEOUT_S, "check_same_thread": False},
            )
        self._engines.move_to_end(file)
        while len(self._engines) > KEPT_FILES:
            self._engines.popitem(last=False)[1].dispose()
        return self._engines[file]

    def _close(self) -> None:
        with self._db_lock:
            while self._engines:
                self._engines.popitem()[1].dispose()
