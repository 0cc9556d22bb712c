"""A platform on servers of its own, in the middle of work; the way to one of the servers leads through a link.

Belongs here: starting and ending it, what is uploaded, what Dagster's database says of the runs. Does not belong here:
what is done to the server (``faults``), what becomes of the store (``watch``), the table (``services``).
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dagster as dg

from benchmarks.slow_link import SlowLink
from commands.platform import stop
from commands.services.server import LocalServer, free_port
from commands.services.stack import BUCKET, Stack
from commands.up_services import environment_on, read_servers, run_with, start_servers
from resources.object_store import ObjectStore
from resources.settings import PREFIX, REPOSITORY_ROOT
from simulator.operation import plan_operation
from simulator.video import write_video

NEEDED = ("postgresql", "seaweedfs", "triton")
SERVERS = (*NEEDED, "mlflow")
DURATION_S, FPS = 20.0, 2.0
DISK_BYTES = 600 * 2**20
LINKED = {
    "postgresql": ("DATABASE_URL", "DAGSTER_DATABASE_URL"),
    "seaweedfs": ("S3_ENDPOINT_URL",),
    "triton": ("TRITON_URL",),
    "mlflow": ("MLFLOW_URL",),
}
"""Settings that lead to each server."""
QUICKLY = {"DEFAULT_PROFILE": "fast_debug", "UPLOAD_SIDECAR_WAIT_S": "0"}
LOCATION = {"python_module": {"module_name": "neurovision_assets.definitions", "location_name": "neurovision"}}
TELLING = ("STEP_FAILURE", "ENGINE_EVENT", "PIPELINE_FAILURE")
"""Dagster's events that say why a run failed, the nearest to the cause first."""


class LinkedStack(Stack):
    """Servers of which the platform finds one through a link.

    Args:
        folder: of their data, logs and secrets.
        name: of the one.
    """

    def __init__(self, folder: Path, name: str) -> None:
        super().__init__(folder)
        self._name = name
        self.victim: LocalServer = {server.name: server for server in self.servers}[name]
        self.link = SlowLink(self._port)

    @property
    def servers(self) -> list[LocalServer]:
        """In the order of a start; videos do not need MLflow, so it is there only to suffer."""
        return [server for server in super().servers if server.name in {*NEEDED, self._name}]

    def settings(self) -> dict[str, str]:
        """Those of the platform, with the link in the server's place."""
        settings = super().settings() | {PREFIX + name: value for name, value in QUICKLY.items()}
        for name in (PREFIX + name for name in LINKED[self._name]):
            settings[name] = settings[name].replace(f":{self._port}", f":{self.link.port}")
        if self.mlflow not in self.servers:
            settings[f"{PREFIX}MLFLOW_URL"] = ""
        return settings

    @property
    def _port(self) -> int:
        chosen = self.choices
        return {
            "postgresql": chosen.postgres_port,
            "seaweedfs": chosen.s3_port,
            "triton": chosen.triton_grpc_port,
            "mlflow": chosen.mlflow_port,
        }[self._name]


