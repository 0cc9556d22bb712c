"""How a run's worker process is started and watched where no cluster does it.

Belongs here: Dagster's launcher, extended by the question whether a run's worker still lives, on this machine or in the
container of a code server. Does not belong here: what happens to a dead run; Dagster's run monitoring marks it failed
and the retry daemon starts it again.

Why: Dagster's own launcher does not answer the question, so a run whose process was killed (power loss, out of memory,
an impatient ``kill -9``) would count as running until its two hours are over, and hold its place in the queue.
"""

from __future__ import annotations

import dagster as dg
import psutil

# A launcher's own words; the framework exports them nowhere else, and names this module in its guide to launchers.
from dagster._core.errors import DagsterUserCodeUnreachableError
from dagster._core.launcher import CheckRunHealthResult, DefaultRunLauncher, WorkerStatus
from dagster._grpc.client import DagsterGrpcClient
from dagster._grpc.types import CanCancelExecutionRequest, CanCancelExecutionResult
from dagster._serdes import deserialize_value

HERE = ("localhost", "127.0.0.1")
"""Hosts of code servers whose processes this machine can see."""
ANSWER_TIMEOUT_S = 10
CLOCK_SLACK_S = 1.0
"""A process's start is known to a hundredth of a second, the kernel's boot time behind it to a second."""


class LocalRunLauncher(DefaultRunLauncher):
    """Dagster's launcher; it finds a run's process by the first id that the run's event log names, or asks for it.

    A code server of another host (a container of compose) knows the processes of its runs; here their ids say nothing.
    """

    @property
    def supports_check_run_worker_health(self) -> bool:
        """Run monitoring may ask."""
        return True

    def check_run_worker_health(self, run: dg.DagsterRun) -> CheckRunHealthResult:
        """Whether the run's process is there; a run that has not yet named one is taken to be starting."""
        server = self._get_grpc_client_for_termination(run.run_id)  # type: ignore[no-untyped-call]
        if server is not None and server.host not in HERE:
            return ask_server(server, run.run_id)
        named = _first_named_process(self._instance, run.run_id)
        if named is None:
            return CheckRunHealthResult(WorkerStatus.RUNNING, "no process has been named yet")
        pid, named_at_s = named
        if is_alive(pid, named_at_s):
            return CheckRunHealthResult(WorkerStatus.RUNNING, f"process {pid}", run_worker_id=str(pid))
        return CheckRunHealthResult(WorkerStatus.NOT_FOUND, f"process {pid} is gone", run_worker_id=str(pid))


def ask_server(server: DagsterGrpcClient, run_id: str) -> CheckRunHealthResult:
    """Whether a code server still has the run's process; one that was started anew has none of those before it.

    A server that does not answer is starting or cut off: the next look, or the run's time limit, will tell.
    """
    place = f"code server {server.host}:{server.port}"
    try:
        answer = server.can_cancel_execution(CanCancelExecutionRequest(run_id=run_id), timeout=ANSWER_TIMEOUT_S)
    except DagsterUserCodeUnreachableError:
        return CheckRunHealthResult(WorkerStatus.RUNNING, f"{place} does not answer")
    if deserialize_value(answer, CanCancelExecutionResult).can_cancel:
        return CheckRunHealthResult(WorkerStatus.RUNNING, place)
    return CheckRunHealthResult(WorkerStatus.NOT_FOUND, f"{place} has no process of this run")


def is_alive(pid: int, known_at_s: float) -> bool:
    """Whether the process that had this id at a time (seconds since 1970) still runs; later owners do not count."""
    try:
        process = psutil.Process(pid)
        return bool(process.status() != psutil.STATUS_ZOMBIE and process.create_time() <= known_at_s + CLOCK_SLACK_S)
    except psutil.NoSuchProcess:
        return False


def _first_named_process(instance: dg.DagsterInstance, run_id: str) -> tuple[int, float] | None:
    """Process id and time of the first engine event that carries one: the worker's own, before any step's."""
    for entry in instance.all_logs(run_id, of_type=dg.DagsterEventType.ENGINE_EVENT):
        if entry.dagster_event is None:
            continue
        pid = entry.dagster_event.engine_event_data.metadata.get("pid")
        if isinstance(pid, dg.TextMetadataValue) and pid.text is not None:
            return int(pid.text), entry.timestamp
    return None
