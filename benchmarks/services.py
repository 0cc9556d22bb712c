"""What a backfill makes of a server that is killed, frozen, emptied, slowed, refuses credentials or has a full disk.

Promised: every video ends right, or fails with a clear reason and is picked up when the server is back; nothing is
written twice. ``python -m benchmarks.services [--servers postgresql …] [--faults kill …] [--videos 20]``

One pair of server and fault after another, each on servers, a platform and a bucket of its own. The fault begins when
a quarter of the reports are there, and ends after half a minute. Disks are full only where this user may mount one.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.measure import machine
from benchmarks.slow_link import SlowLink
from commands.platform import PlatformRecord
from commands.services.server import LocalServer
from commands.services.stack import BUCKET, Stack
from commands.up_services import read_servers, run_with, start_one, start_servers
from neurovision_assets.artifacts import RECORD_ENDING
from neurovision_assets.stage.failures import read_failure
from neurovision_assets.surgery.pipeline import SURGERY
from resources.errors import NeuroVisionError
from resources.object_store import ObjectStore
from resources.settings import PREFIX
from simulator.operation import plan_operation
from simulator.video import write_video

SERVERS = ("postgresql", "seaweedfs", "triton", "mlflow")
FAULTS = ("kill", "freeze", "empty", "slow", "refuse", "full")
VIDEOS = 20
DURATION_S, FPS = 12.0, 2.0
FAULT_S = 30.0
SLOW_S = 0.5
DISK_BYTES = 400 * 2**20
PATIENCE_S = 1200.0
POLL_S = 2.0
URLS = {
    "postgresql": ("DATABASE_URL", "DAGSTER_DATABASE_URL"),
    "seaweedfs": ("S3_ENDPOINT_URL",),
    "triton": ("TRITON_URL",),
    "mlflow": ("MLFLOW_URL",),
}


@dataclass(frozen=True)
class Scene:
    """A platform on servers of its own, in the middle of work."""

    stack: Stack
    link: SlowLink
    victim: LocalServer

    @property
    def store(self) -> ObjectStore:
        """The bucket, past the link."""
        return ObjectStore(
            url=f"s3://{BUCKET}/objects", endpoint_url=self.stack.store.url, home=str(self.stack.platform_home)
        )

    def reports(self) -> list[str]:
        """Videos that have a whole report."""
        try:
            found = self.store.list_folder("surgery/report")
        except NeuroVisionError:
            return []
        return [Path(info.key).name.split(".")[0] for info in found if info.key.endswith(f".{RECORD_ENDING}")]


def main() -> None:
    """Try the pairs that were named, all of them without a name."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.services")
    parser.add_argument("--servers", nargs="+", choices=SERVERS, default=SERVERS)
    parser.add_argument("--faults", nargs="+", choices=FAULTS, default=FAULTS)
    parser.add_argument("--videos", type=int, default=VIDEOS)
    chosen = parser.parse_args()
    print(machine())
    print("| server | fault | videos | reports | failed runs | s | told | written twice |")
    for server in chosen.servers:
        for fault in chosen.faults:
            print(one(server, fault, chosen.videos), flush=True)


