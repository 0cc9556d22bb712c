"""Servers of production that tests share, a pytest plugin: each is started once, by the first test that asks for it.

Belongs here: PostgreSQL and MLflow. Does not belong here: other servers (``s3_server``, ``triton_server``), tests.
"""

from __future__ import annotations

import shutil
import tempfile
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from commands.services.mlflow import MlflowServer
from commands.services.postgres import Postgres, programs
from commands.services.server import LocalServer
from resources.errors import ConfigurationError


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A PostgreSQL; the test is skipped, with the reason, where none can be started."""
    pytest.importorskip("psycopg2", reason="the set services is not installed")
    try:
        programs()
    except ConfigurationError as error:
        pytest.skip(str(error))
    folder = Path(tempfile.mkdtemp(prefix="neurovision-postgres-"))
    folder.chmod(0o755)  # root starts it as nobody, who must come through
    try:
        with Postgres(folder / "server", durable=False) as server:
            yield server
    finally:
        shutil.rmtree(folder)


@pytest.fixture
def database_url(postgres: Postgres) -> Iterator[str]:
    """An empty database of the test's own, password included."""
    name = f"test_{uuid.uuid4().hex[:12]}"
    yield postgres.database(name)
    postgres.drop(name)


@pytest.fixture(scope="session")
def mlflow(postgres: Postgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[MlflowServer]:
    """An MLflow on PostgreSQL, its artifacts in a folder."""
    pytest.importorskip("mlflow", reason="the set learn is not installed")
    folder = tmp_path_factory.mktemp("mlflow")
    with MlflowServer(folder, database_url=postgres.database("mlflow"), artifacts=str(folder / "artifacts")) as server:
        yield server


def kill_when(server: LocalServer, is_time: Callable[[], bool]) -> threading.Thread:
    """Watch, and kill a server when it is time."""

    def watch() -> None:
        while server.process is not None and not is_time():
            time.sleep(0.2)
        server.kill()

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    return thread
