"""Objects by key, in a folder: uploads, raw videos, artifacts, progress.

Belongs here: atomic and verified writes, listing, reading, moving, locking. Does not belong here: what an object means
(``neurovision_assets.artifacts``). Keys are relative POSIX paths; every error names the key.
"""

import errno
import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO
from urllib.parse import unquote, urlparse

import dagster as dg
from filelock import FileLock, Timeout

from resources.errors import ConfigurationError, PermanentFailure, TransientFailure

COPY_CHUNK_BYTES = 1 << 20
TEMPORARY_PREFIX = ".writing-"
LOCK_FOLDER = "locks"
LOCK_WAIT_S = 1800.0
"""The longest that is done under a lock is copying a video into the store."""
OUT_OF_SPACE = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


@dataclass(frozen=True)
class ObjectInfo:
    """What a listing tells of an object.

    Attributes:
        key: the object's key.
        size_bytes: its size.
        modified_s: when it was last written, seconds since 1970.
    """

    key: str
    size_bytes: int
    modified_s: float


def sha256_of_file(path: Path) -> str:
    """SHA-256 of a file's bytes, 64 hex digits, in constant memory."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def checked_key(key: str) -> str:
    """The key itself.

    Raises:
        PermanentFailure: it is absolute, empty, the store itself, or climbs out of the store with ``..``.
    """
    path = PurePosixPath(key)
    if not path.parts or path.is_absolute() or ".." in path.parts or "\x00" in key:
        raise PermanentFailure("This is not an object key.", subject=repr(key), remedy="Use a relative path.")
    return key


class ObjectStore(dg.ConfigurableResource):  # type: ignore[type-arg]
    """A folder that behaves like a bucket.

    Args:
        url: ``file:///path``; other schemes are refused by name.
    """

    url: str

    @property
    def root(self) -> Path:
        """The folder behind the store."""
        parsed = urlparse(self.url)
        if parsed.scheme != "file":
            raise ConfigurationError(
                f"The object store scheme '{parsed.scheme}' is not supported.",
                subject="NEUROVISION_OBJECT_STORE_URL",
                remedy="Use file:///path.",
            )
        if parsed.netloc not in {"", "localhost"} or not parsed.path.startswith("/"):
            raise ConfigurationError(
                f"'{self.url}' names no folder of this machine.",
                subject="NEUROVISION_OBJECT_STORE_URL",
                remedy="Use file:///path, with three slashes.",
            )
        return Path(unquote(parsed.path))

    def path_of(self, key: str) -> Path:
        """Where the object lies on this machine, whether it exists or not."""
        return self.root / checked_key(key)

    def stat(self, key: str) -> ObjectInfo | None:
        """Size and time of an object, or None where there is none.

        Raises:
            TransientFailure: the storage cannot tell; a failed look is never an absent object.
        """
        try:
            found = self.path_of(key).stat()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise _refused_read(key, error) from error
        return ObjectInfo(key, found.st_size, found.st_mtime)

    def list_folder(self, prefix: str) -> list[ObjectInfo]:
        """Objects directly under a prefix, sorted by key, unfinished writes left out.

        Raises:
            TransientFailure: the folder cannot be read; a failed read is never an empty answer.
        """
        folder = self.path_of(prefix)
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with os.scandir(folder) as entries:
                found = [_info_of(prefix, entry) for entry in entries if not entry.name.startswith(".")]
        except OSError as error:
            raise TransientFailure(
                f"The folder cannot be listed ({error.strerror}).", subject=prefix, remedy="Check that it is mounted."
            ) from error
        return sorted((info for info in found if info), key=lambda info: info.key)

    def read_bytes(self, key: str) -> bytes:
        """The whole object."""
        with self.open(key) as file:
            return file.read()

    def read_range(self, key: str, start: int, length: int) -> bytes:
        """``length`` bytes from ``start``, fewer at the object's end."""
        with self.open(key) as file:
            file.seek(start)
            return file.read(length)

    @contextmanager
    def open(self, key: str) -> Iterator[IO[bytes]]:
        """The object as a seekable binary file.

        Raises:
            PermanentFailure: there is no such object.
            TransientFailure: it cannot be read just now.
        """
        try:
            file = self.path_of(key).open("rb")
        except FileNotFoundError as error:
            raise missing_object(key) from error
        except OSError as error:
            raise _refused_read(key, error) from error
        with file:
            yield file

    def write_bytes(self, key: str, data: bytes) -> ObjectInfo:
        """Put a small object: all of it or nothing, never half."""
        with self.writing(key) as temporary:
            temporary.write_bytes(data)
        return self._verified(key, len(data))

    def write_file(self, key: str, source: Path) -> ObjectInfo:
        """Put a copy of a local file: all of it or nothing.

        Raises:
            TransientFailure: there is not enough space, which is asked before the first byte is copied.
        """
        size_bytes, free_bytes = source.stat().st_size, self.free_bytes()
        if free_bytes < size_bytes:
            raise TransientFailure(
                f"There is no space left for it: {size_bytes:,} bytes are needed and {free_bytes:,} are free.",
                subject=key,
                remedy="Free disk space and start it again.",
            )
        with self.writing(key) as temporary:
            shutil.copyfile(source, temporary)
        return self._verified(key, source.stat().st_size)

    @contextmanager
    def writing(self, key: str) -> Iterator[Path]:
        """A temporary file beside the object that becomes the object when the block ends without an error.

        Raises:
            TransientFailure: the storage refused the write (full, read-only); nothing is left behind.
        """
        target = self.path_of(key)
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            handle, name = tempfile.mkstemp(prefix=TEMPORARY_PREFIX, suffix=target.suffix, dir=target.parent)
            os.close(handle)
        except OSError as error:
            raise _refused_write(key, error) from error
        temporary = Path(name)
        try:
            yield temporary
            temporary.chmod(0o644)
            _flush_to_disk(temporary)
            temporary.replace(target)
        except OSError as error:
            raise _refused_write(key, error) from error
        finally:
            temporary.unlink(missing_ok=True)

    def move(self, source: str, target: str) -> None:
        """Rename an object within the store.

        Raises:
            PermanentFailure: the source does not exist.
        """
        destination = self.path_of(target)
        try:
            destination.parent.mkdir(parents=True, exist_ok=True)
            self.path_of(source).replace(destination)
        except FileNotFoundError as error:
            raise missing_object(source) from error
        except OSError as error:
            raise _refused_write(target, error) from error

    def delete(self, key: str) -> None:
        """Remove an object; one that is not there is no error.

        Raises:
            TransientFailure: the storage refused.
        """
        try:
            self.path_of(key).unlink(missing_ok=True)
        except OSError as error:
            raise _refused_write(key, error) from error

    def free_bytes(self) -> int:
        """Space left for new objects."""
        self.root.mkdir(parents=True, exist_ok=True)
        return shutil.disk_usage(self.root).free

    @contextmanager
    def lock(self, name: str) -> Iterator[None]:
        """Hold a lock that every process on this store respects; it ends with the process that holds it.

        Raises:
            TransientFailure: the storage refused the lock's file, or somebody else holds it for longer than
                `LOCK_WAIT_S`.
        """
        path = self.path_of(f"{LOCK_FOLDER}/{name.replace('/', '.')}.lock")
        lock = FileLock(path)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            lock.acquire(timeout=LOCK_WAIT_S)
        except Timeout as error:
            raise TransientFailure(
                f"Another process holds this lock for more than {LOCK_WAIT_S:.0f} s.",
                subject=path.name,
                remedy="Look whether that process hangs, end it and try again.",
            ) from error
        except OSError as error:
            raise _refused_write(path.name, error) from error
        try:
            yield
        finally:
            lock.release()

    def _verified(self, key: str, expected_bytes: int) -> ObjectInfo:
        info = self.stat(key)
        if info is None or info.size_bytes != expected_bytes:
            raise TransientFailure(
                "The object is not as it was written.", subject=key, remedy="Check the storage and try again."
            )
        return info


