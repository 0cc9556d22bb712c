"""Dagster's Kubernetes launcher without Kubernetes: a run is a process of its own in a network and mount namespace.

Belongs here: nodes, their pods, and the launcher that starts the same command as ``dagster_k8s.K8sRunLauncher`` does.
Does not belong here: what is shown with it (``scale_out``).

A node is a checkout and a data home of its own, seen at the paths that everybody uses, as an image's are; a network
with nothing but its own loopback, to which a relay brings the servers' ports; no view of the servers' files, of other
nodes' or of shared memory. The interpreter with its packages is the same for all, as layers of one image are.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Self

import dagster as dg
import psutil

# A launcher's own words; the framework exports them nowhere else, and names this module in its guide to launchers.
from dagster._cli.api import ExecuteRunArgs
from dagster._core.launcher import CheckRunHealthResult, LaunchRunContext, RunLauncher, WorkerStatus
from dagster._serdes import ConfigurableClass, ConfigurableClassData

from resources.run_launcher import is_alive
from resources.settings import REPOSITORY_ROOT

NODE_TAG, PID_TAG, STARTED_TAG = "pod/node", "pod/pid", "pod/started"
ENTER = """
mount --bind "$REPOSITORY/.venv" "$NODE/code/.venv"
mount --rbind "$NODE/code" "$REPOSITORY"
mount --bind "$NODE/home" "$NEUROVISION_HOME"
mount -t tmpfs none "$SERVERS"
mount -t tmpfs none "$NODES"
mount -t tmpfs none /dev/shm
cd "$REPOSITORY"
exec "$@"
"""
"""What a pod sees; the last mounts hide what it was made from."""


class Nodes:
    """Namespaces below one folder.

    Args:
        folder: of checkouts, homes and the relay's sockets.
        servers: folder of the servers' data, which no pod may see.
        ports: of the servers.
    """

    def __init__(self, folder: Path, servers: Path, ports: Sequence[int]) -> None:
        self.folder, self.servers, self.ports = folder, servers, tuple(ports)

    @contextmanager
    def standing(self, names: Sequence[str]) -> Iterator[Self]:
        """Make the namespaces and their relays; all of it is gone at the end."""
        sockets = self.folder / "sockets"
        sockets.mkdir(parents=True)
        with ExitStack() as ends:
            ends.enter_context(_relay([], "outside", sockets, self.ports))
            for name in names:
                self._install(name)
                subprocess.run(["ip", "netns", "add", name], check=True)
                ends.callback(subprocess.run, ["ip", "netns", "del", name], check=True)
                subprocess.run(["ip", "-n", name, "link", "set", "lo", "up"], check=True)
                ends.enter_context(_relay(["ip", "netns", "exec", name], "inside", sockets, self.ports))
            yield self

    def command(self, node: str, arguments: Sequence[str]) -> tuple[list[str], dict[str, str]]:
        """What starts a program on a node, and the variables it needs besides."""
        words = [
            "ip",
            "netns",
            "exec",
            node,
            "unshare",
            "--mount",
            "--propagation",
            "private",
            "sh",
            "-euc",
            ENTER,
            "pod",
        ]
        nodes = self.folder / "nodes"
        paths = {"REPOSITORY": REPOSITORY_ROOT, "NODE": nodes / node, "NODES": nodes, "SERVERS": self.servers}
        return [*words, *arguments], {name: str(path) for name, path in paths.items()}

    def lose(self, node: str) -> None:
        """Nothing is started there any more."""
        (self.folder / f"lost-{node}").touch()

    def is_lost(self, node: str) -> bool:
        """Whether it was lost."""
        return (self.folder / f"lost-{node}").exists()

    def _install(self, name: str) -> None:
        """A checkout as git would hand it out, with what is not committed yet; an empty home."""
        code = self.folder / "nodes" / name / "code"
        listing = subprocess.run(
            ["git", "ls-files", "-zco", "--exclude-standard"], cwd=REPOSITORY_ROOT, check=True, capture_output=True
        )
        for entry in filter(None, listing.stdout.decode().split("\0")):
            source = REPOSITORY_ROOT / entry
            if source.is_file():
                (code / entry).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(source, code / entry)
        (code / ".venv").mkdir()
        (code.parent / "home").mkdir()


@contextmanager
def _relay(prefix: Sequence[str], side: str, sockets: Path, ports: Sequence[int]) -> Iterator[None]:
    command = [*prefix, sys.executable, "-m", "benchmarks.relay", side, str(sockets), *map(str, ports)]
    process = subprocess.Popen(command, cwd=REPOSITORY_ROOT, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n", f"the relay {side} did not start"
        yield
    finally:
        process.kill()
        process.wait()


class PodLauncher(RunLauncher, ConfigurableClass):
    """Starts each run on the node with the fewest pods, with the command that a pod of Kubernetes gets.

    Args:
        folder: of the nodes.
        servers: folder that no pod may see.
        nodes: their names.
        inst_data: how Dagster found it.
    """

    def __init__(
        self, folder: str, servers: str, nodes: Sequence[str], inst_data: ConfigurableClassData | None = None
    ) -> None:
        self._nodes, self._names, self._inst_data = Nodes(Path(folder), Path(servers), ()), nodes, inst_data
        self._pods: dict[str, list[subprocess.Popen[bytes]]] = {name: [] for name in nodes}
        super().__init__()

    @property
    def inst_data(self) -> ConfigurableClassData | None:
        """How Dagster found it."""
        return self._inst_data

    @classmethod
    def config_type(cls) -> Mapping[str, Any]:
        """Two folders and the names."""
        return {"folder": str, "servers": str, "nodes": [str]}

    @classmethod
    def from_config_value(cls, inst_data: ConfigurableClassData, config_value: Mapping[str, Any]) -> Self:
        """Called by Dagster with what ``dagster.yaml`` says."""
        return cls(inst_data=inst_data, **config_value)

    def launch_run(self, context: LaunchRunContext) -> None:
        """Start the run's pod."""
        run = context.dagster_run
        assert run.job_code_origin is not None
        arguments = ExecuteRunArgs(
            job_origin=run.job_code_origin,
            run_id=run.run_id,
            instance_ref=self._instance.get_ref(),
            set_exit_code_on_failure=False,
        ).get_command_args()
        usable = [name for name in self._names if not self._nodes.is_lost(name)]
        node = min(usable, key=lambda name: sum(pod.poll() is None for pod in self._pods[name]))
        command, paths = self._nodes.command(node, [sys.executable, "-m", "commands.container", *arguments])
        with (self._nodes.folder / f"{run.run_id}.log").open("wb") as log:
            pod = subprocess.Popen(
                command, env={**os.environ, **paths}, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
            )
        self._pods[node].append(pod)
        started = psutil.Process(pod.pid).create_time()
        self._instance.add_run_tags(run.run_id, {NODE_TAG: node, PID_TAG: str(pod.pid), STARTED_TAG: str(started)})

    def terminate(self, run_id: str) -> bool:
        """End the run's pod."""
        run = self._instance.get_run_by_id(run_id)
        if run is None or run.is_finished:
            return False
        kill_pod(run, signal.SIGTERM)
        return True

    @property
    def supports_check_run_worker_health(self) -> bool:
        """Run monitoring may ask."""
        return True

    def check_run_worker_health(self, run: dg.DagsterRun) -> CheckRunHealthResult:
        """Whether the pod is there; Kubernetes would say the same of its job."""
        for pods in self._pods.values():
            for pod in pods:
                pod.poll()  # else a dead one stays as a zombie
        alive = is_alive(int(run.tags[PID_TAG]), float(run.tags[STARTED_TAG]))
        place = f"pod on {run.tags[NODE_TAG]}"
        return CheckRunHealthResult(WorkerStatus.RUNNING if alive else WorkerStatus.FAILED, place)


def kill_pod(run: dg.DagsterRun, number: signal.Signals) -> None:
    """Signal a run's pod and all that it started."""
    os.killpg(int(run.tags[PID_TAG]), number)
