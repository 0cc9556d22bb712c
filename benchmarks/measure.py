"""Running a command and telling what it took.

Belongs here: wall time, peak memory, videos of any length. Does not belong here: what is measured and what is promised.
"""

from __future__ import annotations

import datetime as dt
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import psutil

REPOSITORY = Path(__file__).resolve().parents[1]
KIB = 1024
Span = tuple[float, float]
"""Start and end, seconds since 1970."""


@dataclass(frozen=True)
class Run:
    """What one command took.

    Attributes:
        wall_s: from start to end.
        peak_bytes: greatest resident memory of its largest process.
        out: what it printed.
    """

    wall_s: float
    peak_bytes: int
    out: str


def environment(home: Path) -> dict[str, str]:
    """What ``make`` gives a command: a data home, and byte code that is kept."""
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return {**kept, "NEUROVISION_HOME": str(home)}


def run(command: list[str], home: Path) -> Run:
    """Run a command with a data home of its own; one that fails ends the benchmark with its words.

    The child is started by a small helper, because ``ru_maxrss`` of children only ever grows.
    """
    watch = (
        "import resource, subprocess, sys;"
        "done = subprocess.run(sys.argv[1:]);"
        "print('PEAK', resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss);"
        "sys.exit(done.returncode)"
    )
    started = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-c", watch, *command],
        cwd=REPOSITORY,
        env=environment(home),
        capture_output=True,
        text=True,
        check=False,
    )
    wall_s = time.monotonic() - started
    if done.returncode != 0:
        raise SystemExit(f"{' '.join(command)} failed:\n{done.stdout}\n{done.stderr}")
    printed, _, peak = done.stdout.rpartition("PEAK ")
    return Run(wall_s, int(peak) * KIB, printed)


def process(video: Path, home: Path, profile: str | None = None) -> Run:
    """``make process VIDEO=… PROFILE=…``, everything installed."""
    chosen = ["--profile", profile] if profile else []
    return run([sys.executable, "-m", "commands.process", str(video), *chosen], home)


def stage_spans(home: Path, done: Run) -> dict[str, Span]:
    """When each stage computed, as the records tell; some compute side by side."""
    from neurovision_assets.artifacts import ArtifactReader
    from neurovision_assets.surgery.pipeline import SURGERY
    from resources.object_store import ObjectStore

    [line] = [line for line in done.out.splitlines() if line.startswith("video_id: ")]
    reader = ArtifactReader(ObjectStore(url=home.as_uri()))
    records = {stage.name: reader.record(stage.asset, line.removeprefix("video_id: ")) for stage in SURGERY.stages}
    return {
        name: (record.provenance.started.timestamp(), record.provenance.finished.timestamp())
        for name, record in records.items()
        if record is not None
    }


def covered_s(spans: Iterable[Span]) -> float:
    """How long at least one of the spans lasted."""
    total_s, until_s = 0.0, float("-inf")
    for start_s, end_s in sorted(spans):
        total_s += max(0.0, end_s - max(start_s, until_s))
        until_s = max(until_s, end_s)
    return total_s


class Steal:
    """How much of the cores' time other machines on the same host took while the block ran.

    Attributes:
        share: 0…1, after the block; 0 where the system does not tell.
    """

    def __enter__(self) -> Self:
        self._before = psutil.cpu_times()
        self.share = 0.0
        return self

    def __exit__(self, *_: object) -> None:
        after = psutil.cpu_times()
        passed = sum(after) - sum(self._before)
        stolen = getattr(after, "steal", 0.0) - getattr(self._before, "steal", 0.0)
        self.share = stolen / passed if passed else 0.0


@contextmanager
def scratch() -> Iterator[Path]:
    """A folder that is gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="neurovision-bench-") as name:
        yield Path(name)


def sample(folder: Path) -> Path:
    """The bundled one-minute operation."""
    from simulator.sample import write_sample

    path = folder / "operation_001.mp4"
    write_sample(path)
    return path


def repeated(source: Path, target: Path, times: int) -> Path:
    """A video played several times over, by copying packets."""
    import av

    with av.open(str(source)) as reading, av.open(str(target), "w") as writing:
        stream = reading.streams.video[0]
        copy = writing.add_stream_from_template(stream)
        length = 0
        for turn in range(times):
            reading.seek(0)
            end = 0
            for packet in reading.demux(stream):
                if packet.dts is None or packet.pts is None:
                    continue
                end = max(end, packet.pts + (packet.duration or 0))
                packet.pts += turn * length
                packet.dts += turn * length
                packet.stream = copy
                writing.mux(packet)
            length = length or end
    return target


def machine() -> str:
    """What it was measured on."""
    memory = resource.getpagesize() * os.sysconf("SC_PHYS_PAGES") / 2**30
    cores = len(os.sched_getaffinity(0))
    return f"{dt.date.today():%Y-%m-%d}, {cores} cores, {memory:.0f} GiB, Python {platform.python_version()}"
