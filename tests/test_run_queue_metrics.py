"""The exporter of the run queue: the real command, asked by HTTP, over real instances; and what it says without one."""

from __future__ import annotations

import math
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.remote_origin import RegisteredCodeLocationOrigin, RemoteJobOrigin, RemoteRepositoryOrigin
from dagster._core.storage.dagster_run import ACTIVE_RUN_STATUSES

import commands.metrics
from commands.platform import prepare_dagster_home
from commands.services.postgres import Postgres, programs
from resources.errors import ConfigurationError, TransientFailure
from resources.settings import REPOSITORY_ROOT, Settings
from tests.main_job import Home, new_home
from tests.waiting import wait_for

pytest.importorskip("prometheus_client", reason="the set services is not installed")
from prometheus_client import CollectorRegistry
from prometheus_client.parser import text_string_to_metric_families

from resources.run_queue_metrics import WITH_WORKER, RunQueueCollector, families

JOB = "process_video"
ORIGIN = RemoteJobOrigin(RemoteRepositoryOrigin(RegisteredCodeLocationOrigin("neurovision"), "__repository__"), JOB)
"""Where a run that waits will find its job."""
URL = "NEUROVISION_DAGSTER_DATABASE_URL"
PUT_IN = {"QUEUED": 3, "STARTING": 1, "STARTED": 2, "CANCELING": 1, "NOT_STARTED": 2, "SUCCESS": 4, "FAILURE": 1}
FIGURES = {"queue": 3.0, "starting": 1.0, "started": 2.0, "canceling": 1.0, "limit": 2.0}
EMPTY = {"queue": 0.0, "starting": 0.0, "started": 0.0, "canceling": 0.0, "limit": 2.0}
NAMES = {"neurovision_queue_length": "queue", "neurovision_worker_limit": "limit"}
NO_ANSWER_S = 60.0
"""Longer than the exporter itself waits for its database."""


@dataclass(frozen=True)
class Page:
    """One answer."""

    status: int
    text: str

    @property
    def figures(self) -> dict[str, float]:
        """By what they count."""
        samples = [sample for family in text_string_to_metric_families(self.text) for sample in family.samples]
        return {NAMES.get(sample.name) or sample.labels["status"]: sample.value for sample in samples}


@dataclass(frozen=True)
class Exporter:
    """The running command."""

    process: subprocess.Popen[bytes]
    url: str
    log: Path

    def page(self, path: str = "/metrics") -> Page:
        """Ask for it."""
        try:
            with urllib.request.urlopen(f"{self.url}{path}", timeout=NO_ANSWER_S) as answer:  # noqa: S310
                return Page(answer.status, answer.read().decode())
        except urllib.error.HTTPError as error:
            return Page(error.code, error.read().decode())

    def figures(self) -> dict[str, float]:
        """Those of the first scrape that has some: a busy machine may need more than one to open the instance."""
        return wait_for("the figures", lambda: (page := self.page()).status == 200 and page).figures

    def end(self, number: signal.Signals) -> int:
        """Its exit code after a signal."""
        self.process.send_signal(number)
        return self.process.wait(NO_ANSWER_S)


@contextmanager
def exporter(home: Home, words: Sequence[str] = ("-m", "commands.metrics", "--port=0")) -> Iterator[Exporter]:
    """The command in a process of its own, listening."""
    out, log = home.path / "metrics.out", home.path / "metrics.log"
    with out.open("wb") as output, log.open("wb") as errors:
        command = [sys.executable, *words]
        process = subprocess.Popen(command, cwd=REPOSITORY_ROOT, env=home.environment, stdout=output, stderr=errors)

    def said() -> str:
        assert process.poll() is None, log.read_text()
        return out.read_text().strip()

    try:
        url = wait_for("the exporter's address", said).removeprefix("metrics: ").removesuffix("/metrics")
        yield Exporter(process, url, log)
    finally:
        process.kill()
        process.wait()


def put_in(instance: dg.DagsterInstance) -> dict[str, list[dg.DagsterRun]]:
    """Runs of every status, by status."""
    return {
        status: [
            instance.add_run(dg.DagsterRun(job_name=JOB, status=dg.DagsterRunStatus(status), remote_job_origin=ORIGIN))
            for _ in range(count)
        ]
        for status, count in PUT_IN.items()
    }


def require_refusal(page: Page, *told: str) -> None:
    """One line that says why, and not one figure."""
    assert page.status == 503
    (line,) = page.text.splitlines()
    assert line.startswith("Dagster's run storage: ")
    assert all(words in line for words in told), line


