"""An MLflow server on this machine, which a test may kill.

Belongs here: starting and killing it. Does not belong here: tests.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import requests

START_WAIT_S = 300


class Server:
    """An MLflow server on this machine."""

    def __init__(self, home: Path) -> None:
        self.home = home
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it and wait until it answers."""
        words = ["--backend-store-uri", f"sqlite:///{self.home}/server.db", "--artifacts-destination", self.home]
        place = ["--host", "127.0.0.1", "--port", str(self.port), "--workers", "1"]
        environment = {**os.environ, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "mlflow", "server", *map(str, words), *place],
            env=environment,
            stdout=(self.home / "server.log").open("ab"),
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        deadline_s = time.monotonic() + START_WAIT_S
        while time.monotonic() < deadline_s:
            with suppress(requests.ConnectionError):
                if requests.get(f"{self.url}/health", timeout=10).ok:
                    return
            time.sleep(0.5)
        raise AssertionError((self.home / "server.log").read_text())

    def kill(self) -> None:
        """Stop it and its workers at once."""
        if self.process is not None:
            with suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
            self.process = None

    def kill_when(self, is_time: Callable[[], bool]) -> threading.Thread:
        """Watch, and kill it when it is time."""

        def watch() -> None:
            while self.process is not None and not is_time():
                time.sleep(0.2)
            self.kill()

        thread = threading.Thread(target=watch, daemon=True)
        thread.start()
        return thread
