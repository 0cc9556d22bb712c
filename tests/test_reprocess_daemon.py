"""A real daemon that is killed in the middle of its work: every request gets its run, once, and its outcome."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import dagster as dg
import pytest

from commands.platform import prepare_dagster_home
from neurovision_assets.reprocessing.requests import REQUEST_TAG, State, load_request, submit
from resources.database.engine import Database
from resources.settings import Settings
from tests.conftest import REPOSITORY
from tests.toy_domain import Script, ToyPlatform

DEADLINE_S = 240.0


@contextmanager
def daemon(home: Path) -> Iterator[subprocess.Popen[bytes]]:
    """``dagster-daemon`` on a home; it and the servers that it starts are one group, ended together."""
    environment = os.environ | {
        "NEUROVISION_HOME": str(home),
        "NEUROVISION_SENSOR_INTERVAL_S": "1",
        "DAGSTER_HOME": str(home / "dagster"),
        "PYTHONPATH": str(REPOSITORY),
    }
    command = [sys.executable, "-m", "dagster._daemon", "run", "-m", "tests.reprocess_platform"]
    with (home / "daemon.log").open("ab") as log:
        process = subprocess.Popen(
            command, cwd=REPOSITORY, env=environment, stdout=log, stderr=log, start_new_session=True
        )
        try:
            yield process
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGINT)
                process.wait(DEADLINE_S)


def eventually(look: Callable[[], object]) -> object:
    deadline_s = time.monotonic() + DEADLINE_S
    while time.monotonic() < deadline_s:
        found = look()
        if found:
            return found
        time.sleep(0.5)
    return None


@pytest.mark.slow
@pytest.mark.xdist_group("platform")
@pytest.mark.timeout(900)
def test_requests_survive_a_killed_daemon_and_run_once(tmp_path: Path) -> None:
    dagster_home = prepare_dagster_home(Settings(home=tmp_path))
    (tmp_path / "profiles").mkdir()
    (tmp_path / "profiles" / "toy.yaml").write_text("optional: [extra]\n")
    database = Database(url=f"sqlite:///{tmp_path / 'application.db'}")
    with dg.DagsterInstance.from_config(str(dagster_home)) as instance:
        keys = ToyPlatform(tmp_path, instance, Script({}, [])).add("one", "two")
        good = submit(database, video_ids=keys, requester="tester", reason="a test")
        bad = submit(database, video_ids=["nobody-00000000"], requester="tester", reason="a test")

        def runs(request_id: str) -> list[dg.DagsterRun]:
            return list(instance.get_runs(dg.RunsFilter(tags={REQUEST_TAG: request_id})))

        with daemon(tmp_path) as first:
            assert eventually(lambda: load_request(database, good).state is not State.WAITING), log_of(tmp_path)
            os.killpg(first.pid, signal.SIGKILL)  # its row is written; its runs exist, or not
            first.wait()
        with daemon(tmp_path):
            assert eventually(lambda: load_request(database, good).has_ended), log_of(tmp_path)

        refused = load_request(database, bad)
        assert (refused.state, len(runs(bad))) == (State.REFUSED, 0)
        roots = {run.root_run_id or run.run_id for run in runs(good)}
        assert len(roots) == len(keys), "one run a video; what was killed at work goes on under the same root"
        assert {run.tags["dagster/partition"] for run in runs(good)} == set(keys)
        ended = load_request(database, good)
        assert ended.state is State.DONE, ended.explanation


def log_of(home: Path) -> str:
    return (home / "daemon.log").read_text(errors="replace")[-3000:]
