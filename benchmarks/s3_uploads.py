"""Fifty recordings of 60 MB sent at once through the S3 API: none lost, none taken twice, how much memory.

Promised: all registered once, the platform under 1.5 GB. ``python -m benchmarks.s3_uploads [--count 5 --megabytes 6]``

Counted is what the processes of ``make up`` hold, in proportional shares. Runs of the first videos begin meanwhile, two
at once; they are told apart, because two computing runs hold what two computing runs hold, whoever uploads.

The platform is started by ``make up`` with its objects on a real SeaweedFS. Each file is the same short recording with
random bytes behind it, in a box that players skip: videos of their own that every stage can read.
"""

from __future__ import annotations

import argparse
import os
import struct
import subprocess
import sys
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psutil

from benchmarks.measure import REPOSITORY, Steal, machine, sample, scratch
from commands.platform import processes_of, read_record
from commands.services.seaweedfs import Identity, SeaweedFs
from commands.services.server import free_port
from resources.object_store import ObjectStore
from resources.settings import Settings

BUCKET = "uploads"
WHO = Identity("platform", "benchmark-key", "the-benchmark-s-secret")
PATIENCE_S = 1800.0
RUN_WORKER = "multiprocessing"
"""How a code server starts a run's process."""
PROMISED_BYTES = 1_500_000_000
SAMPLE_EVERY_S = 1.0
CHUNK_BYTES = 1 << 20


class Memory(threading.Thread):
    """Watches what the platform's processes hold, run workers apart from servers.

    Args:
        settings: of the platform.
    """

    def __init__(self, settings: Settings) -> None:
        super().__init__(daemon=True)
        self._settings = settings
        self.servers_bytes = self.with_runs_bytes = 0
        self.ended = threading.Event()

    def run(self) -> None:
        """Look every second; the greatest sums are kept. A page that processes share is counted once, in parts."""
        while not self.ended.wait(SAMPLE_EVERY_S):
            record = read_record(self._settings)
            held = Counter[bool]()
            for process in processes_of(record) if record else ():
                try:
                    held[any(RUN_WORKER in word for word in process.cmdline())] += process.memory_full_info().pss
                except psutil.Error:
                    continue
            self.servers_bytes = max(self.servers_bytes, held[False])
            self.with_runs_bytes = max(self.with_runs_bytes, held.total())


def padded(video: bytes, path: Path, size_bytes: int) -> Path:
    """The same recording in a file of its own bytes: a ``free`` box (ISO/IEC 14496-12) of noise behind it."""
    length = max(size_bytes - len(video), 16)
    with path.open("wb") as file:
        file.write(video + struct.pack(">I4s", length, b"free"))
        for start in range(8, length, CHUNK_BYTES):
            file.write(os.urandom(min(CHUNK_BYTES, length - start)))
    return path


def send(url: str, path: Path) -> None:
    """One hospital's upload, by the library's usual way: in parts."""
    import boto3

    client = boto3.Session().client("s3", endpoint_url=url, region_name="us-east-1")
    client.upload_file(str(path), BUCKET, f"incoming/{path.name}")


def registered(home: Path) -> tuple[list[str], Counter[str]]:
    """The videos that Dagster knows, and for how many runs each was the reason."""
    import dagster as dg

    with dg.DagsterInstance.from_config(str(home / "dagster")) as instance:
        keys = list(instance.get_dynamic_partitions("video_id"))
        first = [run for run in instance.get_runs() if run.parent_run_id is None]  # the others are Dagster's retries
        runs = Counter(str(run.tags.get("dagster/partition")) for run in first)
    return keys, runs


def wait_until_registered(home: Path, count: int, patience_s: float) -> float:
    """Seconds until all are known, or patience ended."""
    begun_s = time.monotonic()
    while time.monotonic() - begun_s < patience_s:
        keys, runs = registered(home)
        if len(keys) >= count and sum(runs.values()) >= count:
            break
        time.sleep(2.0)
    return time.monotonic() - begun_s