def one(server: str, fault: str, videos: int) -> str:
    """A row of the table."""
    with scene(server) as set_up:
        started_s = time.monotonic()
        upload(set_up, videos)
        wait_for(lambda: len(set_up.reports()) >= max(1, videos // 4))
        end = FAULT[fault](set_up)
        time.sleep(FAULT_S)
        end()
        wait_for(lambda: len(set_up.reports()) >= videos)
        wait_for(lambda: not unfinished(set_up))
        took_s = time.monotonic() - started_s
        reports, failed, twice, told = outcome(set_up)
    return f"| {server} | {fault} | {videos} | {reports} | {failed} | {took_s:.0f} | {told} | {twice} |"


@contextmanager
def scene(server: str) -> Iterator[Scene]:
    """Servers and a platform whose way to the victim leads through a link."""
    folder = Path(tempfile.mkdtemp(prefix="neurovision-faults-"))
    folder.chmod(0o755)  # PostgreSQL's user must come through
    stack = Stack(folder / "services")
    with ExitStack() as exits:
        exits.callback(clear, folder)
        victim = {one.name: one for one in stack.servers}[server]
        disk = victim.folder
        disk.mkdir(parents=True)
        if os.geteuid() == 0:
            subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES},mode=755", "tmpfs", disk], check=True)
            exits.callback(subprocess.run, ["umount", "-l", str(disk)], check=False)
        exits.callback(stop_servers, stack)
        exits.callback(run_with, stack, "down")
        os.environ |= {"AWS_ACCESS_KEY_ID": stack.choices.s3_key, "AWS_SECRET_ACCESS_KEY": stack.choices.s3_secret}
        start_servers(stack)
        link = exits.enter_context(SlowLink(port_of(stack, victim)))
        lead_through(stack, victim, link)
        port = str(free_port_of_ui())
        if run_with(stack, "up", "--port", port):
            raise SystemExit("the platform did not start")
        yield Scene(stack, link, victim)


def port_of(stack: Stack, victim: LocalServer) -> int:
    """Where the platform finds it."""
    chosen = stack.choices
    ports = {
        "postgresql": chosen.postgres_port,
        "seaweedfs": chosen.s3_port,
        "triton": chosen.triton_grpc_port,
        "mlflow": chosen.mlflow_port,
    }
    return ports[victim.name]


def free_port_of_ui() -> int:
    """For Dagster's UI."""
    from commands.services.server import free_port

    return free_port()


def lead_through(stack: Stack, victim: LocalServer, link: SlowLink) -> None:
    """Have the settings' file name the link in place of the server."""
    text = stack.settings_file.read_text()
    port = port_of(stack, victim)
    lines = [
        line.replace(f":{port}", f":{link.port}")
        if line.partition("=")[0] in [PREFIX + name for name in URLS[victim.name]]
        else line
        for line in text.splitlines()
    ]
    lines += [f"{PREFIX}DEFAULT_PROFILE='fast_debug'"]
    stack.settings_file.write_text("\n".join(lines) + "\n")


def upload(set_up: Scene, videos: int) -> None:
    """Short operations, all at once."""
    folder = set_up.stack.folder / "uploads"
    folder.mkdir()
    for number in range(videos):
        path = folder / f"operation_{100 + number}.mp4"
        write_video(plan_operation(number, DURATION_S), path, fps=FPS)
        set_up.store.write_file(f"incoming/{path.name}", path)


def kill(set_up: Scene) -> Callable[[], None]:
    """End it with all its children, start it again afterwards."""
    _process(set_up).kill()
    return lambda: start_again(set_up)


def freeze(set_up: Scene) -> Callable[[], None]:
    """It keeps its connections and answers nothing."""
    server = _process(set_up)
    server.freeze()
    return server.thaw


def empty(set_up: Scene) -> Callable[[], None]:
    """Killed, and started on nothing."""
    _process(set_up).kill()
    for entry in set_up.victim.folder.iterdir():
        shutil.rmtree(entry) if entry.is_dir() else entry.unlink()
    return lambda: start_again(set_up)


def slow(set_up: Scene) -> Callable[[], None]:
    """Every answer comes half a second late."""
    set_up.link.delay_s = SLOW_S

    def end() -> None:
        set_up.link.delay_s = 0.0

    return end


def refuse(set_up: Scene) -> Callable[[], None]:
    """The same secret is wrong for a while; Triton and MLflow ask for none, so nothing is changed there."""
    chosen = set_up.stack.choices
    if set_up.victim is set_up.stack.postgres:
        alter_passwords(set_up.stack, "another")
        return lambda: alter_passwords(set_up.stack, chosen.database_password)
    if set_up.victim is set_up.stack.store:
        config = set_up.victim.folder / "s3.json"
        right = config.read_text()
        _process(set_up).kill()
        original = set_up.stack.store._identities  # the one place where its users are kept
        set_up.stack.store._identities = tuple(
            type(who)(who.name, who.access_key, "another", who.actions) for who in original
        )
        restart_only(set_up)

        def end() -> None:
            _process(set_up).kill()
            set_up.stack.store._identities = original
            start_again(set_up)
            assert config.read_text() == right

        return end
    return lambda: None


def full(set_up: Scene) -> Callable[[], None]:
    """Its disk takes nothing more."""
    if os.geteuid() != 0:
        raise SystemExit("only root can mount a small disk")
    ballast = set_up.victim.folder / "ballast"
    with ballast.open("wb") as file:
        try:
            while True:
                file.write(b"\0" * 2**20)
        except OSError:
            pass
    return ballast.unlink


FAULT: dict[str, Callable[[Scene], Callable[[], None]]] = {
    "kill": kill,
    "freeze": freeze,
    "empty": empty,
    "slow": slow,
    "refuse": refuse,
    "full": full,
}


def alter_passwords(stack: Stack, password: str) -> None:
    """Of the roles, and end their sessions: those that are open would not be asked again."""
    connection = stack.postgres._connect("postgres")
    connection.autocommit = True
    with connection.cursor() as cursor:
        for name in ("neurovision", "dagster"):
            cursor.execute(f'ALTER ROLE "{name}" PASSWORD %s', [password])
        cursor.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename <> 'postgres'")
    connection.close()


def start_again(set_up: Scene) -> None:
    """The same server on the same port, what is missing made again."""
    record = read_servers(set_up.stack)
    assert isinstance(record, PlatformRecord)
    text = set_up.stack.settings_file.read_text()
    start_servers(set_up.stack)
    set_up.stack.settings_file.write_text(text)


def restart_only(set_up: Scene) -> None:
    """The same, and nothing looked for in it: nobody is let in."""
    record = read_servers(set_up.stack)
    assert isinstance(record, PlatformRecord)
    start_one(set_up.stack, set_up.victim, record)


def _process(set_up: Scene) -> LocalServer:
    """The victim, with whatever process it has now."""
    record = read_servers(set_up.stack)
    assert record is not None
    set_up.victim.process = Adopted(record.pids[set_up.victim.name])  # type: ignore[assignment]
    return set_up.victim


class Adopted:
    """A process that another start began, as far as a server asks for one."""

    def __init__(self, pid: int) -> None:
        self.pid = pid

    def wait(self, timeout: float | None = None) -> int:
        """Until it is gone."""
        deadline_s = time.monotonic() + (timeout or PATIENCE_S)
        while Path(f"/proc/{self.pid}/stat").exists() and " Z " not in Path(f"/proc/{self.pid}/stat").read_text():
            if time.monotonic() > deadline_s:
                raise subprocess.TimeoutExpired("server", timeout or PATIENCE_S)
            time.sleep(0.05)
        return 0


def unfinished(set_up: Scene) -> int:
    """Runs that have not ended."""
    rows = ask(set_up.stack, "SELECT count(*) FROM runs WHERE status NOT IN ('SUCCESS', 'FAILURE', 'CANCELED')")
    return int(rows[0][0]) if rows else 0


def outcome(set_up: Scene) -> tuple[int, int, str, str]:
    """Reports, failed runs, data versions that were written twice, and the reasons that were told."""
    failed = ask(set_up.stack, "SELECT count(*) FROM runs WHERE status = 'FAILURE'")
    twice = ask(
        set_up.stack,
        "SELECT asset_key, partition, count(*) FROM event_logs WHERE dagster_event_type = 'ASSET_MATERIALIZATION'"
        " AND asset_key LIKE '%surgery%' AND partition IS NOT NULL GROUP BY 1, 2 HAVING count(*) > 1",
    )
    return len(set_up.reports()), int(failed[0][0]) if failed else 0, str(len(twice)), reasons(set_up.store)


def reasons(store: ObjectStore) -> str:
    """Why videos still have no report, each reason once; those that succeeded later are forgotten."""
    found = []
    for stage in SURGERY.stages:
        for info in store.list_folder(stage.asset):
            if info.key.endswith(".failure.json"):
                failure = read_failure(store, stage.asset, Path(info.key).name.split(".")[0])
                found += [f"{failure.kind}: {failure.reason}"] if failure is not None else []
    return "; ".join(dict.fromkeys(found)) or "none"


def ask(stack: Stack, query: str) -> list[tuple[object, ...]]:
    """Rows of Dagster's database, none while it does not answer."""
    import psycopg2

    try:
        connection = psycopg2.connect(stack.postgres.url("dagster").replace("+psycopg2", ""), connect_timeout=5)
    except psycopg2.OperationalError:
        return []
    with connection.cursor() as cursor:
        cursor.execute(query)
        rows: list[tuple[object, ...]] = cursor.fetchall()
    connection.close()
    return rows


def wait_for(is_so: Callable[[], bool]) -> bool:
    """Until it is so, or patience ends: then the row shows what is missing."""
    deadline_s = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline_s:
        if is_so():
            return True
        time.sleep(POLL_S)
    return False


def stop_servers(stack: Stack) -> None:
    """As `make down-services` does."""
    from commands.platform import stop

    if record := read_servers(stack):
        stop(record)


def clear(folder: Path) -> None:
    """The scene's folder."""
    shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
