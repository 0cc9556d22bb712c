"""A server of another project as a process of this machine, on 127.0.0.1 only.

Belongs here: starting, waiting until it answers, stopping, and what tests do to it (kill, freeze). Does not belong
here: what one server needs (a module each), which servers run together (``commands.up_services``).
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import ClassVar, Self

from resources.errors import TransientFailure

HOST = "127.0.0.1"
POLL_S = 0.1
ANSWER_TIMEOUT_S = 1.0
STOP_WAIT_S = 20.0
LOG_LINES_SHOWN = 20


def free_port() -> int:
    """A port that nothing listens on just now."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def answers(url: str) -> bool:
    """Whether a server answers an HTTP GET with success."""
    import requests

    try:
        return requests.get(url, timeout=ANSWER_TIMEOUT_S).ok
    except requests.RequestException:
        return False


class LocalServer(ABC):
    """One server process with its children, its data and its log in one folder.

    Args:
        folder: of its data and its log; made where it is missing, kept when it stops.
    """

    name: ClassVar[str]
    start_wait_s: ClassVar[float] = 60.0

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.process: subprocess.Popen[bytes] | None = None

    @abstractmethod
    def command(self) -> Sequence[str | Path]:
        """The program and its arguments."""

    @abstractmethod
    def is_ready(self) -> bool:
        """Whether it answers; called while it starts, so nothing that fails then may raise."""

    def environment(self) -> Mapping[str, str]:
        """Variables that it needs besides ours."""
        return {}

    def prepare(self) -> None:
        """Write what must lie on the disk before it starts."""
        self.folder.mkdir(parents=True, exist_ok=True)

    @property
    def log(self) -> Path:
        """What it says."""
        return self.folder / f"{self.name}.log"

    def start(self) -> Self:
        """Start it and wait until it answers.

        Raises:
            TransientFailure: it ended, or did not answer in time; its last words are part of the text.
        """
        self.prepare()
        with self.log.open("ab") as output:
            self.process = subprocess.Popen(
                [str(word) for word in self.command()],
                cwd=self.folder,
                env={**os.environ, **self.environment()},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        try:
            self._wait(self.process)
        except BaseException:  # also Ctrl-C: nothing stays half-started
            self.kill()
            raise
        return self

    def stop(self) -> None:
        """Ask it to end, and end it where it does not."""
        if self.process is not None:
            self._signal(signal.SIGTERM)
            with suppress(subprocess.TimeoutExpired):
                self.process.wait(STOP_WAIT_S)
            self.kill()

    def kill(self) -> None:
        """End it and its children at once, as a power failure would."""
        if self.process is not None:
            self._signal(signal.SIGKILL)
            self.process.wait()
            self.process = None

    def freeze(self) -> None:
        """It keeps its connections and answers nothing."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """It goes on where it was frozen."""
        self._signal(signal.SIGCONT)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _signal(self, number: signal.Signals) -> None:
        if self.process is not None:
            with suppress(ProcessLookupError):
                os.killpg(self.process.pid, number)

    def _wait(self, process: subprocess.Popen[bytes]) -> None:
        deadline_s = time.monotonic() + self.start_wait_s
        while time.monotonic() < deadline_s:
            if process.poll() is not None:
                raise self._not_started(f"It ended with exit code {process.returncode}.")
            if self.is_ready():
                return
            time.sleep(POLL_S)
        raise self._not_started(f"It did not answer within {self.start_wait_s:.0f} s.")

    def _not_started(self, problem: str) -> TransientFailure:
        lines = self.log.read_text(errors="replace").splitlines()[-LOG_LINES_SHOWN:]
        return TransientFailure("\n".join([problem, *lines]), subject=self.name, remedy=f"The whole log: {self.log}")
