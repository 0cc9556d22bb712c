"""What the platform's commands share: its homes, the record of what runs, and the processes behind it.

Belongs here: DAGSTER_HOME, the environment that servers and runs are started with, finding and stopping what ``up``
started. Does not belong here: the order in which a command does things (``up``, ``down``, ``status``), and anything
that loads Dagster: these commands must answer at once.
"""

from __future__ import annotations

import os
import shutil
import signal
import time
import uuid
from contextlib import suppress
from pathlib import Path

import psutil
from pydantic import BaseModel, ConfigDict, ValidationError

from commands.instance import instance_config
from resources.errors import ConfigurationError
from resources.settings import REPOSITORY_ROOT, Settings

MARK = "NEUROVISION_PLATFORM"
"""Environment variable that all processes of one ``make up`` inherit: whoever carries its value was started by it."""
TERMINATE_WAIT_S = 20.0
KILL_WAIT_S = 5.0


def prepare_dagster_home(settings: Settings) -> Path:
    """Make DAGSTER_HOME below the data home and bring its ``dagster.yaml`` up to date.

    Returns:
        The folder, absolute.

    Raises:
        ConfigurationError: the data home cannot be written, or a setting cannot be followed.
    """
    home = settings.home.absolute() / "dagster"
    source, target = instance_config(settings, home), home / "dagster.yaml"
    try:
        home.mkdir(parents=True, exist_ok=True)
        if not target.is_file() or target.read_bytes() != source:  # a running daemon may be reading it
            temporary = home / f".dagster.yaml.{uuid.uuid4().hex}"
            temporary.write_bytes(source)
            temporary.replace(target)
    except OSError as error:
        raise ConfigurationError(
            f"The data home cannot be written ({error.strerror}).",
            subject=f"NEUROVISION_HOME {settings.home}",
            remedy="Name a folder that this user may write to.",
        ) from error
    return home


def platform_environment(settings: Settings, dagster_home: Path, token: str) -> dict[str, str]:
    """The environment of everything that ``up`` starts; runs inherit it. This checkout's code comes first for them."""
    python_path = [str(REPOSITORY_ROOT), os.environ.get("PYTHONPATH", "")]
    return {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(filter(None, python_path)),
        "DAGSTER_HOME": str(dagster_home),
        "DAGSTER_DISABLE_TELEMETRY": "1",
        "NEUROVISION_HOME": str(settings.home.absolute()),
        MARK: token,
    }


class PlatformRecord(BaseModel):
    """What ``up`` leaves in ``run/platform.json`` for ``down`` and ``status``.

    Attributes:
        token: value of :data:`MARK` in the environment of every process it started.
        url: of the Dagster UI.
        pids: process id of each server, by its name.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    token: str
    url: str
    pids: dict[str, int] = {}


def record_path(settings: Settings) -> Path:
    """Where the record of the running platform lies."""
    return settings.home.absolute() / "run" / "platform.json"


def log_path(settings: Settings, server: str) -> Path:
    """Where a server writes what it has to say."""
    return settings.home.absolute() / "logs" / f"{server}.log"


def write_record(settings: Settings, record: PlatformRecord) -> None:
    """Replace the record, atomically."""
    path = record_path(settings)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".tmp")
    temporary.write_text(record.model_dump_json())
    temporary.replace(path)


def read_record(settings: Settings) -> PlatformRecord | None:
    """The record, or None when there is none or it cannot be read (then it names nothing that could be stopped)."""
    try:
        return PlatformRecord.model_validate_json(record_path(settings).read_bytes())
    except (FileNotFoundError, ValidationError):
        return None


def processes_of(record: PlatformRecord) -> list[psutil.Process]:
    """Every living process that was started by the recorded ``up``: servers, code servers, run workers.

    The mark in the environment is asked for, not the process id: ids are given again to strangers.
    """
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if process.status() != psutil.STATUS_ZOMBIE and process.environ().get(MARK) == record.token:
                found.append(process)
    return [process for process in found if process.pid != os.getpid()]


def living_servers(record: PlatformRecord) -> set[str]:
    """Names of the recorded servers whose process is there and is ours."""
    ours = {process.pid for process in processes_of(record)}
    return {name for name, pid in record.pids.items() if pid in ours}


def stop(record: PlatformRecord) -> int:
    """Stop all that the recorded ``up`` started, politely, then by force.

    Returns:
        How many processes were stopped.
    """
    stopped: set[int] = set()
    for signal_number, patience_s in ((signal.SIGTERM, TERMINATE_WAIT_S), (signal.SIGKILL, KILL_WAIT_S)):
        signalled: set[int] = set()
        deadline_s = time.monotonic() + patience_s
        while time.monotonic() < deadline_s and (alive := processes_of(record)):
            for process in alive:  # a server may start another while it is asked to go: look again each time
                if process.pid not in signalled:
                    with suppress(psutil.NoSuchProcess):
                        process.send_signal(signal_number)
                    signalled.add(process.pid)
            psutil.wait_procs(alive, timeout=0.2)
        stopped |= signalled
    return len(stopped)


def keep_one_old_log(path: Path) -> None:
    """Start a fresh log and keep the one before it: logs of a daemon that looks every few seconds grow without end."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.exists():
        shutil.move(path, path.with_suffix(".log.1"))