@dataclass(frozen=True)
class Scene:
    """A platform at work.

    Attributes:
        stack: its servers.
    """

    stack: LinkedStack

    @property
    def victim(self) -> LocalServer:
        """The server that suffers."""
        return self.stack.victim

    @property
    def store(self) -> ObjectStore:
        """The bucket, past the link."""
        home = str(self.stack.folder / "looking")
        return ObjectStore(url=f"s3://{BUCKET}/objects", endpoint_url=self.stack.store.url, home=home)

    def upload(self, numbers: Sequence[int]) -> None:
        """Short operations, all at once; the same number gives the same bytes."""
        folder = self.stack.folder / "uploads"
        folder.mkdir(exist_ok=True)
        for number in numbers:
            path = folder / f"operation_{number}.mp4"
            if not path.is_file():
                write_video(plan_operation(number, DURATION_S), path, fps=FPS)
        for number in numbers:
            self.store.write_file(f"incoming/operation_{number}.mp4", folder / f"operation_{number}.mp4")

    def doctor(self) -> list[str]:
        """What `make doctor` finds wrong."""
        program = [sys.executable, "-m", "commands.doctor"]
        done = subprocess.run(
            program, cwd=REPOSITORY_ROOT, env=environment_on(self.stack), capture_output=True, text=True, check=False
        )
        return [line.partition("wrong")[2].strip() for line in done.stdout.splitlines() if line.startswith("  wrong")]

    def runs(self) -> dict[str, str] | None:
        """Status by run, None while Dagster's database does not answer."""
        rows = self._ask("SELECT run_id, status FROM runs")
        return None if rows is None else {str(run): str(status) for run, status in rows}

    def told_reports(self) -> set[str]:
        """Videos of whose report Dagster knows."""
        query = "SELECT DISTINCT partition FROM event_logs WHERE dagster_event_type = %s AND asset_key = %s"
        rows = self._ask(query, ["ASSET_MATERIALIZATION", dg.AssetKey(["surgery", "report"]).to_string()])
        return {str(video) for (video,) in rows or []}

    def reasons_of(self, runs: Sequence[str]) -> list[str]:
        """What Dagster was told of each run that failed."""
        query = (
            "SELECT run_id, event FROM event_logs WHERE run_id = ANY(%s) AND dagster_event_type = ANY(%s) ORDER BY id"
        )
        told: dict[str, dict[str, str]] = {run: {} for run in runs}
        for run, text in self._ask(query, [list(runs), list(TELLING)]) or []:
            event = json.loads(text)["dagster_event"]
            if reason := _reason(event):
                told[run].setdefault(event["event_type_value"], reason)
        return [next((said[kind] for kind in TELLING if kind in said), "nothing") for said in told.values()]

    def _ask(self, query: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]] | None:
        """Rows of Dagster's database; nothing is made in it, as Dagster's own client would."""
        import psycopg2

        url = self.stack.postgres.url("dagster").replace("+psycopg2", "")
        try:
            with closing(psycopg2.connect(url, connect_timeout=5)) as connection, connection.cursor() as cursor:
                cursor.execute(query, values)
                rows: list[tuple[Any, ...]] = cursor.fetchall()
                return rows
        except psycopg2.Error:
            return None


def _reason(event: dict[str, Any]) -> str:
    """The first line of an event's error, or of what it says of a run's end; empty for the engine's other news."""
    error = (event.get("event_specific_data") or {}).get("error") or {}
    said = "" if event["event_type_value"] == "ENGINE_EVENT" else event.get("message")
    text = (error.get("cause") or error).get("message") or said or ""
    return str(text).strip().partition("\n")[0]


@contextmanager
def scene(server: str, logs: Path | None) -> Iterator[Scene]:
    """Servers and a platform; all of it is gone afterwards.

    Args:
        server: the one that will suffer; as root its disk is one of `DISK_BYTES`, which can be filled.
        logs: where the platform's logs are kept, None for nowhere.

    Raises:
        SystemExit: the platform did not start.
    """
    folder = Path(tempfile.mkdtemp(prefix="neurovision-faults-"))
    folder.chmod(0o755)  # PostgreSQL's user must come through
    stack = LinkedStack(folder / "services", server)
    with ExitStack() as exits:
        exits.callback(shutil.rmtree, folder, ignore_errors=True)
        if logs is not None:
            exits.callback(_keep, stack.platform_home / "logs", logs / server)
        disk = stack.victim.folder
        disk.mkdir(parents=True)
        if os.geteuid() == 0:
            subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES},mode=755", "tmpfs", disk], check=True)
            exits.callback(subprocess.run, ["umount", "-l", str(disk)], check=False)
        exits.callback(_stop_servers, stack)
        exits.callback(run_with, stack, "down")
        os.environ |= {"AWS_ACCESS_KEY_ID": stack.choices.s3_key, "AWS_SECRET_ACCESS_KEY": stack.choices.s3_secret}
        exits.enter_context(stack.link)
        start_servers(stack)
        workspace = folder / "workspace.yaml"  # without the marts, which no video needs
        workspace.write_text(json.dumps({"load_from": [LOCATION]}))
        if run_with(stack, "up", "--port", str(free_port()), "--workspace", str(workspace)):
            raise SystemExit("the platform did not start")
        yield Scene(stack)


def _keep(source: Path, target: Path) -> None:
    if source.is_dir():
        shutil.copytree(source, target, dirs_exist_ok=True)


def _stop_servers(stack: Stack) -> None:
    """As `make down-services` does."""
    if record := read_servers(stack):
        stop(record)
    for server in stack.servers:
        server.kill()