def command(name: str, *arguments: str) -> None:
    """A command of the platform; one that fails ends the benchmark."""
    subprocess.run([sys.executable, "-m", f"commands.{name}", *arguments], cwd=REPOSITORY, check=True)


def measure(home: Path, server: SeaweedFs, video: bytes, count: int, size_bytes: int, patience_s: float) -> bool:
    """Send, wait, compare; whether the promise was kept."""
    names = (f"operation_{number:03}.mp4" for number in range(count))
    files = [padded(video, home.parent / name, size_bytes) for name in names]
    settings = Settings(home=home)
    memory = Memory(settings)
    command("up", "--port", str(free_port()))
    try:
        memory.start()
        begun_s = time.monotonic()
        with ThreadPoolExecutor(count) as senders:
            list(senders.map(lambda path: send(server.url, path), files))
        sent_s = time.monotonic() - begun_s
        waited_s = wait_until_registered(home, count, patience_s)
        keys, runs = registered(home)
        store = ObjectStore(url=f"s3://{BUCKET}", endpoint_url=server.url, home=str(home))
        left = {place: {Path(info.key).stem for info in store.list_folder(place)} for place in ("incoming", "rejected")}
    finally:
        memory.ended.set()
        command("down")
    missing = {path.stem for path in files} - {key.rpartition("-")[0] for key in keys}
    lost, twice = missing - left["incoming"], [key for key, number in runs.items() if number > 1]
    print(f"{count} uploads of {size_bytes / 1e6:.0f} MB sent in {sent_s:.0f} s")
    print(
        f"{len(keys)} registered {waited_s:.0f} s later, {len(missing - lost)} still waiting, runs {sum(runs.values())}"
    )
    print(f"lost {len(lost)}, twice {len(twice)}, refused {len(left['rejected'])}")
    print(
        f"webserver, daemon and code servers {memory.servers_bytes / 1e6:.0f} MB, "
        f"with runs {memory.with_runs_bytes / 1e6:.0f} MB"
    )
    faults = [*missing, *twice, *left["rejected"]]
    return not faults and memory.servers_bytes < PROMISED_BYTES


def main(arguments: list[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="s3_uploads")
    parser.add_argument("--count", type=int, default=50)
    parser.add_argument("--megabytes", type=int, default=60)
    parser.add_argument("--patience", type=float, default=PATIENCE_S, help="seconds, once all are sent")
    parser.add_argument("--video", type=Path, help="a short MP4; the rendered sample without it")
    chosen = parser.parse_args(arguments)
    print(machine())
    with scratch() as folder, Steal() as steal:
        home = folder / "home"
        home.mkdir()
        with SeaweedFs(folder / "seaweedfs", [WHO]) as server:
            server.make_bucket(BUCKET)
            video = (chosen.video or sample(home)).read_bytes()
            kept = in_environment(home, server, video, chosen)
    print(f"promise kept: {kept} (load {os.getloadavg()[1]:.1f} over five minutes, steal {steal.share:.1%})")


def in_environment(home: Path, server: SeaweedFs, video: bytes, chosen: argparse.Namespace) -> bool:
    """Measure with the settings of a platform on S3, which its processes inherit."""
    wanted: dict[str, Any] = {
        "NEUROVISION_HOME": home,
        "NEUROVISION_OBJECT_STORE_URL": f"s3://{BUCKET}",
        "NEUROVISION_S3_ENDPOINT_URL": server.url,
        "AWS_ACCESS_KEY_ID": WHO.access_key,
        "AWS_SECRET_ACCESS_KEY": WHO.secret_key,
    }
    before = dict(os.environ)
    os.environ.update({name: str(value) for name, value in wanted.items()})
    try:
        return measure(home, server, video, chosen.count, chosen.megabytes * 1_000_000, chosen.patience)
    finally:
        os.environ.clear()
        os.environ.update(before)


if __name__ == "__main__":
    main()
