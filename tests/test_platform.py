"""``up``, ``status`` and ``down`` with real servers: what they start, what they leave, what they survive."""

import contextlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import psutil
import pytest

from commands.platform import MARK, PlatformRecord, processes_of, read_record, record_path, write_record
from resources.settings import Settings
from tests.main_job import Finished, Home, free_port, new_home
from tests.waiting import wait_for

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("platform"), pytest.mark.timeout(1800)]
WORKSPACE = "load_from: [{python_module: {module_name: tests.endless_platform, location_name: neurovision}}]\n"


class OnePlatform:
    """A data home, a port, and the commands on them."""

    def __init__(self, home: Home, workspace: Path) -> None:
        self.home = home
        self.settings = Settings(home=home.path)
        self.port = free_port()
        self._workspace = workspace

    def up(self) -> Finished:
        """``make up``."""
        return self.home.command("up", "--port", str(self.port), "--workspace", str(self._workspace))

    def processes(self) -> list[psutil.Process]:
        """All that lives and was started by ``up``."""
        record = read_record(self.settings)
        return processes_of(record) if record else []

    @contextlib.contextmanager
    def instance(self) -> Iterator[dg.DagsterInstance]:
        """Its event log and runs."""
        with dg.DagsterInstance.from_config(str(self.home.path / "dagster")) as instance:
            yield instance

    def runs(self) -> list[dg.DagsterRun]:
        """Newest first."""
        with self.instance() as instance:
            return list(instance.get_runs())

    def is_working(self) -> bool:
        """Whether a run is in the middle of its step."""
        with self.instance() as instance:
            started = instance.get_runs(dg.RunsFilter(statuses=[dg.DagsterRunStatus.STARTED]))
            steps = [instance.all_logs(run.run_id, of_type=dg.DagsterEventType.STEP_START) for run in started]
        return any(steps)


@pytest.fixture
def platform(tmp_path: Path) -> Iterator[OnePlatform]:
    workspace = tmp_path / "workspace.yaml"
    workspace.write_text(WORKSPACE)
    platform = OnePlatform(new_home(tmp_path / "home"), workspace)
    yield platform
    platform.home.command("down")


def test_up_status_down(platform: OnePlatform) -> None:
    assert platform.home.command("status").out == "down\n"

    started = platform.up()
    assert started.code == 0, started.err
    assert f"http://127.0.0.1:{platform.port}" in started.out
    assert f"{platform.home.path}/incoming/" in started.out
    status = platform.home.command("status")
    assert (status.code, status.out) == (0, f"up: http://127.0.0.1:{platform.port}\n")

    again = platform.up()
    assert again.code == 0
    assert again.out.startswith("already up: ")
    elsewhere = platform.home.command("up", "--port", str(platform.port + 1))
    assert (elsewhere.code, elsewhere.out) == (1, "")
    assert f"runs already, at http://127.0.0.1:{platform.port}" in elsewhere.err

    taken = new_home(platform.home.path.parent / "other").command("up", "--port", str(platform.port))
    assert taken.code == 1
    assert "Address already in use" in taken.err
    assert taken.err.count("\n") == 1

    wait_for("the run", platform.is_working)
    before = platform.processes()
    assert len(before) >= 5, "webserver, daemon, two code servers, a run worker"
    stopped = platform.home.command("down")
    assert stopped.code == 0, stopped.err
    assert stopped.out.startswith(f"stopped {len(before)} processes (webserver, daemon")
    assert [process for process in before if process.is_running() and process.status() != psutil.STATUS_ZOMBIE] == []
    assert not record_path(platform.settings).exists()
    assert platform.home.command("down").out == "nothing to stop: the platform is not up\n"


def test_work_that_was_cut_off_is_taken_up_again(platform: OnePlatform) -> None:
    assert platform.up().code == 0
    wait_for("the run", platform.is_working)
    [first] = platform.runs()
    for process in platform.processes():  # as when the power fails
        process.kill()
    assert platform.home.command("status").out == "not working: daemon has ended, webserver has ended\n"

    assert platform.up().code == 0
    wait_for("the second try", lambda: len(platform.runs()) == 2 and platform.is_working())
    (platform.home.path / "finish").touch()
    wait_for("its end", lambda: platform.runs()[0].is_finished)
    second, dead = platform.runs()
    assert dead.run_id == first.run_id
    assert dead.status == dg.DagsterRunStatus.FAILURE
    assert second.parent_run_id == first.run_id
    assert second.status == dg.DagsterRunStatus.SUCCESS


def test_code_that_cannot_be_loaded_is_said_and_nothing_stays(platform: OnePlatform, tmp_path: Path) -> None:
    (tmp_path / "workspace.yaml").write_text("load_from: [{python_module: tests.there_is_no_such_module}]\n")
    failed = platform.up()
    assert failed.code == 1
    assert "there_is_no_such_module" in failed.err
    assert platform.processes() == []
    assert platform.home.command("status").out == "down\n"


def test_another_location_that_cannot_be_loaded_is_a_warning(platform: OnePlatform, tmp_path: Path) -> None:
    broken = "  - {python_module: {module_name: tests.there_is_no_such_module, location_name: marts}}\n"
    ours = "  - {python_module: {module_name: tests.endless_platform, location_name: neurovision}}\n"
    (tmp_path / "workspace.yaml").write_text(f"load_from:\n{broken}{ours}")
    started = platform.up()
    assert started.code == 0, started.err
    assert started.err.startswith("warning: the code location marts: ")
    assert "there_is_no_such_module" in started.err
    assert platform.home.command("status").code == 0


def test_a_stale_record_harms_no_stranger(platform: OnePlatform) -> None:
    stranger = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    other = subprocess.Popen(
        [sys.executable, "-c", "import time; time.sleep(600)"], env={**platform.home.environment, MARK: "another"}
    )
    try:
        record = PlatformRecord(token="gone", url="http://127.0.0.1:9", pids={"webserver": stranger.pid})  # noqa: S106
        write_record(platform.settings, record)
        stopped = platform.home.command("down")
        assert (stopped.code, stopped.out) == (0, "nothing to stop: the platform had ended by itself\n")
        assert stranger.poll() is None
        assert other.poll() is None
        record_path(platform.settings).write_text("{")
        assert platform.home.command("down").code == 0
    finally:
        for process in (stranger, other):
            process.kill()
            process.wait()