@contextmanager
def instance_of(home: Home, database_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[dg.DagsterInstance]:
    """What webserver and daemon of this home would open."""
    monkeypatch.setenv(URL, database_url)
    settings = Settings(home=home.path, dagster_database_url=database_url)
    with dg.DagsterInstance.from_config(str(prepare_dagster_home(settings))) as instance:
        yield instance


@pytest.mark.parametrize(
    "storage", ["sqlite", pytest.param("postgresql", marks=[pytest.mark.services, pytest.mark.xdist_group("postgres")])]
)
def test_what_waits_and_what_has_a_worker_is_counted_at_each_scrape(
    storage: str, tmp_path: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    database_url = request.getfixturevalue("database_url") if storage == "postgresql" else ""
    home = new_home(tmp_path / "home", **{URL: database_url})
    with exporter(home) as metrics, instance_of(home, database_url, monkeypatch) as instance:
        assert metrics.figures() == EMPTY
        runs = put_in(instance)
        page = metrics.page()
        assert page.status == 200
        assert page.figures == FIGURES
        instance.report_run_canceled(runs["QUEUED"][0])
        instance.report_run_canceling(runs["STARTED"][0])
        instance.report_run_failed(runs["STARTING"][0])
        assert metrics.figures() == FIGURES | {"queue": 2.0, "starting": 0.0, "started": 1.0, "canceling": 2.0}
        assert "# TYPE neurovision_worker_count gauge" in page.text
        assert metrics.page("/").status == 404
        assert metrics.end(signal.SIGTERM) == 0
        assert metrics.log.read_text() == ""


def test_a_home_that_is_gone_is_told_and_no_older_figure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = new_home(tmp_path / "home")
    with exporter(home) as metrics, instance_of(home, "", monkeypatch) as instance:
        put_in(instance)
        assert metrics.figures() == FIGURES
        (home.path / "dagster").rename(tmp_path / "elsewhere")
        require_refusal(metrics.page(), "unable to open database file")
        assert metrics.page("/healthz") == Page(200, "ok\n")
        (tmp_path / "elsewhere").rename(home.path / "dagster")
        assert metrics.figures() == FIGURES
        assert metrics.end(signal.SIGINT) == 0


@pytest.fixture
def own_server() -> Iterator[Postgres]:
    """A server that this test alone starts and breaks; its database is made, and it is stopped."""
    folder = Path(tempfile.mkdtemp(prefix="neurovision-metrics-"))
    folder.chmod(0o755)  # root starts it as nobody, who must come through
    try:
        programs()
        server = Postgres(folder / "server", durable=False)
        with server:
            server.database("dagster")
        yield server
        server.kill()
    except ConfigurationError as error:
        pytest.skip(str(error))
    finally:
        shutil.rmtree(folder)


@pytest.mark.services
@pytest.mark.slow
@pytest.mark.xdist_group("postgres")
def test_a_server_that_is_not_there_or_hangs_is_told_and_found_again(own_server: Postgres, tmp_path: Path) -> None:
    """Not there when the exporter starts, then there, killed, there again, frozen; the exporter ends all the same."""
    home = new_home(tmp_path / "home", **{URL: own_server.url("dagster")})
    with exporter(home) as metrics:
        require_refusal(metrics.page())
        with own_server:
            assert metrics.figures() == EMPTY
            own_server.kill()
            require_refusal(metrics.page())
        with own_server:
            assert metrics.figures() == EMPTY
            own_server.freeze()
            try:
                for _ in range(2):
                    require_refusal(metrics.page(), "did not answer within 8 s")
                assert metrics.page("/healthz").status == 200
                assert metrics.end(signal.SIGTERM) == 0
            finally:
                own_server.thaw()
        assert own_server.password not in metrics.log.read_text()
        assert "error: Dagster's run storage: " in metrics.log.read_text()


def test_a_storage_that_hangs_holds_one_thread_however_often_it_is_asked() -> None:
    answers = threading.Event()
    with dg.instance_for_test() as instance:

        def open_slowly() -> dg.DagsterInstance:
            answers.wait()
            return instance

        collector = RunQueueCollector(open_slowly, deadline_s=0.2)
        for _ in range(3):
            with pytest.raises(TransientFailure, match="did not answer"):
                collector.collect()
        assert len([thread for thread in threading.enumerate() if thread.name == "run-queue"]) == 1
        answers.set()
        wait_for("an answer", lambda: answered(collector))


def answered(collector: RunQueueCollector) -> bool:
    """Whether a scrape has figures now."""
    with suppress(TransientFailure):
        return bool(list(collector.collect()))
    return False


def test_the_statuses_are_those_that_dagster_counts_against_the_cap() -> None:
    assert list(WITH_WORKER) == ACTIVE_RUN_STATUSES


def test_a_queue_without_a_cap_and_an_instance_without_a_queue() -> None:
    def limit(cap: int | None) -> list[float]:
        return [one.value for family in families({}, cap) for one in family.samples if one.name.endswith("limit")]

    assert (limit(-1), limit(0), limit(None)) == ([math.inf], [0.0], [])
    at_once = {"run_coordinator": {"module": "dagster._core.run_coordinator", "class": "DefaultRunCoordinator"}}
    with dg.instance_for_test(overrides=at_once) as instance:
        names = {sample.name for family in RunQueueCollector(lambda: instance).collect() for sample in family.samples}
    assert names == {"neurovision_queue_length", "neurovision_worker_count"}


def test_two_collectors_of_the_same_figures_are_refused_and_nobody_is_asked() -> None:
    registry = CollectorRegistry()
    registry.register(RunQueueCollector(pytest.fail))
    with pytest.raises(ValueError, match="Duplicated timeseries"):
        registry.register(RunQueueCollector(pytest.fail))


def test_what_cannot_start_says_why_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ConfigurationError, match=r"There is no dagster\.yaml in it\."):
        commands.metrics.dagster_home(tmp_path)
    assert list(tmp_path.iterdir()) == []
    home = prepare_dagster_home(Settings(home=tmp_path))
    taken = commands.metrics.listen("127.0.0.1", 0, lambda _environ, _start: [])
    assert commands.metrics.main(["--instance", str(home), "--port", str(taken.server_port)]) == 1
    taken.server_close()
    assert capsys.readouterr().err.startswith(f"error: 127.0.0.1:{taken.server_port}: The address cannot be used")
    monkeypatch.setattr(commands.metrics, "find_spec", lambda _: None)
    assert commands.metrics.main(["--instance", str(home)]) == 1
    assert "sh scripts/setup.sh services" in capsys.readouterr().err
