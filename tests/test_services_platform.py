"""`make up-services` with everything real: what starts, what it computes, what it tells of secrets and mistakes."""

from __future__ import annotations

import contextlib
import json
import re
import shutil
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import psutil
import pytest
import requests

from commands.platform import PlatformRecord, processes_of
from commands.services import seaweedfs
from commands.services.stack import BUCKET, Stack
from commands.services.triton import STUB
from commands.up_services import read_servers, stack_of
from neurovision_assets.artifacts import ArtifactReader
from resources.datasets import DatasetRepository
from resources.errors import TransientFailure
from resources.model_registry import ModelRegistry
from resources.object_store import ObjectStore
from resources.settings import Settings
from simulator.operation import plan_operation
from simulator.video import write_video
from tests.main_job import Finished, Home, free_port, new_home

pytestmark = [
    pytest.mark.slow,
    pytest.mark.services,
    pytest.mark.xdist_group("platform"),
    pytest.mark.timeout(1200),
]
WITHOUT_MODEL = ("video", "frames")
WITH_MODEL = ("features", "phases", "instruments", "anatomy", "events")
TOLERANCE = 1e-4
REPORT_S = 600.0
SHOWN = """{ instance { info }
  repositoriesOrError { ... on RepositoryConnection { nodes { name
    allTopLevelResourceDetails { name configuredValues { key value } } } } }
  runsOrError { ... on Runs { results { runConfigYaml tags { key value } } } } }"""
"""What the UI shows of configuration."""


class Hospital:
    """Servers, the platform on them, and a laptop beside them."""

    def __init__(self, folder: Path) -> None:
        self.home = new_home(folder / "servers")
        self.laptop = new_home(folder / "laptop")
        self.stack: Stack = stack_of(Settings(home=self.home.path))
        self.port = free_port()
        self.video = folder / "operation_007.mp4"

    def up(self) -> Finished:
        """``make up-services``."""
        return self.home.command("up_services", "--port", str(self.port))

    @property
    def platform(self) -> Home:
        """Commands on the servers: they are led there by the file alone."""
        variables = {n: v for n, v in self.home.environment.items() if n != "NEUROVISION_HOME"}
        file = {"NEUROVISION_SETTINGS_FILE": str(self.stack.settings_file)}
        return Home(self.stack.platform_home, {**variables, **file})

    def with_settings(self, **changed: str) -> Home:
        """The same with some variables otherwise: the environment comes before the file."""
        return Home(self.platform.path, {**self.platform.environment, **changed})

    @property
    def store(self) -> ObjectStore:
        """Its objects."""
        url = self.stack.settings()["NEUROVISION_OBJECT_STORE_URL"]
        return ObjectStore(url=url, endpoint_url=self.stack.store.url, home=str(self.stack.platform_home))

    @property
    def secrets(self) -> list[str]:
        """What nobody may read anywhere."""
        chosen = self.stack.choices
        return [chosen.database_password, chosen.s3_secret, chosen.s3_encryption_secret]


@pytest.fixture(scope="module")
def hospital() -> Iterator[Hospital]:
    for library in ("psycopg2", "boto3", "mlflow", "tritonclient.grpc"):
        pytest.importorskip(library, reason="the sets learn and services are not installed")
    if not STUB.is_file() or not seaweedfs.PROGRAM.is_file():
        pytest.skip("servers are not installed: sh scripts/servers.sh seaweedfs triton")
    folder = Path(tempfile.mkdtemp(prefix="neurovision-services-"))
    folder.chmod(0o755)  # root starts PostgreSQL as nobody, who must come through
    hospital = Hospital(folder)
    write_video(plan_operation(7, 20.0), hospital.video, fps=2.0)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ACCESS_KEY_ID", hospital.stack.choices.s3_key)
        patch.setenv("AWS_SECRET_ACCESS_KEY", hospital.stack.choices.s3_secret)
        try:
            started = hospital.up()
            assert started.code == 0, started.err
            yield hospital
        finally:
            hospital.home.command("down_services")
            shutil.rmtree(folder)


def processes(stack: Stack) -> list[psutil.Process]:
    record = read_servers(stack)
    return processes_of(record) if record else []


def test_all_answers_and_a_second_start_finds_it(hospital: Hospital) -> None:
    before = {process.pid for process in processes(hospital.stack)}
    doctor = hospital.platform.command("doctor")
    assert doctor.code == 0, doctor.out
    assert doctor.out.endswith("all is well\n")
    assert doctor.out.count("\n  ok ") == 8, doctor.out
    again = hospital.up()
    assert again.code == 0, again.err
    assert "started:" not in again.out
    assert before <= {process.pid for process in processes(hospital.stack)}


