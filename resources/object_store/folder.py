"""Objects in a folder of this machine, or of one that is mounted on it.

Belongs here: atomic and verified writes, listing, moving. Does not belong here: locks, S3, what an object means.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import BinaryIO

from resources.errors import TransientFailure
from resources.object_store.objects import (
    ObjectInfo,
    checked_key,
    missing_object,
    no_space_for,
    refused_read,
    refused_write,
    sha256_of_file,
    unverified_write,
)
from resources.object_store.temporary import temporary_file

TEMPORARY_PREFIX = ".writing-"


class FolderObjects:
    """A folder that behaves like a bucket.

    Args:
        root: the folder; made where it is missing.
    """

    def __init__(self, root: Path) -> None:
        self.root = root

    def path_of(self, key: str) -> Path:
        """Where the object lies, whether it exists or not."""
        return self.root / checked_key(key)

    def check(self) -> None:
        """The folder can be listed."""
        self.list_folder("incoming", "", 1)

    def stat(self, key: str) -> ObjectInfo | None:
        """Size and time of an object, or None where there is none."""
        try:
            found = self.path_of(key).stat()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise refused_read(key, error) from error
        return ObjectInfo(key, found.st_size, found.st_mtime)

    def list_folder(self, prefix: str, after: str, limit: int | None) -> list[ObjectInfo]:
        """Objects directly under a prefix."""
        folder = self.path_of(prefix)
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with os.scandir(folder) as entries:
                found = [_info_of(prefix, entry) for entry in entries if not entry.name.startswith(".")]
        except OSError as error:
            raise TransientFailure(
                f"The folder cannot be listed ({error.strerror}).", subject=prefix, remedy="Check that it is mounted."
            ) from error
        return sorted((info for info in found if info and info.key > after), key=lambda info: info.key)[:limit]

    def find_bytes(self, key: str) -> bytes | None:
        """The whole object, None where there is none."""
        try:
            return self.path_of(key).read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise refused_read(key, error) from error

    def read_range(self, key: str, start: int, length: int) -> bytes:
        """Some bytes of an object."""
        with self.open(key) as file:
            file.seek(start)
            return file.read(length)

    @contextmanager
    def open(self, key: str) -> Iterator[BinaryIO]:
        """The object as a file."""
        try:
            file = self.path_of(key).open("rb")
        except FileNotFoundError as error:
            raise missing_object(key) from error
        except OSError as error:
            raise refused_read(key, error) from error
        with file:
            yield file

    def local_file(self, key: str, _sha256: str | None, _folder: Path | None) -> Path:
        """The object itself."""
        return self.path_of(key)

    def source(self, key: str) -> Path:
        """The object itself."""
        return self.path_of(key)

    def sha256_of(self, key: str) -> str:
        """SHA-256 of the object's bytes, read anew."""
        if self.stat(key) is None:
            raise missing_object(key)
        try:
            return sha256_of_file(self.path_of(key))
        except OSError as error:
            raise refused_read(key, error) from error

    def write_bytes(self, key: str, data: bytes) -> ObjectInfo:
        """Put a small object."""
        with self.writing(key) as temporary:
            temporary.write_bytes(data)
        return self._verified(key, len(data))

    def create_bytes(self, key: str, data: bytes) -> bool:
        """Put a small object where there is none: of several writers one succeeds."""
        target = self.path_of(key)
        with self._temporary(key) as temporary:
            try:
                temporary.write_bytes(data)
                _make_lasting(temporary)
                os.link(temporary, target)
            except FileExistsError:
                return False
            except OSError as error:
                raise refused_write(key, error) from error
        return True

    def write_file(self, key: str, source: Path) -> ObjectInfo:
        """Put a copy of a local file."""
        size_bytes, free_bytes = source.stat().st_size, self.free_bytes()
        if free_bytes < size_bytes:
            raise no_space_for(key, size_bytes, free_bytes)
        with self.writing(key) as temporary:
            shutil.copyfile(source, temporary)
        return self._verified(key, source.stat().st_size)

    def take_file(self, key: str, source: Path, sha256: str) -> None:  # noqa: ARG002 - a rename changes no byte
        """Put a local file that is not needed any more."""
        with self.writing(key) as temporary:
            shutil.move(source, temporary)

    @contextmanager
    def writing(self, key: str) -> Iterator[Path]:
        """A temporary file beside the object that becomes the object when the block ends without an error."""
        with self._temporary(key) as temporary:
            try:
                yield temporary
                _make_lasting(temporary)
                temporary.replace(self.path_of(key))
            except OSError as error:
                raise refused_write(key, error) from error

    def move(self, source: str, target: str) -> None:
        """Rename an object."""
        destination = self.path_of(target)
        try:
            destination.parent.mkdir(parents=True, exist_ok=True)
            self.path_of(source).replace(destination)
        except FileNotFoundError as error:
            raise missing_object(source) from error
        except OSError as error:
            raise refused_write(target, error) from error

    def finish_move(self, source: str, target: str) -> bool:  # noqa: ARG002
        """A rename is never found half-done."""
        return False

    def delete(self, key: str) -> None:
        """Remove an object."""
        try:
            self.path_of(key).unlink(missing_ok=True)
        except OSError as error:
            raise refused_write(key, error) from error

    def free_bytes(self) -> int:
        """Space left on the folder's file system."""
        self.root.mkdir(parents=True, exist_ok=True)
        return shutil.disk_usage(self.root).free

    def link(self, key: str, valid_s: int) -> str:  # noqa: ARG002 - rights of a file do not end by themselves
        """The file's address on this machine."""
        return self.path_of(key).absolute().as_uri()

    def _temporary(self, key: str) -> AbstractContextManager[Path]:
        """An empty file beside the object that is gone afterwards, whatever happened."""
        target = self.path_of(key)
        return temporary_file(key, target.parent, prefix=TEMPORARY_PREFIX, suffix=target.suffix)

    def _verified(self, key: str, expected_bytes: int) -> ObjectInfo:
        info = self.stat(key)
        if info is None or info.size_bytes != expected_bytes:
            raise unverified_write(key)
        return info


def _info_of(prefix: str, entry: os.DirEntry[str]) -> ObjectInfo | None:
    """An entry that vanished between listing and look is left out: it was moved by another process."""
    try:
        if not entry.is_file():
            return None
        found = entry.stat()
    except FileNotFoundError:
        return None
    return ObjectInfo(f"{prefix.rstrip('/')}/{entry.name}", found.st_size, found.st_mtime)


def _make_lasting(path: Path) -> None:
    """Readable by others, and on the disk: a power failure after the rename must not leave an empty object."""
    path.chmod(0o644)
    with path.open("rb") as file:
        os.fsync(file.fileno())
