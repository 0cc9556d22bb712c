"""Objects in a bucket of an S3 server.

Belongs here: what a bucket does where a folder has a call of its own, and what must come back before it is believed.
Does not belong here: requests (``s3_requests``), writing (``s3_transfers``), the server and its errors (``client``),
copies on this machine (``cache``), what an object means.

A bucket knows neither renames nor half-written objects: a write is seen whole or not at all, a move is a copy on the
server and a deletion. Checksums travel with every write, and the SHA-256 of what we write stands in its metadata.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

from tenacity import Retrying, retry_if_exception_type, stop_after_attempt, wait_exponential_jitter

from resources.errors import TransientFailure
from resources.object_store.cache import LocalCopies
from resources.object_store.client import CHANGED, NO_OBJECT, code_of, in_our_words
from resources.object_store.objects import (
    ObjectInfo,
    altered_object,
    checked_key,
    missing_object,
    refused_read,
    refused_write,
    sha256_of_file,
)
from resources.object_store.remote_file import READ_AHEAD_BYTES, RemoteFile, Source
from resources.object_store.s3_requests import Bucket, BucketRequests, info_of, tag_of
from resources.object_store.s3_transfers import SHA256_FIELD, Transfers

PAGE_KEYS = 1000
READ_ATTEMPTS = 5
UNLIMITED_BYTES = 1 << 62
MOVED_FIELD = "moved-from"


class S3Objects:
    """Objects under a prefix of a bucket.

    Args:
        bucket: where they are.
        copies: of objects on this machine.
    """

    def __init__(self, bucket: Bucket, copies: LocalCopies) -> None:
        self.bucket, self._copies = bucket, copies
        self._requests = BucketRequests(bucket)
        self._transfers = Transfers(self._requests)

    def check(self) -> None:
        """The bucket answers to these credentials."""
        self._requests.page(self.bucket.prefix, "", 1)

    def stat(self, key: str) -> ObjectInfo | None:
        """Size, time and tag of an object, or None where there is none."""
        head = self._requests.head(key)
        return None if head is None else info_of(key, head, head["ContentLength"])

    def list_folder(self, prefix: str, after: str, limit: int | None) -> list[ObjectInfo]:
        """Objects directly under a prefix."""
        folder = checked_key(prefix).rstrip("/") + "/"
        found: list[ObjectInfo] = []
        while limit is None or len(found) < limit:
            page = self._requests.page(
                self._requests.name_of(folder), self._requests.name_of(after) if after else "", PAGE_KEYS
            )
            entries = page.get("Contents", [])
            found += [info for entry in entries if (info := self._entry(folder, entry)) is not None]
            if not page["IsTruncated"]:
                break
            last = [*(entry["Key"] for entry in entries), *(one["Prefix"] for one in page.get("CommonPrefixes", []))]
            after = max(last).removeprefix(self.bucket.prefix)
        return found[:limit]

    def find_bytes(self, key: str) -> bytes | None:
        """The whole object, None where there is none."""
        name = self._requests.name_of(checked_key(key))

        def get() -> bytes | None:
            try:
                return bytes(self._requests.client.get_object(Bucket=self.bucket.name, Key=name)["Body"].read())
            except self._requests.client.exceptions.ClientError as error:
                if code_of(error) in NO_OBJECT:  # a missing bucket is told apart here
                    return None
                raise

        return self._requests.asked(key, get)

    def read_range(self, key: str, start: int, length: int) -> bytes:
        """Some bytes of an object."""
        info = self._required(key)
        length = min(length, info.size_bytes - start)
        return self._read(info, start, length) if length > 0 else b""

    @contextmanager
    def open(self, key: str) -> Iterator[BinaryIO]:
        """The object as a file whose parts are loaded when they are read."""
        with RemoteFile(self._required(key), self._read).open() as file:
            yield file

    def local_file(self, key: str, sha256: str | None, folder: Path | None) -> Path:
        """A copy on this machine, loaded and compared with its checksum where there is none."""
        head = self._requests.head(key)
        if head is None:
            raise missing_object(key)
        info = info_of(key, head, head["ContentLength"])
        expected = sha256 or head["Metadata"].get(SHA256_FIELD)
        if folder is None:
            return self._copies.find(info) or self._load(info, expected)
        path = folder / key.replace("/", "_")
        self._load_into(path, info, expected)
        return path

    def source(self, key: str) -> Source:
        """The copy on this machine, or the object itself where there is none."""
        info = self._required(key)
        return self._copies.find(info) or RemoteFile(info, self._read)

    def sha256_of(self, key: str) -> str:
        """SHA-256 that was verified when the object was written; of its bytes where others have written it."""
        head = self._requests.head(key)
        if head is None:
            raise missing_object(key)
        noted: str | None = head["Metadata"].get(SHA256_FIELD)
        if noted is not None:
            return noted
        with self.open(key) as file:
            return hashlib.file_digest(file, "sha256").hexdigest()  # type: ignore[arg-type]

    def write_bytes(self, key: str, data: bytes) -> ObjectInfo:
        """Put a small object."""
        self._requests.asked(key, partial(self._transfers.put, key, data))
        return self._transfers.written(key, len(data), hashlib.sha256(data).hexdigest())

    def create_bytes(self, key: str, data: bytes) -> bool:
        """Put a small object where there is none: of several writers one succeeds."""

        def put() -> bool:
            try:
                self._transfers.put(key, data, IfNoneMatch="*")
            except self._requests.client.exceptions.ClientError as error:
                if code_of(error) in CHANGED:
                    return False
                raise
            return True

        return self._requests.asked(key, put)

    def write_file(self, key: str, source: Path) -> ObjectInfo:
        """Put a copy of a local file, a large one in parts."""
        try:
            return self._transfers.upload(key, source, sha256_of_file(source))
        except OSError as error:
            raise refused_read(key, error) from error

    def take_file(self, key: str, source: Path, sha256: str) -> None:
        """Put a local file that is not needed any more; it becomes this machine's copy."""
        self._copies.keep(self._transfers.upload(key, source, sha256), source)

    @contextmanager
    def writing(self, key: str) -> Iterator[Path]:
        """A temporary file that becomes the object when the block ends without an error."""
        checked_key(key)
        with self._copies.loading(key) as temporary:
            try:
                yield temporary
                self.take_file(key, temporary, sha256_of_file(temporary))
            except OSError as error:
                raise refused_write(key, error) from error

    def move(self, source: str, target: str) -> None:
        """Copy on the server, then delete; what is left when it ends in between, `finish_move` clears away."""
        head = self._requests.head(source)
        if head is None:
            raise missing_object(source)
        metadata = {**head["Metadata"], MOVED_FIELD: tag_of(head)}
        size = head["ContentLength"]
        self._requests.asked(target, partial(self._transfers.copy, source, target, metadata, size))
        self._transfers.written(target, size, head["Metadata"].get(SHA256_FIELD))
        self.delete(source)

    def finish_move(self, source: str, target: str) -> bool:
        """Delete the source of a move that ended before it could."""
        head, moved = self._requests.head(source), self._requests.head(target)
        if head is None or moved is None or moved["Metadata"].get(MOVED_FIELD) != tag_of(head):
            return False
        self.delete(source)
        return True

    def delete(self, key: str) -> None:
        """Remove an object."""
        name = self._requests.name_of(checked_key(key))
        self._requests.asked(key, lambda: self._requests.client.delete_object(Bucket=self.bucket.name, Key=name))

    def free_bytes(self) -> int:
        """A bucket does not tell."""
        return UNLIMITED_BYTES

    def link(self, key: str, valid_s: int) -> str:
        """An address under which whoever has it can read the object for a while."""
        name = self._requests.name_of(checked_key(key))
        with in_our_words(key, self.bucket.name):
            return str(
                self._requests.client.generate_presigned_url(
                    "get_object", Params={"Bucket": self.bucket.name, "Key": name}, ExpiresIn=valid_s
                )
            )

    def _entry(self, folder: str, entry: dict[str, Any]) -> ObjectInfo | None:
        key = entry["Key"].removeprefix(self.bucket.prefix)
        name = key.removeprefix(folder)
        if not name or name.endswith("/") or name.startswith("."):
            return None
        return info_of(key, entry, entry["Size"])

    def _required(self, key: str) -> ObjectInfo:
        info = self.stat(key)
        if info is None:
            raise missing_object(key)
        return info

    def _read(self, info: ObjectInfo, start: int, length: int) -> bytes:
        """Bytes of one state of an object."""
        name, until = self._requests.name_of(info.key), start + length - 1

        def get() -> bytes:
            answer = self._requests.client.get_object(
                Bucket=self.bucket.name, Key=name, Range=f"bytes={start}-{until}", IfMatch=f'"{info.etag}"'
            )
            data = bytes(answer["Body"].read())
            if len(data) != length:
                raise TransientFailure("The answer broke off.", subject=info.key, remedy="Try again.")
            return data

        again = Retrying(
            retry=retry_if_exception_type(TransientFailure),
            stop=stop_after_attempt(READ_ATTEMPTS),
            wait=wait_exponential_jitter(max=5),
            reraise=True,
        )
        data: bytes = again(self._requests.asked, info.key, get)
        return data

    def _load(self, info: ObjectInfo, expected: str | None) -> Path:
        with self._copies.loading(info.key) as temporary:
            self._load_into(temporary, info, expected)
            return self._copies.keep(info, temporary)

    def _load_into(self, path: Path, info: ObjectInfo, expected: str | None) -> None:
        digest = hashlib.sha256()
        try:
            with path.open("wb") as file:
                for start in range(0, info.size_bytes, READ_AHEAD_BYTES):
                    data = self._read(info, start, min(READ_AHEAD_BYTES, info.size_bytes - start))
                    digest.update(data)
                    file.write(data)
        except OSError as error:
            raise refused_write(info.key, error) from error
        if expected is not None and digest.hexdigest() != expected:
            raise altered_object(info.key)
