"""Dagster's storage on PostgreSQL: a database that was lost gets its tables again without a restart."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy.engine import make_url

from commands.services.postgres import Postgres
from resources.dagster_storage import PooledPostgresStorage

pytestmark = [pytest.mark.services, pytest.mark.xdist_group("postgres")]


def rows(storage: PooledPostgresStorage) -> list[int]:
    """One question to each of its parts."""
    return [
        storage.run_storage.get_runs_count(),
        len(storage.event_log_storage.all_asset_keys()),
        len(storage.schedule_storage.all_instigator_state()),
    ]


def test_a_database_that_comes_back_empty_is_filled_by_whoever_connects(postgres: Postgres, database_url: str) -> None:
    name = str(make_url(database_url).database)
    storages = [PooledPostgresStorage(database_url, pool_size=2) for _ in range(3)]
    assert [rows(storage) for storage in storages] == [[0, 0, 0]] * 3
    postgres.drop(name)
    postgres.database(name)
    with ThreadPoolExecutor(len(storages)) as pool:  # webserver, daemon and a run, at once
        assert list(pool.map(rows, storages)) == [[0, 0, 0]] * 3
