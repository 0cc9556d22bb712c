"""The object store under faults: nothing half-written is ever seen, no failed look is an empty answer.

Real folders, real processes, and a really full disk where the test may mount one.
"""

import multiprocessing
import resource
import signal
import subprocess
import time
from collections.abc import Iterator
from multiprocessing.synchronize import Event
from pathlib import Path

import pytest

from resources.errors import ConfigurationError, NeuroVisionError, PermanentFailure, TransientFailure
from resources.object_store import ObjectStore, locks
from resources.object_store.folder import TEMPORARY_PREFIX
from tests.waiting import PATIENCE_S

MIB = 1 << 20
MANY = 10
"""So many different contents must be seen before a reader that never saw half of one says anything."""
PROCESSES = multiprocessing.get_context("spawn")  # a fork of a process with threads may never go on


@pytest.fixture
def store(tmp_path: Path) -> ObjectStore:
    return ObjectStore(url=(tmp_path / "objects").as_uri())


@pytest.fixture
def full_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of one MiB."""
    folder = tmp_path / "small"
    folder.mkdir()
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)], capture_output=True, text=True, check=False
    )
    if done.returncode:
        pytest.skip(f"a small file system cannot be mounted here: {done.stderr.strip()}")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def leftovers(store: ObjectStore) -> list[str]:
    return [path.name for path in store.root.rglob("*") if path.name.startswith(TEMPORARY_PREFIX)]


def test_what_is_written_is_read_and_told(store: ObjectStore):
    info = store.write_bytes("a/b.bin", b"12345")
    assert store.read_bytes("a/b.bin") == b"12345"
    assert store.read_range("a/b.bin", 3, 10) == b"45"
    assert store.list_folder("a") == [info] == [store.stat("a/b.bin")]
    assert (info.key, info.size_bytes) == ("a/b.bin", 5)


def _write_and_raise(store: ObjectStore, key: str) -> None:
    with store.writing(key) as temporary:
        temporary.write_bytes(b"half")
        raise ZeroDivisionError


def test_an_exception_inside_a_write_leaves_neither_object_nor_temporary(store: ObjectStore):
    store.write_bytes("a/kept.bin", b"old")
    for key in ("a/new.bin", "a/kept.bin"):
        with pytest.raises(ZeroDivisionError):
            _write_and_raise(store, key)
    assert store.stat("a/new.bin") is None
    assert store.read_bytes("a/kept.bin") == b"old"
    assert leftovers(store) == []


def _write_and_die(url: str) -> None:
    with ObjectStore(url=url).writing("a/x.bin") as temporary:
        temporary.write_bytes(b"half")
        signal.raise_signal(signal.SIGKILL)


def test_a_killed_writer_leaves_no_object_and_nothing_in_listings(store: ObjectStore):
    writer = PROCESSES.Process(target=_write_and_die, args=(store.url,), daemon=True)
    writer.start()
    writer.join(PATIENCE_S)
    assert writer.exitcode == -signal.SIGKILL
    assert store.stat("a/x.bin") is None
    assert store.list_folder("a") == []


def _write_for_ever(url: str) -> None:
    store, number = ObjectStore(url=url), 0
    while True:
        number = (number + 1) % 256
        store.write_bytes("a/x.bin", bytes([number]) * MIB)


def test_a_reader_never_sees_half_an_object(store: ObjectStore):
    store.write_bytes("a/x.bin", bytes(MIB))
    writer = PROCESSES.Process(target=_write_for_ever, args=(store.url,), daemon=True)
    writer.start()
    seen: set[int] = set()
    until = time.monotonic() + PATIENCE_S
    try:
        while len(seen) < MANY and time.monotonic() < until:
            data = store.read_bytes("a/x.bin")
            assert data == data[:1] * MIB
            assert [info.size_bytes for info in store.list_folder("a")] == [MIB]
            seen.add(data[0])
    finally:
        writer.kill()
        writer.join(PATIENCE_S)
    assert len(seen) >= MANY, "the writer was not at work"


@pytest.mark.parametrize("look", ["list_folder", "stat", "read_bytes", "delete"])
def test_a_failed_look_is_an_error_and_not_an_empty_answer(store: ObjectStore, look: str):
    """Folders that cannot be read for root either: a file in their place, links in a circle."""
    store.write_bytes("file", b"x")
    (store.root / "circle").symlink_to("circle")
    for key in ("file/below", "circle/below"):
        with pytest.raises(TransientFailure, match=key):
            getattr(store, look)(key)


def test_a_folder_that_is_not_there_yet_is_empty(store: ObjectStore):
    assert store.list_folder("incoming") == []


@pytest.mark.parametrize("key", ["", ".", "/etc/passwd", "../x", "a/../../x", "a/..", "a\x00b"])
def test_keys_that_climb_out_are_refused(store: ObjectStore, key: str):
    for call in (store.stat, store.read_bytes, store.list_folder, store.delete, lambda k: store.write_bytes(k, b"")):
        with pytest.raises(PermanentFailure, match="not an object key"):
            call(key)
    with pytest.raises(PermanentFailure):
        store.move("a", key)


def test_a_name_longer_than_the_file_system_takes_is_a_named_failure(store: ObjectStore):
    store.write_bytes("there", b"")
    long = "x" * 300
    for call in (store.stat, store.read_bytes, lambda key: store.write_bytes(key, b"")):
        with pytest.raises(NeuroVisionError, match=long):
            call(long)


def test_a_missing_object_is_named(store: ObjectStore):
    for call in (store.read_bytes, lambda key: store.move(key, "other")):
        with pytest.raises(PermanentFailure, match=r"^raw/x.mp4: The object does not exist"):
            call("raw/x.mp4")
    assert store.stat("raw/x.mp4") is None
    store.delete("raw/x.mp4")


def test_a_write_beneath_an_object_is_a_named_failure(store: ObjectStore):
    """No folder can be made where a file is, nor can a file in it be begun."""
    store.write_bytes("a", b"an object")
    with pytest.raises(TransientFailure, match=r"^a/x.bin: The write failed \("):
        store.write_bytes("a/x.bin", b"new")
    assert store.read_bytes("a") == b"an object"


def test_a_move_takes_the_object_away(store: ObjectStore):
    store.write_bytes("incoming/a b, в.mp4", b"1")
    store.move("incoming/a b, в.mp4", "raw/deep/x.mp4")
    assert store.list_folder("incoming") == []
    assert store.read_bytes("raw/deep/x.mp4") == b"1"


@pytest.mark.parametrize(
    "url", ["s3://bucket/x", "s3:///x", "ftp://host/x", "file://relative/x", "file:relative", "/bare"]
)
def test_a_url_that_names_no_folder_is_refused(url: str):
    with pytest.raises(ConfigurationError, match="NEUROVISION_OBJECT_STORE_URL"):
        ObjectStore(url=url).stat("x")


def test_a_folder_with_blanks_and_signs_is_itself(tmp_path: Path):
    folder = tmp_path / "my data #1? %20 папка"
    ObjectStore(url=folder.as_uri()).write_bytes("x", b"1")
    assert (folder / "x").read_bytes() == b"1"


def test_a_full_disk_is_said_and_leaves_nothing(full_disk: Path, tmp_path: Path):
    store = ObjectStore(url=full_disk.as_uri())
    store.write_bytes("a/kept.bin", b"old")
    source = tmp_path / "large.bin"
    source.write_bytes(bytes(2 * MIB))
    for write in (
        lambda: store.write_bytes("a/new.bin", bytes(2 * MIB)),
        lambda: store.write_bytes("a/kept.bin", bytes(2 * MIB)),
        lambda: store.write_file("a/new.bin", source),
    ):
        with pytest.raises(TransientFailure, match=r"^a/(new|kept).bin: There is no space left.*Free disk space"):
            write()
    assert [info.key for info in store.list_folder("a")] == ["a/kept.bin"]
    assert store.read_bytes("a/kept.bin") == b"old"
    assert leftovers(store) == []
    assert store.free_bytes() > MIB // 2


def test_a_write_over_the_allowed_size_is_said_as_lack_of_space(store: ObjectStore):
    """The same without a mount: the kernel refuses files over RLIMIT_FSIZE."""
    store.write_bytes("a/kept.bin", b"old")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    quiet = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (MIB, limits[1]))
    try:
        with pytest.raises(TransientFailure, match=r"^a/kept.bin: There is no space left"):
            store.write_bytes("a/kept.bin", bytes(2 * MIB))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, quiet)
    assert store.read_bytes("a/kept.bin") == b"old"
    assert leftovers(store) == []


def _hold(url: str, held: Event) -> None:
    with ObjectStore(url=url).lock("surgery/phases"):
        held.set()
        time.sleep(600)


def _take(url: str, begun: Event, taken: Event) -> None:
    begun.set()
    with ObjectStore(url=url).lock("surgery/phases"):
        taken.set()


def test_a_lock_is_respected_and_ends_with_the_process_that_held_it(store: ObjectStore):
    held, begun, taken = PROCESSES.Event(), PROCESSES.Event(), PROCESSES.Event()
    holder = PROCESSES.Process(target=_hold, args=(store.url, held), daemon=True)
    holder.start()
    assert held.wait(PATIENCE_S)
    with store.lock("surgery/frames"):
        pass
    waiter = PROCESSES.Process(target=_take, args=(store.url, begun, taken), daemon=True)
    waiter.start()
    assert begun.wait(PATIENCE_S)
    assert not taken.wait(0.5), "two processes hold the same lock"
    holder.kill()
    assert taken.wait(PATIENCE_S)


def test_a_lock_that_is_never_given_back_is_a_named_failure(store: ObjectStore, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(locks, "LOCK_WAIT_S", 0.1)
    with (
        store.lock("claim-x"),
        pytest.raises(TransientFailure, match=r"claim-x\.lock: Another process holds this lock"),
        store.lock("claim-x"),
    ):
        pass


def test_a_lock_that_cannot_be_made_is_a_named_failure(store: ObjectStore):
    store.write_bytes("locks", b"a file in the folder's place")
    with pytest.raises(TransientFailure, match=r"x\.lock"), store.lock("x"):
        pass
