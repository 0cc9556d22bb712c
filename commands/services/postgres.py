"""PostgreSQL as one process of this machine: a cluster of its own, never the system's.

Belongs here: making the cluster, starting it as a user that may, databases and their URLs. Does not belong here: what
is kept in them (``resources.database``, Dagster, MLflow).

PostgreSQL refuses to run as root, so root starts it as ``nobody``; its folder must then be reachable by everybody.
"""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, ClassVar, Final
from urllib.parse import quote

import psutil

from commands.services.server import HOST, STOP_WAIT_S, LocalServer, free_port
from resources.errors import ConfigurationError

PROGRAMS: Final = Path("/usr/lib/postgresql")
"""Where Debian keeps them, a folder a version; they are not on the PATH."""
UNPRIVILEGED: Final = "nobody"
SUPERUSER: Final = "postgres"
SCRAM: Final = ("--auth=scram-sha-256", "--encoding=UTF8", "--locale=C.UTF-8", f"--username={SUPERUSER}")
CONNECTIONS: Final = 200
"""Every run, code server and worker of MLflow keeps a few."""
NOT_DURABLE: Final = ("-c", "fsync=off", "-c", "full_page_writes=off")
"""What was committed outlives a killed process, not a power failure."""


class Postgres(LocalServer):
    """One cluster; each user of it gets a role with a database of the same name.

    Args:
        folder: of the cluster and its log.
        password: of the superuser and of the roles; without one, a random one that nobody but this object knows, so
            that no other process can use or go on with the cluster.
        port: a free one when None.
        durable: False where nothing need outlive a power failure: tests.
    """

    name: ClassVar[str] = "postgresql"

    def __init__(self, folder: Path, *, password: str = "", port: int | None = None, durable: bool = True) -> None:
        super().__init__(folder)
        self.port = port or free_port()
        self.password = password or secrets.token_urlsafe(18)
        self._durable = durable

    @property
    def data(self) -> Path:
        """The cluster."""
        return self.folder / "data"

    def prepare(self) -> None:
        """Make the cluster at the first start.

        Raises:
            ConfigurationError: PostgreSQL is not installed, or its user cannot get to the folder.
        """
        super().prepare()
        if os.geteuid() == 0:
            _require_open_way(self.folder)
            shutil.chown(self.folder, UNPRIVILEGED)
        (self.data / "postmaster.pid").unlink(missing_ok=True)  # of a process that was killed; ours is not running
        if not (self.data / "PG_VERSION").is_file():
            self._make_cluster()

    def command(self) -> Sequence[str | Path]:
        """The server in the foreground."""
        words = ["-D", self.data, "-c", f"listen_addresses={HOST}", "-p", str(self.port), "-k", self.folder]
        sized = ["-c", f"max_connections={CONNECTIONS}", *(() if self._durable else NOT_DURABLE)]
        return [*_as_unprivileged(), programs() / "postgres", *words, *sized]

    def is_ready(self) -> bool:
        """Whether it lets the superuser in."""
        import psycopg2

        with suppress(psycopg2.OperationalError):
            self._connect(SUPERUSER).close()
            return True
        return False

    def stop(self) -> None:
        """End its sessions and itself; asked politely it would wait for every client to leave."""
        if self.process is not None:
            self._signal(signal.SIGINT)
            with suppress(subprocess.TimeoutExpired):
                self.process.wait(STOP_WAIT_S)
            self.kill()

    def database(self, name: str) -> str:
        """URL of a database, made with its role where it is missing."""
        connection = self._connect(SUPERUSER)
        connection.autocommit = True  # CREATE DATABASE cannot stand in a transaction
        try:
            with connection.cursor() as cursor:
                cursor.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [name])
                verb = "ALTER" if cursor.fetchone() else "CREATE"
                cursor.execute(f'{verb} ROLE "{name}" LOGIN PASSWORD %s', [self.password])
                cursor.execute("SELECT 1 FROM pg_database WHERE datname = %s", [name])
                if cursor.fetchone() is None:
                    cursor.execute(f'CREATE DATABASE "{name}" OWNER "{name}"')
        finally:
            connection.close()
        return self.url(name)

    def change_passwords(self, password: str) -> None:
        """Give all roles of databases another password and end their sessions: those would not be asked again."""
        connection = self._connect(SUPERUSER)
        connection.autocommit = True
        try:
            with connection.cursor() as cursor:
                cursor.execute("SELECT rolname FROM pg_roles WHERE rolcanlogin AND NOT rolsuper")
                for (name,) in cursor.fetchall():
                    cursor.execute(f'ALTER ROLE "{name}" PASSWORD %s', [password])
                cursor.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename <> %s", [SUPERUSER]
                )
        finally:
            connection.close()

    def url(self, name: str) -> str:
        """Where a role finds its database, password included."""
        return f"postgresql+psycopg2://{name}:{quote(self.password, safe='')}@{HOST}:{self.port}/{name}"

    def drop(self, name: str) -> None:
        """Remove a database and whoever uses it."""
        connection = self._connect(SUPERUSER)
        connection.autocommit = True
        try:
            with connection.cursor() as cursor:
                cursor.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
        finally:
            connection.close()

    def _connect(self, database: str) -> Any:
        import psycopg2

        return psycopg2.connect(
            host=HOST, port=self.port, user=SUPERUSER, password=self.password, dbname=database, connect_timeout=5
        )

    def _make_cluster(self) -> None:
        shutil.rmtree(self.data, ignore_errors=True)
        word = self.folder / ".superuser"
        word.touch(mode=0o600)
        word.write_text(self.password)
        if os.geteuid() == 0:
            shutil.chown(word, UNPRIVILEGED)
        words = [programs() / "initdb", "-D", self.data, *SCRAM, f"--pwfile={word}"]
        made = subprocess.run(
            [str(part) for part in [*_as_unprivileged(), *words, *(() if self._durable else ("--no-sync",))]],
            cwd=self.folder,
            capture_output=True,
            text=True,
            check=False,
        )
        word.unlink()
        if made.returncode:
            raise ConfigurationError(
                f"The cluster cannot be made: {made.stderr.strip()}", subject=str(self.data), remedy="Remove the cause."
            )

    def _signal(self, number: signal.Signals) -> None:
        """To the sessions too where it is meant for all: each of them is a process group of its own."""
        if self.process is None:
            return
        everybody = number in {signal.SIGSTOP, signal.SIGCONT, signal.SIGKILL}
        with suppress(psutil.NoSuchProcess):
            sessions = psutil.Process(self.process.pid).children(recursive=True) if everybody else []
            super()._signal(number)
            for session in sessions:
                with suppress(psutil.NoSuchProcess):
                    session.send_signal(number)


def programs() -> Path:
    """The newest PostgreSQL that is installed.

    Raises:
        ConfigurationError: there is none.
    """
    found = sorted(PROGRAMS.glob("*/bin/postgres"), key=lambda path: float(path.parts[-3]))
    if found:
        return found[-1].parent
    on_path = shutil.which("postgres")
    if on_path:
        return Path(on_path).resolve().parent
    raise ConfigurationError(
        "PostgreSQL is not installed.", subject="postgresql", remedy="Install it: apt-get install postgresql."
    )


def _as_unprivileged() -> list[str]:
    """``setpriv`` becomes the program it starts; ``runuser`` would stay between us and the signals."""
    if os.geteuid() != 0:
        return []
    return ["setpriv", f"--reuid={UNPRIVILEGED}", "--regid=nogroup", "--clear-groups", "--"]


def _require_open_way(folder: Path) -> None:
    for parent in folder.resolve().parents:
        if not parent.stat().st_mode & 0o001:
            raise ConfigurationError(
                f"The user {UNPRIVILEGED}, as whom root starts PostgreSQL, cannot pass through {parent}.",
                subject=str(folder),
                remedy=f"Use a folder elsewhere, or allow it: chmod o+x {parent}",
            )