def test_a_server_that_died_is_started_again_and_keeps_what_it_had(hospital: Hospital) -> None:
    record = read_servers(hospital.stack)
    assert isinstance(record, PlatformRecord)
    hospital.store.write_bytes("kept/thing", b"still there")
    for process in [psutil.Process(record.pids[name]) for name in ("seaweedfs", "postgresql")]:
        for one in (process, *process.children(recursive=True)):
            with contextlib.suppress(psutil.NoSuchProcess):
                one.kill()
        psutil.wait_procs([process], timeout=30)
    told = hospital.platform.command("doctor")
    assert told.code == 1
    assert told.out.count("\n  wrong") == 6, told.out
    assert "NEUROVISION_DATABASE_URL: Nothing answers at 127.0.0.1" in told.out

    again = hospital.up()
    assert again.code == 0, again.err
    assert [line for line in again.out.splitlines() if line.startswith("started:")] == [
        "started:     postgresql",
        "started:     seaweedfs",
    ]
    assert hospital.store.read_bytes("kept/thing") == b"still there"


def test_the_results_are_those_of_a_laptop(hospital: Hospital) -> None:
    ours, theirs = hospital.platform.process(hospital.video), hospital.laptop.process(hospital.video)
    assert (ours.code, theirs.code) == (0, 0), ours.err + theirs.err
    assert ours.video_id == theirs.video_id
    laptop, servers = ArtifactReader(hospital.laptop.store), ArtifactReader(hospital.store)
    for stage in (*WITHOUT_MODEL, *WITH_MODEL):
        one = laptop.required_record(f"surgery/{stage}", ours.video_id)
        other = servers.required_record(f"surgery/{stage}", ours.video_id)
        if stage in WITHOUT_MODEL:
            assert one.data_version == other.data_version, stage
        for part in one.parts:
            if part.name.endswith("parquet"):
                require_alike(
                    pd.read_parquet(laptop.path(one, part.name)), pd.read_parquet(servers.path(other, part.name))
                )
    used = servers.required_record("surgery/phases", ours.video_id).provenance.models
    assert {model.engine for model in used} == {"triton"}
    assert re.search(
        r"Triton, since this run first asked it: [1-9]\d* requests answered, 0 ", dump_of(hospital, "dagster")
    )


def require_alike(one: pd.DataFrame, other: pd.DataFrame) -> None:
    """Numbers within the tolerance, everything else the same."""
    assert list(one.columns) == list(other.columns)
    assert len(one) == len(other)
    for column in one.columns:
        for left, right in zip(one[column], other[column], strict=True):
            if isinstance(left, (float, np.floating, np.ndarray)):
                np.testing.assert_allclose(left, right, atol=TOLERANCE, rtol=TOLERANCE, err_msg=column)
            else:
                assert left == right, column


def test_the_trial_s_upload_becomes_a_report_by_itself(hospital: Hospital, tmp_path: Path) -> None:
    video = tmp_path / "operation_008.mp4"
    write_video(plan_operation(8, 20.0), video, fps=2.0)
    tried = hospital.platform.command("trial", str(video), "--wait", str(REPORT_S), timeout_s=2 * REPORT_S)
    assert tried.code == 0, tried.err
    [key] = re.findall(r"^report: (surgery/report/operation_\S+\.html) \(after", tried.out, re.MULTILINE)
    assert hospital.store.stat(key)
    assert not hospital.store.list_folder("incoming")


