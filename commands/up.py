"""``make up``: start the Dagster UI and the daemon in the background, and say when they are ready.

Belongs here: the order of a start and what is said about it. Does not belong here: finding and stopping processes
(``platform``), what the servers load (``workspace.yaml``), what starts by itself there (``sensors``).
"""

from __future__ import annotations

import argparse
import socket
import subprocess
import sys
import time
import uuid
from pathlib import Path

from filelock import FileLock

from commands.checks import require_answers
from commands.locations import usable_workspace
from commands.platform import (
    PlatformRecord,
    keep_one_old_log,
    living_servers,
    log_path,
    platform_environment,
    prepare_dagster_home,
    processes_of,
    read_record,
    record_path,
    stop,
    write_record,
)
from commands.readiness import Readiness, ask
from resources.errors import ConfigurationError, NeuroVisionError, TransientFailure
from resources.settings import REPOSITORY_ROOT, Settings, load_settings

HOST = "127.0.0.1"
"""The UI has no login and can do anything: it is for this machine only."""
DEFAULT_PORT = 3000
START_WAIT_S = 240.0
POLL_S = 0.5
LOG_LINES_SHOWN = 15


def main(arguments: list[str] | None = None) -> int:
    """Parse the arguments, start, report; the exit code says whether the platform runs."""
    parser = argparse.ArgumentParser(prog="make up", description="Start the platform in the background.")
    parser.add_argument("--port", type=int, help=f"port of the Dagster UI (default {DEFAULT_PORT})")
    parser.add_argument("--workspace", type=Path, default=REPOSITORY_ROOT / "workspace.yaml", help="code locations")
    options = parser.parse_args(arguments)
    try:
        up(load_settings(), options.port, options.workspace)
    except NeuroVisionError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def up(settings: Settings, wanted_port: int | None, workspace: Path) -> None:
    """Start webserver and daemon and wait until both work.

    Args:
        settings: where the platform lives.
        wanted_port: of the Dagster UI; None: the usual one, or the one where it runs already.
        workspace: the code locations.

    Raises:
        ConfigurationError: the port is taken, the platform runs on another, a server refuses us, or the code cannot
            be loaded.
        TransientFailure: a server ended or was not ready in time; the last lines of its log are part of the text.
    """
    started_s = time.monotonic()
    dagster_home = prepare_dagster_home(settings)
    record_path(settings).parent.mkdir(exist_ok=True)
    with FileLock(record_path(settings).with_name("up.lock")):  # two starts at once: the second finds the first's work
        if _is_running_already(settings, wanted_port):
            return
        port = DEFAULT_PORT if wanted_port is None else wanted_port
        _require_free_port(port)
        require_answers(settings)
        _create_databases(dagster_home)
        record = PlatformRecord(token=uuid.uuid4().hex, url=f"http://{HOST}:{port}")
        workspace, left_out = usable_workspace(workspace, settings)
        try:
            record, servers = _start(settings, record, dagster_home, workspace)
            answer = _wait_until_ready(settings, record, servers)
        except BaseException:  # also Ctrl-C: nothing stays half-started
            _clear(settings, record)
            raise
    _say_ready(settings, record, time.monotonic() - started_s)
    for line in left_out:
        print(line)
    for line in _warnings(answer):
        print(f"warning: {line}", file=sys.stderr)


def _is_running_already(settings: Settings, wanted_port: int | None) -> bool:
    """Whether all servers of an earlier start live; what is left of one that partly died is stopped."""
    record = read_record(settings)
    if record is None:
        return False
    if record.pids and living_servers(record) == set(record.pids):
        if wanted_port is not None and record.url != f"http://{HOST}:{wanted_port}":
            raise ConfigurationError(
                f"The platform runs already, at {record.url}.",
                subject=f"{HOST}:{wanted_port}",
                remedy="Use it there, or stop it first: make down",
            )
        print(f"already up: {record.url} ({ask(record.url)})")
        return True
    if processes_of(record):
        print("only a part of the platform was alive; it is stopped and started anew")
    _clear(settings, record)
    return False


