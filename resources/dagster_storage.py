"""Dagster's runs, events and schedules in PostgreSQL, over a few connections that are kept.

Belongs here: Dagster's own storage, with one pool for its three parts. Does not belong here: SQLite (``event_log``),
what is stored.

Why: Dagster opens and closes a connection for every single statement. A run of eight stages has some 700, each with
PostgreSQL's hash of the password, and a hundred runs would ask for connections faster than a server makes processes.

A database that was lost and comes back empty gets Dagster's tables from whoever connects first, as at a start: else
daemon and webserver would fail until a person started them anew. ``sensors.known_videos`` takes the videos up again.
"""

from __future__ import annotations

from typing import Any, Self

from dagster import IntSource, StringSource
from dagster._serdes import ConfigurableClassData
from dagster_postgres import DagsterPostgresStorage
from sqlalchemy import Engine, event

from resources.postgres import open_server, with_password

URL_VARIABLE = "NEUROVISION_DAGSTER_DATABASE_URL"
OVERFLOW = 20
"""Dagster's own figure for its web server, whose threads all ask at once; others never use it."""


class PooledPostgresStorage(DagsterPostgresStorage):
    """Dagster's PostgreSQL storage with one pool.

    Args:
        postgres_url: with its password.
        pool_size: connections that this process keeps.
        inst_data: how Dagster found it.
    """

    def __init__(self, postgres_url: str, pool_size: int, inst_data: ConfigurableClassData | None = None) -> None:
        super().__init__(postgres_url, inst_data=inst_data)  # makes the tables where they are missing
        self._pool = open_server(
            with_password(postgres_url, URL_VARIABLE),
            pool_size=pool_size,
            overflow=OVERFLOW,
            isolation_level="AUTOCOMMIT",
        )
        event.listen(self._pool, "connect", self._require_tables)
        self._share(self._pool)

    @classmethod
    def config_type(cls) -> dict[str, Any]:
        """The URL, from the environment, and the size of the pool."""
        return {"postgres_url": StringSource, "pool_size": IntSource}

    @classmethod
    def from_config_value(cls, inst_data: ConfigurableClassData | None, config_value: Any) -> Self:
        """Called by Dagster with what ``dagster.yaml`` says."""
        url = with_password(config_value["postgres_url"], URL_VARIABLE)
        return cls(url.render_as_string(hide_password=False), config_value["pool_size"], inst_data)

    def _require_tables(self, connection: Any, _record: Any) -> None:
        """Make the tables where a new connection finds none; one question a connection, and there are few."""
        with connection.cursor() as cursor:
            cursor.execute("SELECT to_regclass('runs') IS NULL OR to_regclass('event_logs') IS NULL")
            is_empty = cursor.fetchone()[0]
        connection.rollback()  # whoever gets the connection begins anew
        if is_empty:
            DagsterPostgresStorage(self.postgres_url)

    def _share(self, pool: Engine) -> None:
        for storage in (self._run_storage, self._event_log_storage, self._schedule_storage):
            storage._engine = pool  # Dagster offers no other way
            storage.optimize_for_webserver = _keep_pool  # type: ignore[method-assign]
        self._run_storage.dispose = pool.dispose  # type: ignore[method-assign] # an instance that ends asks its parts


def _keep_pool(statement_timeout: int, pool_recycle: int, max_overflow: int) -> None:
    """The web server would take a pool for each part, that does not look whether its connections live."""
