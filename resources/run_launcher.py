"""How a run's worker process is started and watched on one machine.

Belongs here: Dagster's launcher for one machine, extended by the question whether a run's worker still lives. Does not
belong here: what happens to a dead run; Dagster's run monitoring marks it failed and the retry daemon starts it again.

Why: Dagster's own launcher does not answer the question, so a run whose process was killed (power loss, out of memory,
an impatient ``kill -9``) would count as running until its two hours are over, and hold its place in the queue.
"""

from __future__ import annotations

import dagster as dg
import psutil

# A launcher's own words; the framework exports them nowhere else, and names this module in its guide to launchers.
from dagster._core.launcher import CheckRunHealthResult, DefaultRunLauncher, WorkerStatus

CLOCK_SLACK_S = 1.0
"""A process's start is known to a hundredth of a second, the kernel's boot time behind it to a second."""


class LocalRunLauncher(DefaultRunLauncher):
    """Dagster's launcher for one machine; it finds a run's process by the first id that the run's event log names."""

    @property
    def supports_check_run_worker_health(self) -> bool:
        """Run monitoring may ask."""
        return True

    def check_run_worker_health(self, run: dg.DagsterRun) -> CheckRunHealthResult:
        """Whether the run's process is there; a run that has not yet named one is taken to be starting."""
        named = _first_named_process(self._instance, run.run_id)
        if named is None:
            return CheckRunHealthResult(WorkerStatus.RUNNING, "no process has been named yet")
        pid, named_at_s = named
        if is_alive(pid, named_at_s):
            return CheckRunHealthResult(WorkerStatus.RUNNING, f"process {pid}", run_worker_id=str(pid))
        return CheckRunHealthResult(WorkerStatus.NOT_FOUND, f"process {pid} is gone", run_worker_id=str(pid))


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