def _clear(settings: Settings, record: PlatformRecord) -> None:
    stop(record)
    record_path(settings).unlink(missing_ok=True)


def _require_free_port(port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except (OSError, OverflowError) as error:
            raise ConfigurationError(
                f"The port cannot be used: {error}.",
                subject=f"{HOST}:{port}",
                remedy=f"Stop what listens there, or choose another: make up PORT={port + 1}",
            ) from error


def _create_databases(dagster_home: Path) -> None:
    """Two servers that create the same SQLite tables at once trip over each other: create them before either starts."""
    import dagster as dg  # two seconds that "already up" need not wait for

    with dg.DagsterInstance.from_config(str(dagster_home)) as instance:
        instance.get_runs_count()
        instance.get_dynamic_partitions("video_id")
        instance.all_instigator_state()


def _start(
    settings: Settings, record: PlatformRecord, dagster_home: Path, workspace: Path
) -> tuple[PlatformRecord, dict[str, subprocess.Popen[bytes]]]:
    """Start both servers; the record is on disk before the first of them, so that ``down`` finds them in any case."""
    write_record(settings, record)
    programs, port = Path(sys.executable).parent, record.url.rpartition(":")[2]
    commands = {
        "webserver": [programs / "dagster-webserver", "-h", HOST, "-p", port, "-w", workspace],
        "daemon": [programs / "dagster-daemon", "run", "-w", workspace],
    }
    environment = platform_environment(settings, dagster_home, record.token)
    servers = {}
    for name, command in commands.items():
        log = log_path(settings, name)
        keep_one_old_log(log)
        with log.open("wb") as output:
            servers[name] = subprocess.Popen(
                [str(part) for part in command],
                cwd=REPOSITORY_ROOT,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C in the terminal that started it is not for the platform
            )
    record = record.model_copy(update={"pids": {name: server.pid for name, server in servers.items()}})
    write_record(settings, record)
    return record, servers


def _wait_until_ready(
    settings: Settings, record: PlatformRecord, servers: dict[str, subprocess.Popen[bytes]]
) -> Readiness:
    deadline_s = time.monotonic() + START_WAIT_S
    answer = Readiness()
    while time.monotonic() < deadline_s:
        for name, server in servers.items():
            if server.poll() is not None:
                raise TransientFailure(
                    f"It ended with exit code {server.returncode}.\n{_last_lines(settings, name)}",
                    subject=name,
                    remedy=f"The whole log: {log_path(settings, name)}",
                )
        answer = ask(record.url)
        if answer.load_error:
            raise ConfigurationError(
                f"The code cannot be loaded: {answer.load_error}", subject="workspace.yaml", remedy="Correct it."
            )
        if answer.ready:
            return answer
        time.sleep(POLL_S)
    if answer.works:
        return answer
    raise TransientFailure(
        f"It was not ready after {START_WAIT_S:.0f} s ({answer}).\n{_last_lines(settings, 'daemon')}",
        subject="platform",
        remedy=f"Logs are in {log_path(settings, 'daemon').parent}.",
    )


def _warnings(answer: Readiness) -> list[str]:
    """What videos do not need and does not work: it must be seen, and keeps nothing from starting."""
    wrong = [f"the code location {told} (it is left out, everything else works)" for told in answer.others_wrong]
    loading = [f"the code location {name} is still being loaded" for name in answer.others_loading]
    return [*wrong, *loading]


def _last_lines(settings: Settings, server: str) -> str:
    lines = log_path(settings, server).read_text(errors="replace").splitlines()
    return "\n".join(lines[-LOG_LINES_SHOWN:])


def _say_ready(settings: Settings, record: PlatformRecord, took_s: float) -> None:
    home = settings.home.absolute()
    incoming = settings.object_store_url or str(home)
    print(f"Dagster UI:  {record.url}  (ready after {took_s:.0f} s)")
    print(f"videos:      copy them into {incoming.rstrip('/')}/incoming/")
    print(f"logs:        {log_path(settings, 'daemon').parent}")
    print("stop:        make down")


if __name__ == "__main__":
    sys.exit(main())
