"""Objects by key, in a folder or in an S3 bucket: uploads, raw videos, artifacts, progress.

Belongs here: the one interface of both, and which of them a URL names. Does not belong here: how each does it
(``folder``, ``s3``), what an object means (``neurovision_assets.artifacts``). Keys are relative POSIX paths; every
error names the key.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import cached_property
from pathlib import Path
from typing import BinaryIO
from urllib.parse import unquote, urlparse

import dagster as dg

from resources.errors import ConfigurationError
from resources.object_store.cache import LocalCopies
from resources.object_store.client import SUBJECT, Server
from resources.object_store.events import BucketEvents
from resources.object_store.folder import FolderObjects
from resources.object_store.locks import FileLocks, Locks, PostgresLocks
from resources.object_store.objects import ObjectInfo
from resources.object_store.remote_file import Source
from resources.object_store.s3 import S3Objects
from resources.object_store.s3_requests import Bucket
from resources.postgres import is_postgres
from resources.settings import Settings, load_settings

LOCK_FOLDER = "locks"
SCRATCH_FOLDER = ".scratch"
COPIES_FOLDER = "object-copies"
DEFAULT_REGION = "us-east-1"


class ObjectStore(dg.ConfigurableResource):  # type: ignore[type-arg]
    """A folder that behaves like a bucket, or a bucket.

    Secrets are no part of it: they are read from the environment when the server is asked.

    Args:
        url: ``file:///path`` or ``s3://bucket/prefix``; other schemes are refused by name.
        endpoint_url: S3 server, empty for Amazon's.
        region: that requests are signed for.
        ca_file: certificates that the server's is checked with, empty for the usual ones.
        encryption: asked of the server at every write, empty for the bucket's own rule.
        home: folder of this machine for scratch, copies and locks of a bucket; a folder store has them inside.
        locks_in_database: locks by the application database (PostgreSQL), for a bucket that many machines share.
    """

    url: str
    endpoint_url: str = ""
    region: str = DEFAULT_REGION
    ca_file: str = ""
    encryption: str = ""
    home: str = ""
    locks_in_database: bool = False

    @classmethod
    def of(cls, settings: Settings) -> ObjectStore:
        """The store of a deployment."""
        if not settings.objects_url.startswith("s3:"):
            return cls(url=settings.objects_url)
        return cls(
            url=settings.objects_url,
            endpoint_url=settings.s3_endpoint_url,
            region=settings.s3_region,
            ca_file=settings.s3_ca_file,
            encryption=settings.s3_encryption,
            home=str(settings.home),
            locks_in_database=is_postgres(settings.application_database),
        )

    @property
    def is_folder(self) -> bool:
        """Whether objects are files of this machine, which may be seen while somebody else still writes them."""
        return isinstance(self._objects, FolderObjects)

    @property
    def root(self) -> Path:
        """The folder of this store on this machine: of its objects, or of what a bucket needs beside it.

        Raises:
            ConfigurationError: the URL names neither a folder nor a bucket.
        """
        if isinstance(self._objects, FolderObjects):
            return self._objects.root
        return Path(self.home)

    @property
    def scratch(self) -> Path:
        """Folder on this machine for what is not an object yet; a finished file becomes one without being copied."""
        return self.root / SCRATCH_FOLDER

    def check(self) -> None:
        """See that the store answers, before any work starts.

        Raises:
            NeuroVisionError: it does not; the text says why.
        """
        self._objects.check()

    def stat(self, key: str) -> ObjectInfo | None:
        """Size and time of an object, or None where there is none.

        Raises:
            TransientFailure: the storage cannot tell; a failed look is never an absent object.
        """
        return self._objects.stat(key)

    def list_folder(self, prefix: str, after: str = "", limit: int | None = None) -> list[ObjectInfo]:
        """Objects directly under a prefix, sorted by key, unfinished writes left out.

        Args:
            prefix: without a slash at its end.
            after: only keys behind this one: the last of an earlier answer, to go on there.
            limit: so many at most.

        Raises:
            TransientFailure: it cannot be listed; a failed read is never an empty answer.
        """
        return self._objects.list_folder(prefix, after, limit)

    def find_bytes(self, key: str) -> bytes | None:
        """The whole object, or None where there is none.

        Raises:
            TransientFailure: the storage cannot tell.
        """
        return self._objects.find_bytes(key)

    def read_bytes(self, key: str) -> bytes:
        """The whole object.

        Raises:
            PermanentFailure: there is no such object.
            TransientFailure: it cannot be read just now.
        """
        with self.open(key) as file:
            return file.read()

    def read_range(self, key: str, start: int, length: int) -> bytes:
        """``length`` bytes from ``start``, fewer at the object's end."""
        return self._objects.read_range(key, start, length)

    def open(self, key: str) -> AbstractContextManager[BinaryIO]:
        """The object as a seekable binary file.

        Raises:
            PermanentFailure: there is no such object.
            TransientFailure: it cannot be read just now.
        """
        return self._objects.open(key)

    def local_file(self, key: str, sha256: str | None = None, *, folder: Path | None = None) -> Path:
        """The object as a file of this machine, to be read and never changed: itself, or a copy that is kept a while.

        Args:
            key: of the object.
            sha256: that a copy must have; None: the one that was noted when it was written, if there is one.
            folder: where a copy is to lie that must not outlive the caller's work; the caller removes it.

        Raises:
            PermanentFailure: it is not there, or a copy of it has another checksum.
            TransientFailure: it could not be loaded.
        """
        return self._objects.local_file(key, sha256, folder)

    def source(self, key: str) -> Source:
        """The object for a decoder, which may begin before all of it is on this machine."""
        return self._objects.source(key)

    def sha256_of(self, key: str) -> str:
        """SHA-256 of the object, 64 hex digits, as far as the storage vouches for it: a folder is read anew.

        Raises:
            PermanentFailure: there is no such object.
        """
        return self._objects.sha256_of(key)

    def write_bytes(self, key: str, data: bytes) -> ObjectInfo:
        """Put a small object: all of it or nothing, never half."""
        return self._objects.write_bytes(key, data)

    def create_bytes(self, key: str, data: bytes) -> bool:
        """Put a small object where there is none: of several writers one succeeds, the others are told False."""
        return self._objects.create_bytes(key, data)

    def write_file(self, key: str, source: Path) -> ObjectInfo:
        """Put a copy of a local file: all of it or nothing.

        Raises:
            TransientFailure: there is not enough space, which is asked before the first byte is copied.
        """
        return self._objects.write_file(key, source)

    def take_file(self, key: str, source: Path, sha256: str) -> None:
        """Put a file from `scratch`, which is gone from there afterwards: all of it or nothing.

        Args:
            key: of the object.
            source: the file.
            sha256: of its bytes.
        """
        self._objects.take_file(key, source, sha256)

    def writing(self, key: str) -> AbstractContextManager[Path]:
        """A temporary file that becomes the object when the block ends without an error.

        Raises:
            TransientFailure: the storage refused the write (full, read-only); nothing is left behind.
        """
        return self._objects.writing(key)

    def move(self, source: str, target: str) -> None:
        """Rename an object within the store; a process that dies in between leaves it under both names, never none.

        Raises:
            PermanentFailure: the source does not exist.
        """
        self._objects.move(source, target)

    def finish_move(self, source: str, target: str) -> bool:
        """Remove what a move left under the old name; whether there was such a thing."""
        return self._objects.finish_move(source, target)

    def delete(self, key: str) -> None:
        """Remove an object; one that is not there is no error.

        Raises:
            TransientFailure: the storage refused.
        """
        self._objects.delete(key)

    def free_bytes(self) -> int:
        """Space left for new objects."""
        return self._objects.free_bytes()

    def scratch_free_bytes(self) -> int:
        """Space left on this machine for what is not an object yet."""
        self.root.mkdir(parents=True, exist_ok=True)
        return shutil.disk_usage(self.root).free

    def link(self, key: str, valid_s: int) -> str:
        """An address under which the object can be opened: in a bucket by whoever has it, for so many seconds."""
        return self._objects.link(key, valid_s)

    def events(self, prefix: str) -> BucketEvents | None:
        """What a MinIO server tells of new objects under a prefix; None where nobody could tell."""
        if isinstance(self._objects, FolderObjects):
            return None
        place = self._objects.bucket
        return BucketEvents(place.server, place.name, f"{place.prefix}{prefix}/")

    @contextmanager
    def lock(self, name: str) -> Iterator[None]:
        """Hold a lock that every process on this store respects; it ends with the process that holds it.

        Raises:
            TransientFailure: the lock cannot be made, or somebody else holds it for longer than `LOCK_WAIT_S`.
        """
        with self._locks.hold(name):
            yield

    @cached_property
    def _objects(self) -> FolderObjects | S3Objects:
        parsed = urlparse(self.url)
        if parsed.scheme == "file":
            return FolderObjects(_folder_of(self.url))
        if parsed.scheme != "s3":
            raise ConfigurationError(
                f"The object store scheme '{parsed.scheme}' is not supported.",
                subject=SUBJECT,
                remedy="Use file:///path or s3://bucket/prefix.",
            )
        prefix = parsed.path.strip("/")
        if not parsed.netloc or not self.home:
            raise ConfigurationError(
                f"'{self.url}' names no bucket, or no folder of this machine goes with it.",
                subject=SUBJECT,
                remedy="Use s3://bucket/prefix, and set NEUROVISION_HOME.",
            )
        server = Server(self.endpoint_url, self.region, self.ca_file)
        bucket = Bucket(server, parsed.netloc, f"{prefix}/" if prefix else "", self.encryption)
        return S3Objects(bucket, LocalCopies(Path(self.home) / COPIES_FOLDER))

    @cached_property
    def _locks(self) -> Locks:
        if self.locks_in_database:
            return PostgresLocks(load_settings().application_database, self.url)
        return FileLocks(self.root / LOCK_FOLDER)


def _folder_of(url: str) -> Path:
    parsed = urlparse(url)
    if parsed.netloc not in {"", "localhost"} or not parsed.path.startswith("/"):
        raise ConfigurationError(
            f"'{url}' names no folder of this machine.", subject=SUBJECT, remedy="Use file:///path, with three slashes."
        )
    return Path(unquote(parsed.path))
