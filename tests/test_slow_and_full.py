"""Servers that answer half a second late, and servers whose disk is full: nothing is lost, nothing is half there.

A slow Triton: `test_triton_failures`. What a whole platform makes of it all is measured (`benchmarks.services`).
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import func, select
from sqlalchemy.engine import make_url

from benchmarks.slow_link import SlowLink
from commands.services.postgres import Postgres
from commands.services.seaweedfs import SeaweedFs
from resources.database.engine import Database
from resources.database.tables import UPLOAD_INDEX
from resources.errors import TransientFailure
from resources.object_store import ObjectStore, client
from tests.s3_server import BUCKET, PLATFORM, store_in, use_credentials

pytestmark = [pytest.mark.slow, pytest.mark.services, pytest.mark.xdist_group("seaweedfs"), pytest.mark.timeout(900)]
MIB = 1 << 20
SLOW_S = 0.5
DISK_MIB, MANY = 400, 1000
LARGE_BYTES = 40 * MIB
PATIENCE_S, PAUSE_S = 300.0, 5.0
ROWS = 10_000
ROW = {"size_bytes": 0, "modified_s": 0.0, "upload_version": "v" * 64}


@pytest.fixture(autouse=True)
def credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    use_credentials(monkeypatch)


def file_of(path: Path, size_bytes: int) -> Path:
    path.write_bytes(os.urandom(MIB) * (size_bytes // MIB))
    return path


def test_a_slow_store_takes_and_gives_a_large_file_whole(seaweed: SeaweedFs, tmp_path: Path) -> None:
    source = file_of(tmp_path / "large.mp4", LARGE_BYTES)
    with SlowLink(int(seaweed.url.rpartition(":")[2])) as link:
        link.delay_s = SLOW_S
        store = store_in(seaweed, tmp_path, endpoint_url=f"http://127.0.0.1:{link.port}")
        store.write_file("incoming/large.mp4", source)
        store.move("incoming/large.mp4", "raw/large.mp4")
        assert [store.create_bytes("raw/record", b"1"), store.create_bytes("raw/record", b"2")] == [True, False]
        assert store.local_file("raw/large.mp4").read_bytes() == source.read_bytes()
    assert store_in(seaweed, tmp_path, url=store.url).sha256_of("raw/large.mp4") == digest_of(source)


def digest_of(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def rows(database: Database) -> int:
    with database.reading() as connection:
        return int(connection.execute(select(func.count()).select_from(UPLOAD_INDEX)).scalar_one())


def add(database: Database, name: str, count: int = 1) -> None:
    with database.writing() as connection:
        connection.execute(UPLOAD_INDEX.insert(), [{"video_id": f"{name}-{row}", **ROW} for row in range(count)])


def test_a_slow_database_keeps_what_was_written_once(database_url: str) -> None:
    url = make_url(database_url)
    with SlowLink(int(url.port or 0)) as link:
        link.delay_s = SLOW_S
        slow = Database(url=url.set(port=link.port).render_as_string(hide_password=False))
        for number in range(2):
            add(slow, str(number))
        assert rows(slow) == 2
    assert rows(Database(url=database_url)) == 2


@pytest.fixture
def disk() -> Iterator[Path]:
    """A small disk of its own; only root may mount one."""
    folder = Path(tempfile.mkdtemp(prefix="neurovision-disk-"))
    folder.chmod(0o755)
    place = folder / "disk"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={DISK_MIB}m,mode=755", "tmpfs", place]
    mounted = os.geteuid() == 0 and subprocess.run(mount, check=False, capture_output=True).returncode == 0
    try:
        if not mounted:
            pytest.skip("no small disk: this user may not mount one")
        yield place
    finally:
        if mounted:
            subprocess.run(["umount", "-l", place], check=True)
        shutil.rmtree(folder)


def fill(disk: Path) -> Path:
    """A file that leaves nothing."""
    ballast = disk / "ballast"
    with ballast.open("wb", buffering=0) as file:
        for size in (MIB, 4096):
            try:
                while True:
                    file.write(bytes(size))
            except OSError:
                continue
    assert shutil.disk_usage(disk).free == 0
    return ballast


def soon(act: Callable[[], object]) -> None:
    """Until it succeeds: a server looks at its disk now and then."""
    until_s = time.monotonic() + PATIENCE_S
    while True:
        try:
            act()
        except TransientFailure:
            assert time.monotonic() < until_s
            time.sleep(PAUSE_S)
        else:
            return


def write_until_refused(write: Callable[[int], object], said: str) -> int:
    """How many writes were taken before one was refused: what was allotted to files before is used up first."""
    taken: list[object] = []

    def write_on() -> None:
        while len(taken) < MANY:
            taken.append(write(len(taken)))

    with pytest.raises(TransientFailure, match=said) as refused:
        write_on()
    assert "\n" not in str(refused.value)
    return len(taken)


def test_a_full_disk_of_the_store_refuses_and_takes_again(
    disk: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "ATTEMPTS", 2)
    client._client.cache_clear()
    source = file_of(tmp_path / "large.mp4", LARGE_BYTES)
    with SeaweedFs(disk / "seaweedfs", [PLATFORM]) as server:
        server.make_bucket(BUCKET)
        store: ObjectStore = store_in(server, tmp_path)
        store.write_bytes("raw/kept", b"old")
        ballast = fill(disk)
        taken = write_until_refused(lambda number: store.write_file(f"raw/{number}.mp4", source), "Check .*its disk")
        assert store.stat(f"raw/{taken}.mp4") is None, "half of it"
        assert store.read_bytes("raw/kept") == b"old"
        ballast.unlink()
        soon(lambda: store.write_file(f"raw/{taken}.mp4", source))
        assert store.local_file(f"raw/{taken}.mp4").read_bytes() == source.read_bytes()
        server.kill()
        server.start()
        soon(lambda: store.stat("raw/kept"))
        assert store.read_bytes("raw/kept") == b"old"
        assert store.stat(f"raw/{taken}.mp4") is not None
    client._client.cache_clear()


def test_a_full_disk_of_the_database_refuses_and_takes_again(disk: Path) -> None:
    with Postgres(disk / "postgres", durable=False) as server:
        database = Database(url=server.database("full"))
        add(database, "before")
        ballast = fill(disk)
        taken = write_until_refused(lambda number: add(database, str(number), ROWS), "space")
        ballast.unlink()
        soon(lambda: add(database, "after"))
        assert rows(database) == taken * ROWS + 2, "what was refused is not there, what was taken is"
