"""A real daemon: files are dropped, and what comes of them is looked for in its storage, its logs and at a receiver."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import dagster as dg
import pytest

from neurovision_assets.partitions import video_ids
from neurovision_assets.uploads.asset import ACCEPTED_CHECK, UPLOADS_KEY
from tests.conftest import REPOSITORY
from tests.incoming import PATIENT, video_bytes
from tests.receiver import receiving
from tests.uploads_platform import UNREADABLE
from tests.waiting import PATIENCE_S, wait_for

PATIENT_ID = "MRN-5551234"
SETTINGS = {"SENSOR_INTERVAL_S": "1", "UPLOAD_SETTLE_S": "1", "UPLOAD_SIDECAR_WAIT_S": "2"}
RESTRICTED = ("raw", "rejected", "incoming")


@contextmanager
def daemon(home: Path) -> Iterator[None]:
    """``dagster-daemon`` on a home; it and the servers that it starts are ended as one group."""
    (home / "dagster").mkdir(parents=True)
    (home / "dagster" / "dagster.yaml").write_text("telemetry: {enabled: false}\n")
    environment = os.environ | {f"NEUROVISION_{name}": value for name, value in SETTINGS.items()}
    environment |= {
        "NEUROVISION_HOME": str(home),
        "DAGSTER_HOME": str(home / "dagster"),
        "ANONYMIZATION_SALT": "key",
        "PYTHONPATH": str(REPOSITORY),
    }
    command = [sys.executable, "-m", "dagster._daemon", "run", "-m", "tests.uploads_platform"]
    with (home / "daemon.log").open("wb") as log:
        process = subprocess.Popen(
            command, cwd=REPOSITORY, env=environment, stdout=log, stderr=log, start_new_session=True
        )
        try:
            yield
        finally:
            os.killpg(process.pid, signal.SIGINT)
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)


@pytest.mark.slow
def test_dropped_files_become_runs_refusals_and_callbacks_without_a_name(tmp_path: Path) -> None:
    home = tmp_path / "home"
    incoming = home / "incoming"
    with receiving() as receiver, daemon(home):
        incoming.mkdir()
        good = {"patient_id": PATIENT_ID, "operation_id": "good", "callback_url": receiver.url}
        bad = {"operation_id": "bad", "callback_url": receiver.url}
        (incoming / f"{PATIENT}.json").write_text(json.dumps(good))
        (incoming / f"{PATIENT}.mp4").write_bytes(video_bytes(1))
        (incoming / f"{PATIENT} 2.mp4").write_bytes(UNREADABLE)
        (incoming / f"{PATIENT} 2.json").write_text(json.dumps(bad))
        (incoming / f"{PATIENT} empty.mp4").write_bytes(b"")
        assert receiver.wait_for(2, PATIENCE_S), (home / "daemon.log").read_text()[-3000:]
        wait_for("the refusal", lambda: len(list((home / "rejected").glob("*.reason.txt"))) == 1)
        wait_for("an empty incoming/", lambda: list(incoming.iterdir()) == [])

    told = {message["operation_id"]: message for message in receiver.messages}
    assert told["good"] == {"status": "completed", "operation_id": "good"}
    assert told["bad"]["status"] == "failed"
    assert "cannot be decoded" in told["bad"]["error"]
    with dg.DagsterInstance.from_config(str(home / "dagster")) as instance:
        assert len(instance.get_dynamic_partitions(str(video_ids.name))) == 2
        assert len(instance.get_runs()) == 2
        checks = instance.event_log_storage.get_asset_check_execution_history(
            dg.AssetCheckKey(UPLOADS_KEY, ACCEPTED_CHECK), limit=10
        )
        assert sorted(str(check.status) for check in checks) == [
            "AssetCheckExecutionRecordStatus.FAILED",
            "AssetCheckExecutionRecordStatus.SUCCEEDED",
            "AssetCheckExecutionRecordStatus.SUCCEEDED",
        ]
    assert mentions(home, PATIENT_ID) == []
    for name in (PATIENT, PATIENT.split()[0], json.dumps(PATIENT).strip('"')):
        assert mentions(home, name) == []


def mentions(home: Path, secret: str) -> list[Path]:
    """Files outside the restricted folders whose bytes or names contain a secret."""
    files = [path for path in home.rglob("*") if path.is_file() and path.relative_to(home).parts[0] not in RESTRICTED]
    assert any(path.suffix == ".db" for path in files)
    return [path for path in files if secret in str(path) or secret.encode() in path.read_bytes()]