def missing_object(key: str) -> PermanentFailure:
    """The error of an object that should be there and is not."""
    return PermanentFailure(
        "The object does not exist.", subject=key, remedy="Materialize the asset that makes it, or upload it again."
    )


def _info_of(prefix: str, entry: os.DirEntry[str]) -> ObjectInfo | None:
    """An entry that vanished between listing and look is left out: it was moved by another process."""
    try:
        if not entry.is_file():
            return None
        found = entry.stat()
    except FileNotFoundError:
        return None
    return ObjectInfo(f"{prefix.rstrip('/')}/{entry.name}", found.st_size, found.st_mtime)


def _flush_to_disk(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())


def _refused_read(key: str, error: OSError) -> TransientFailure:
    return TransientFailure(
        f"The object cannot be read ({error.strerror}).", subject=key, remedy="Check the storage and try again."
    )


def is_out_of_space(error: OSError) -> bool:
    """Whether the storage is full, or this process may not write more to it."""
    return error.errno in OUT_OF_SPACE


def _refused_write(key: str, error: OSError) -> TransientFailure:
    full = is_out_of_space(error)
    problem = "There is no space left to write the object." if full else f"The write failed ({error.strerror})."
    remedy = "Free disk space and start it again." if full else "Check the storage and try again."
    return TransientFailure(problem, subject=key, remedy=remedy)