def test_a_trial_that_is_refused_says_why(hospital: Hospital, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("no video")
    tried = hospital.platform.command("trial", str(tmp_path / "notes.txt"), "--wait", str(REPORT_S))
    assert (tried.code, tried.out) == (1, "")
    assert re.match(r"error: operation_\d+: It was refused\. \S", tried.err), tried.err


def test_no_secret_is_told_anywhere(hospital: Hospital) -> None:
    allowed = {"settings.env", "choices.json", "s3.json"}
    for path in hospital.home.path.rglob("*"):
        in_cluster = "postgres" in path.relative_to(hospital.home.path).parts
        if not path.is_file() or in_cluster or "data" in path.parts:
            continue
        text = path.read_bytes()
        found = [secret for secret in hospital.secrets if secret.encode() in text]
        if path.name in allowed:
            assert stat.S_IMODE(path.stat().st_mode) == 0o600, path
        else:
            assert not found, path
    told = requests.post(f"http://127.0.0.1:{hospital.port}/graphql", json={"query": SHOWN}, timeout=60).json()
    assert "errors" not in told, told
    repositories = told["data"]["repositoriesOrError"]["nodes"]
    assert any(repository["allTopLevelResourceDetails"] for repository in repositories)
    assert told["data"]["runsOrError"]["results"]
    shown = [json.dumps(told), hospital.platform.command("doctor").out]
    shown += [" ".join(process.info["cmdline"] or ()) for process in psutil.process_iter(["cmdline"])]
    shown += [dump_of(hospital, "dagster"), dump_of(hospital, "neurovision")]
    assert not [secret for secret in hospital.secrets for text in shown if secret in text]


def dump_of(hospital: Hospital, database: str) -> str:
    """All rows of a database as text."""
    import psycopg2

    url = hospital.stack.postgres.url(database).replace("+psycopg2", "")
    with psycopg2.connect(url) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
        names = [name for (name,) in cursor.fetchall()]
        texts = []
        for name in names:
            cursor.execute(f'SELECT t::text FROM "{name}" t')  # noqa: S608
            texts += [row for (row,) in cursor.fetchall()]
    connection.close()
    assert names
    return "\n".join(texts)


def runs_of(hospital: Hospital) -> int:
    import psycopg2

    url = hospital.stack.postgres.url("dagster").replace("+psycopg2", "")
    with psycopg2.connect(url) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM runs")
        return int(cursor.fetchone()[0])  # type: ignore[index]


def test_every_server_that_is_wrong_is_a_line_before_any_work(hospital: Hospital) -> None:
    """One at a time: `test_wrong_servers`."""
    before = runs_of(hospital)
    wrong = {"NEUROVISION_OBJECT_STORE_URL": "s3://absent/objects", "NEUROVISION_TRITON_URL": "grpc://127.0.0.1:9"}
    refused = hospital.with_settings(**wrong).command("process", str(hospital.video))
    assert (refused.code, refused.out) == (1, "")
    bucket, triton = refused.err.splitlines()
    assert bucket.startswith("error: NEUROVISION_OBJECT_STORE_URL: The bucket 'absent' does not exist")
    assert triton.startswith("error: NEUROVISION_TRITON_URL: Nothing answers at")
    assert runs_of(hospital) == before


def test_a_frozen_server_is_said_within_the_deadline(hospital: Hospital) -> None:
    record = read_servers(hospital.stack)
    assert record is not None
    postmaster = psutil.Process(record.pids["postgresql"])
    everybody = [postmaster, *postmaster.children(recursive=True)]
    for process in everybody:
        process.suspend()
    try:
        told = hospital.platform.command("doctor", timeout_s=120)
    finally:
        for process in everybody:
            process.resume()
    assert told.code == 1
    wrong = [line for line in told.out.splitlines() if line.strip().startswith("wrong")]
    silent = re.compile("application database: .*(said nothing|timeout expired)")
    assert any(silent.search(line) for line in wrong), wrong


def test_mlflow_keeps_rows_in_postgresql_and_artifacts_in_the_bucket(hospital: Hospital, tmp_path: Path) -> None:
    registry = ModelRegistry(tracking_uri=hospital.stack.mlflow.url, experiment_name="services")
    with registry.start_run("train_something") as run:
        run.log_params({"seed": 7})
        run.log_metrics({"train_loss": 0.5}, step=1)
        note = tmp_path / "note.txt"
        note.write_text("an artifact")
        run.log_artifact(note)
    assert "train_something" in dump_of(hospital, "mlflow")
    kept = ObjectStore(url=f"s3://{BUCKET}/mlflow", endpoint_url=hospital.stack.store.url, home=str(tmp_path))
    experiment = registry.client().get_experiment_by_name("services").experiment_id
    assert kept.read_bytes(f"{experiment}/{run.run_id}/artifacts/note.txt") == b"an artifact"


def test_data_sets_are_pushed_to_the_bucket_and_fetched_from_it(
    hospital: Hospital, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings: dict[str, Any] = {
        "remote_url": f"s3://{BUCKET}/data-sets",
        "s3_endpoint_url": hospital.stack.store.url,
        "s3_region": "us-east-1",
    }
    repository = DatasetRepository(folder=str(tmp_path / "sets"), **settings)
    with repository.lock():
        (repository.root / "raw").mkdir()
        (repository.root / "raw" / "rows.csv").write_text("a,b\n1,2\n")
        repository.add(["raw"], "Some rows")
        version = repository.publish()
    shutil.rmtree(repository.root / ".dvc" / "cache")
    fetched = repository.fetch(str(version.tag), "raw", tmp_path / "fetched")
    assert (fetched / "rows.csv").read_text() == "a,b\n1,2\n"
    for path in repository.root.rglob("*"):
        assert not path.is_file() or hospital.stack.choices.s3_secret.encode() not in path.read_bytes()

    shutil.rmtree(repository.root / ".dvc" / "cache")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "no-such-secret")
    with pytest.raises(TransientFailure, match="dvc pull failed") as refused:
        repository.fetch(str(version.tag), "raw", tmp_path / "again")
    assert "no-such-secret" not in str(refused.value)


def test_down_leaves_nothing_and_up_finds_what_was_kept(hospital: Hospital) -> None:
    before = processes(hospital.stack)
    assert len(before) >= 8
    stopped = hospital.home.command("down_services")
    assert stopped.code == 0, stopped.err
    assert not [process for process in before if process.is_running() and process.status() != psutil.STATUS_ZOMBIE]
    assert hospital.home.command("down_services").out == "nothing to stop: the servers are not up\n"
    assert hospital.up().code == 0
    assert hospital.store.stat("surgery/report/index") is None
    assert hospital.platform.process(hospital.video).out.count("everything is up to date") == 1
