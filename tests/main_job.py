"""Runs the main job as a user does: a process of its own, a home of its own.

Belongs here: starting commands and reading what they left. Does not belong here: tests.
"""

import json
import os
import socket
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from neurovision_assets.artifacts import ArtifactReader, ArtifactRecord
from resources.object_store import ObjectStore

REPOSITORY = Path(__file__).resolve().parents[1]
STAGES = ("video", "frames", "features", "phases", "instruments", "anatomy", "events", "report")


@dataclass(frozen=True)
class Finished:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def report(self) -> Path:
        """The path that the last line names."""
        last = self.out.strip().splitlines()[-1]
        assert last.startswith("report: "), f"{self.out}\n{self.err}"
        return Path(last.removeprefix("report: "))

    @property
    def video_id(self) -> str:
        """The key that the video got."""
        [line] = [line for line in self.out.splitlines() if line.startswith("video_id: ")]
        return line.removeprefix("video_id: ")


@dataclass(frozen=True)
class Home:
    """A data home of a test."""

    path: Path
    environment: dict[str, str]

    @property
    def store(self) -> ObjectStore:
        """Its objects."""
        return ObjectStore(url=self.path.as_uri())

    def command(self, module: str, *arguments: str, timeout_s: float = 600) -> Finished:
        """Run ``python -m commands.MODULE`` and wait."""
        done = subprocess.run(
            [sys.executable, "-m", f"commands.{module}", *arguments],
            cwd=REPOSITORY,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=timeout_s,
            stdin=subprocess.DEVNULL,
            check=False,
        )
        return Finished(done.returncode, done.stdout, done.stderr)

    def process(self, video: Path, profile: str | None = None) -> Finished:
        """``make process VIDEO=…`` without make."""
        return self.command("process", str(video), *(("--profile", profile) if profile else ()))

    def record(self, stage: str, video_id: str) -> ArtifactRecord:
        """The record of a stage's result."""
        return ArtifactReader(self.store).required_record(f"surgery/{stage}", video_id)

    def data_versions(self, video_id: str) -> dict[str, str]:
        """Data version of every stage that has a result."""
        reader = ArtifactReader(self.store)
        found = {stage: reader.record(f"surgery/{stage}", video_id) for stage in STAGES}
        return {stage: record.data_version for stage, record in found.items() if record}

    def report(self, video_id: str) -> dict[str, Any]:
        """The report as data."""
        content: dict[str, Any] = json.loads(self.store.read_bytes(f"surgery/report/{video_id}.json"))
        return content

    def everything_but_restricted(self) -> list[Path]:
        """Every file that people without the right to see patients may see."""
        restricted = {"raw", "rejected", "incoming"}
        return [
            path
            for path in self.path.rglob("*")
            if path.is_file() and path.relative_to(self.path).parts[0] not in restricted
        ]


def new_home(path: Path, **settings: str) -> Home:
    """A data home with an environment of its own; settings of the machine do not reach it."""
    path.mkdir(parents=True, exist_ok=True)
    own = {name: value for name, value in os.environ.items() if not name.startswith(("NEUROVISION_", "DAGSTER_"))}
    own.pop("ANONYMIZATION_SALT", None)
    return Home(path, {**own, "NEUROVISION_HOME": str(path), "PYTHONUNBUFFERED": "1", **settings})


def free_port() -> int:
    """A port of this machine that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
