"""The commands of compose's containers, run from packages on a real PostgreSQL: they start and become healthy."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import dagster as dg
import pytest
import yaml
from dagster._core.launcher import WorkerStatus
from dagster._grpc.client import DagsterGrpcClient

from commands.platform import prepare_dagster_home
from commands.services.postgres import Postgres
from commands.services.server import free_port
from resources.run_launcher import ask_server
from resources.settings import Settings
from tests.deploy_files import DEPLOY, REPOSITORY, load
from tests.test_run_queue_metrics import EMPTY, Exporter

pytestmark = [pytest.mark.services, pytest.mark.slow, pytest.mark.timeout(900), pytest.mark.xdist_group("postgres")]

SERVICES = load(REPOSITORY / "compose.yaml")["services"]
HEALTHY_WITHIN_S = 300.0


class Host:
    """One machine on which compose's hosts are ports of 127.0.0.1.

    Args:
        folder: of homes, logs and the workspace.
        environment: settings of all containers.
    """

    def __init__(self, folder: Path, environment: dict[str, str]) -> None:
        self.folder = folder
        self.environment = environment
        self.ports = {"3000": free_port(), "4000": free_port(), "9000": free_port()}
        workspace = load(DEPLOY / "compose" / "workspace.yaml")
        entries = [
            entry["grpc_server"] for entry in workspace["load_from"] if entry["grpc_server"]["host"] == "neurovision"
        ]
        for entry in entries:
            entry |= {"host": "127.0.0.1", "port": self.ports[str(entry["port"])]}
        self.workspace = folder / "workspace.yaml"
        self.workspace.write_text(yaml.safe_dump({"load_from": [{"grpc_server": entry} for entry in entries]}))

    def here(self, words: list[str]) -> list[str]:
        """A command of compose with this machine's hosts, ports and workspace."""
        said = [str(self.workspace) if word == "deploy/compose/workspace.yaml" else str(word) for word in words]
        for inside, outside in self.ports.items():
            said = [outside_word(word, inside, str(outside)) for word in said]
        return ["127.0.0.1" if word == "0.0.0.0" else word for word in said]  # noqa: S104

    def variables(self, name: str) -> dict[str, str]:
        """Environment of one container; each has a home of its own."""
        programs = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        home = {"NEUROVISION_HOME": str(self.folder / name)}
        return {
            "PATH": programs,
            "PYTHONPATH": str(REPOSITORY),
            "DAGSTER_DISABLE_TELEMETRY": "1",
            **self.environment,
            **home,
        }

    @contextmanager
    def container(self, name: str) -> Iterator[subprocess.Popen[bytes]]:
        """A service, started by the image's entry point, until the block ends; inside of it, it is healthy."""
        command = [sys.executable, "-m", "commands.container", *self.here(SERVICES[name]["command"])]
        with (self.folder / f"{name}.log").open("wb") as log:
            process = subprocess.Popen(command, cwd=REPOSITORY, env=self.variables(name), stdout=log, stderr=log)
        try:
            deadline = time.monotonic() + HEALTHY_WITHIN_S
            while self.check(name) != 0:
                said = (self.folder / f"{name}.log").read_text()
                assert process.poll() is None, said
                assert time.monotonic() < deadline, said
            yield process
        finally:
            process.kill()
            process.wait()

    def check(self, name: str) -> int:
        """Exit code of the service's healthcheck."""
        kind, *words = SERVICES[name]["healthcheck"]["test"]
        assert kind == "CMD"
        return subprocess.run(
            self.here(words), check=False, cwd=REPOSITORY, env=self.variables(name), capture_output=True
        ).returncode


def outside_word(word: str, inside: str, outside: str) -> str:
    """A port, alone or in a URL."""
    return outside if word == inside else word.replace(f"127.0.0.1:{inside}/", f"127.0.0.1:{outside}/")


@pytest.fixture
def host(tmp_path: Path, postgres: Postgres) -> Iterator[Host]:
    """Databases of this test's own; the password comes from a file, as in the containers."""
    (tmp_path / "password").write_text(postgres.password)
    for name in ("compose_dagster", "compose_application"):
        postgres.database(name)
    place = f"127.0.0.1:{postgres.port}"
    yield Host(
        tmp_path,
        {
            "PGPASSWORD_FILE": str(tmp_path / "password"),
            "NEUROVISION_DAGSTER_DATABASE_URL": f"postgresql+psycopg2://compose_dagster@{place}/compose_dagster",
            "NEUROVISION_DATABASE_URL": f"postgresql+psycopg2://compose_application@{place}/compose_application",
        },
    )
    for name in ("compose_dagster", "compose_application"):
        postgres.drop(name)


def test_code_location_webserver_and_daemon_become_healthy(host: Host) -> None:
    assert host.check("webserver") != 0, "nothing listens yet"
    with host.container("neurovision") as server:
        client = DagsterGrpcClient(host="127.0.0.1", port=host.ports["4000"])
        assert ask_server(client, "not-a-run").status is WorkerStatus.NOT_FOUND
        with host.container("daemon"), host.container("webserver"):
            pass
        server.kill()
        server.wait()
        assert ask_server(client, "a-run").status is WorkerStatus.RUNNING, "it may be starting again"


def test_the_exporter_becomes_healthy_and_counts_the_database_s_runs(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = host.environment["NEUROVISION_DAGSTER_DATABASE_URL"]
    monkeypatch.setenv("PGPASSWORD", (host.folder / "password").read_text())
    settings = Settings(home=host.folder / "elsewhere", dagster_database_url=url)
    monkeypatch.setenv("NEUROVISION_DAGSTER_DATABASE_URL", url)
    with dg.DagsterInstance.from_config(str(prepare_dagster_home(settings))) as instance:
        instance.add_run(dg.DagsterRun(job_name="process_video", status=dg.DagsterRunStatus.STARTED))
    with host.container("metrics") as process:
        metrics = Exporter(process, f"http://127.0.0.1:{host.ports['9000']}", host.folder / "metrics.log")
        assert metrics.figures() == EMPTY | {"started": 1.0}
