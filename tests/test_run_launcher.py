"""Whether a run's process still lives, asked about real runs in real processes."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import psutil
import pytest

from commands.platform import prepare_dagster_home
from resources.run_launcher import LocalRunLauncher, is_alive
from resources.settings import Settings
from tests.waiting import wait_for

RUN_IN_ANOTHER_PROCESS = """
import sys, time
import dagster as dg

@dg.asset
def endless() -> None:
    time.sleep(600)

with dg.DagsterInstance.from_config(sys.argv[1]) as instance:
    dg.materialize([endless], instance=instance)
"""


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return prepare_dagster_home(Settings(home=tmp_path))


@pytest.fixture
def instance(home: Path) -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.from_config(str(home)) as instance:
        yield instance


def health(instance: dg.DagsterInstance, run_id: str) -> str:
    launcher, run = instance.run_launcher, instance.get_run_by_id(run_id)
    assert isinstance(launcher, LocalRunLauncher)
    assert run is not None
    return launcher.check_run_worker_health(run).status.value


def test_a_process_is_known_by_its_id_and_its_start() -> None:
    me = psutil.Process()
    assert is_alive(me.pid, time.time())
    assert not is_alive(me.pid, me.create_time() - 60), "another had this id then"


def test_a_process_that_ended_is_not_alive_even_before_it_is_reaped() -> None:
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    assert is_alive(child.pid, time.time())
    child.kill()
    wait_for("its end", lambda: psutil.Process(child.pid).status() == psutil.STATUS_ZOMBIE)
    assert not is_alive(child.pid, time.time())
    child.wait()
    assert not is_alive(child.pid, time.time())


def test_a_run_of_this_process_is_alive(instance: dg.DagsterInstance) -> None:
    @dg.asset
    def quick() -> None:
        """Nothing to do."""

    result = dg.materialize([quick], instance=instance)
    assert health(instance, result.run_id) == "RUNNING"


@pytest.mark.slow
def test_a_killed_run_is_seen_to_be_gone(home: Path, instance: dg.DagsterInstance) -> None:
    worker = subprocess.Popen([sys.executable, "-c", RUN_IN_ANOTHER_PROCESS, str(home)], stderr=subprocess.DEVNULL)
    try:
        run_id = wait_for("the run", lambda: run_at_work(instance))
        assert health(instance, run_id) == "RUNNING"
    finally:
        os.kill(worker.pid, signal.SIGKILL)
        worker.wait()
    assert health(instance, run_id) == "NOT_FOUND"


def run_at_work(instance: dg.DagsterInstance) -> str | None:
    """A run that has begun its step."""
    begun = dg.DagsterEventType.STEP_START
    return next((run.run_id for run in instance.get_runs() if instance.all_logs(run.run_id, of_type=begun)), None)
