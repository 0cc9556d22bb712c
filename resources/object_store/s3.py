"""Objects in a bucket of an S3 server.

Belongs here: requests, and what they must bring back before they are believed. Does not belong here: reaching the
server and its errors (``client``), copies on this machine (``cache``), what an object means.

A bucket knows neither renames nor half-written objects: a write is seen whole or not at all, a move is a copy on the
server and a deletion. Checksums travel with every write, and the SHA-256 of what we write stands in its metadata.
"""

from __future__ import annotations

import hashlib
import mimetypes
import time
from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

from tenacity import Retrying, retry_if_exception_type, stop_after_attempt, wait_exponential_jitter

from resources.errors import TransientFailure
from resources.object_store.cache import LocalCopies
from resources.object_store.client import CHANGED, NO_OBJECT, Server, client_of, code_of, in_our_words
from resources.object_store.objects import (
    ObjectInfo,
    altered_object,
    checked_key,
    missing_object,
    refused_read,
    refused_write,
    sha256_of_file,
    unverified_write,
)
from resources.object_store.remote_file import READ_AHEAD_BYTES, RemoteFile, Source

T = TypeVar("T")
PAGE_KEYS = 1000
MULTIPART_BYTES = 32 << 20
"""From this size a file goes up in parts, a few at a time; a part that fails is sent again, not the whole."""
PART_BYTES = 16 << 20
PARTS_AT_ONCE = 3
COPY_PART_BYTES = 1 << 30
COPY_WHOLE_BYTES = 5_000_000_000
"""S3 copies objects up to 5 GB in one request."""
READ_ATTEMPTS = 5
BUCKET_SEEN_S = 10.0
UNLIMITED_BYTES = 1 << 62
SHA256_FIELD = "sha256"
MOVED_FIELD = "moved-from"


@dataclass(frozen=True)
class Bucket:
    """A place in a bucket.

    Attributes:
        server: where it is.
        name: of the bucket.
        prefix: of all keys, empty or ending in a slash.
        encryption: what the server is asked to encrypt with, empty for the bucket's own rule.
    """

    server: Server
    name: str
    prefix: str
    encryption: str = ""


class S3Objects:
    """Objects under a prefix of a bucket.

    Args:
        bucket: where they are.
        copies: of objects on this machine.
    """

    def __init__(self, bucket: Bucket, copies: LocalCopies) -> None:
        self.bucket, self._copies = bucket, copies
        self._bucket_seen_s = 0.0

    def check(self) -> None:
        """The bucket answers to these credentials."""
        self._page(self.bucket.prefix, "", 1)

    def stat(self, key: str) -> ObjectInfo | None:
        """Size, time and tag of an object, or None where there is none."""
        head = self._head(key)
        return None if head is None else _info_of(key, head, head["ContentLength"])

    def list_folder(self, prefix: str, after: str, limit: int | None) -> list[ObjectInfo]:
        """Objects directly under a prefix."""
        folder = checked_key(prefix).rstrip("/") + "/"
        found: list[ObjectInfo] = []
        while limit is None or len(found) < limit:
            page = self._page(self._name_of(folder), self._name_of(after) if after else "", PAGE_KEYS)
            entries = page.get("Contents", [])
            found += [info for entry in entries if (info := self._entry(folder, entry)) is not None]
            if not page["IsTruncated"]:
                break
            last = [*(entry["Key"] for entry in entries), *(one["Prefix"] for one in page.get("CommonPrefixes", []))]
            after = max(last).removeprefix(self.bucket.prefix)
        return found[:limit]

    def find_bytes(self, key: str) -> bytes | None:
        """The whole object, None where there is none."""
        name = self._name_of(checked_key(key))

        def get() -> bytes | None:
            try:
                return bytes(self._client.get_object(Bucket=self.bucket.name, Key=name)["Body"].read())
            except self._client.exceptions.ClientError as error:
                if code_of(error) in NO_OBJECT:  # a missing bucket is told apart here
                    return None
                raise

        return self._asked(key, get)

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
        head = self._head(key)
        if head is None:
            raise missing_object(key)
        info = _info_of(key, head, head["ContentLength"])
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
        head = self._head(key)
        if head is None:
            raise missing_object(key)
        noted: str | None = head["Metadata"].get(SHA256_FIELD)
        if noted is not None:
            return noted
        with self.open(key) as file:
            return hashlib.file_digest(file, "sha256").hexdigest()  # type: ignore[arg-type]

    def write_bytes(self, key: str, data: bytes) -> ObjectInfo:
        """Put a small object."""
        self._asked(key, partial(self._put, key, data))
        return self._written(key, len(data), hashlib.sha256(data).hexdigest())

    def create_bytes(self, key: str, data: bytes) -> bool:
        """Put a small object where there is none: of several writers one succeeds."""

        def put() -> bool:
            try:
                self._put(key, data, IfNoneMatch="*")
            except self._client.exceptions.ClientError as error:
                if code_of(error) in CHANGED:
                    return False
                raise
            return True

        return self._asked(key, put)

    def write_file(self, key: str, source: Path) -> ObjectInfo:
        """Put a copy of a local file, a large one in parts."""
        try:
            return self._upload(key, source, sha256_of_file(source))
        except OSError as error:
            raise refused_read(key, error) from error

    def take_file(self, key: str, source: Path, sha256: str) -> None:
        """Put a local file that is not needed any more; it becomes this machine's copy."""
        self._copies.keep(self._upload(key, source, sha256), source)

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
        head = self._head(source)
        if head is None:
            raise missing_object(source)
        metadata = {**head["Metadata"], MOVED_FIELD: _tag(head)}
        options = {"MetadataDirective": "REPLACE", "Metadata": metadata, **self._options(target)}
        size = head["ContentLength"]
        self._asked(target, partial(self._copy, source, target, options, size))
        self._written(target, size, head["Metadata"].get(SHA256_FIELD))
        self.delete(source)

    def finish_move(self, source: str, target: str) -> bool:
        """Delete the source of a move that ended before it could."""
        head, moved = self._head(source), self._head(target)
        if head is None or moved is None or moved["Metadata"].get(MOVED_FIELD) != _tag(head):
            return False
        self.delete(source)
        return True

    def delete(self, key: str) -> None:
        """Remove an object."""
        name = self._name_of(checked_key(key))
        self._asked(key, lambda: self._client.delete_object(Bucket=self.bucket.name, Key=name))

    def free_bytes(self) -> int:
        """A bucket does not tell."""
        return UNLIMITED_BYTES

    def link(self, key: str, valid_s: int) -> str:
        """An address under which whoever has it can read the object for a while."""
        name = self._name_of(checked_key(key))
        with in_our_words(key, self.bucket.name):
            return str(
                self._client.generate_presigned_url(
                    "get_object", Params={"Bucket": self.bucket.name, "Key": name}, ExpiresIn=valid_s
                )
            )

    @property
    def _client(self) -> Any:
        return client_of(self.bucket.server)

    def _name_of(self, key: str) -> str:
        return self.bucket.prefix + key

    def _asked(self, key: str, request: Callable[[], T]) -> T:
        """The answer to a request; a body that breaks off is asked for again, all else the library has tried again."""
        with in_our_words(key, self.bucket.name):
            answer = request()
        self._bucket_seen_s = time.monotonic()
        return answer

    def _head(self, key: str) -> dict[str, Any] | None:
        name = self._name_of(checked_key(key))

        def head() -> dict[str, Any] | None:
            try:
                return dict(self._client.head_object(Bucket=self.bucket.name, Key=name))
            except self._client.exceptions.ClientError as error:
                if code_of(error) in NO_OBJECT:
                    self._require_bucket()
                    return None
                if code_of(error).isdigit():  # a HEAD carries no reason: a question that is answered with one
                    self._page(self.bucket.prefix, "", 1)
                raise

        return self._asked(key, head)

    def _require_bucket(self) -> None:
        """A missing bucket looks like a missing object."""
        if time.monotonic() - self._bucket_seen_s > BUCKET_SEEN_S:
            self._page(self.bucket.prefix, "", 1)

    def _page(self, prefix: str, after: str, keys: int) -> dict[str, Any]:
        options = {"Prefix": prefix, "Delimiter": "/", "MaxKeys": keys, **({"StartAfter": after} if after else {})}
        subject = prefix or self.bucket.name
        return self._asked(subject, lambda: self._client.list_objects_v2(Bucket=self.bucket.name, **options))

    def _entry(self, folder: str, entry: dict[str, Any]) -> ObjectInfo | None:
        key = entry["Key"].removeprefix(self.bucket.prefix)
        name = key.removeprefix(folder)
        if not name or name.endswith("/") or name.startswith("."):
            return None
        return _info_of(key, entry, entry["Size"])

    def _required(self, key: str) -> ObjectInfo:
        info = self.stat(key)
        if info is None:
            raise missing_object(key)
        return info

    def _read(self, info: ObjectInfo, start: int, length: int) -> bytes:
        """Bytes of one state of an object."""
        name, until = self._name_of(info.key), start + length - 1

        def get() -> bytes:
            answer = self._client.get_object(
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
        data: bytes = again(self._asked, info.key, get)
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

    def _put(self, key: str, data: bytes, **more: Any) -> None:
        digest = hashlib.sha256(data)
        self._client.put_object(
            Bucket=self.bucket.name,
            Key=self._name_of(checked_key(key)),
            Body=data,
            ChecksumSHA256=b64encode(digest.digest()).decode(),
            Metadata={SHA256_FIELD: digest.hexdigest()},
            **self._options(key),
            **more,
        )

    def _upload(self, key: str, source: Path, sha256: str) -> ObjectInfo:
        from boto3.s3.transfer import TransferConfig

        name = self._name_of(checked_key(key))
        options = {"ChecksumAlgorithm": "SHA256", "Metadata": {SHA256_FIELD: sha256}, **self._options(key)}
        parts = TransferConfig(
            multipart_threshold=MULTIPART_BYTES, multipart_chunksize=PART_BYTES, max_concurrency=PARTS_AT_ONCE
        )
        size = source.stat().st_size
        self._asked(
            key,
            lambda: self._client.upload_file(str(source), self.bucket.name, name, ExtraArgs=options, Config=parts),
        )
        return self._written(key, size, sha256)

    def _copy(self, source: str, target: str, options: dict[str, Any], size: int) -> None:
        origin = {"Bucket": self.bucket.name, "Key": self._name_of(source)}
        name = self._name_of(checked_key(target))
        if size < COPY_WHOLE_BYTES:
            self._client.copy_object(Bucket=self.bucket.name, Key=name, CopySource=origin, **options)
            return
        from boto3.s3.transfer import TransferConfig

        parts = TransferConfig(multipart_threshold=COPY_WHOLE_BYTES, multipart_chunksize=COPY_PART_BYTES)
        options = {field: value for field, value in options.items() if field != "MetadataDirective"}
        self._client.copy(origin, self.bucket.name, name, ExtraArgs=options, Config=parts)

    def _options(self, key: str) -> dict[str, str]:
        """What every write says: how a browser shall show it, and how it is encrypted."""
        kind, _ = mimetypes.guess_type(key)
        encryption = {"ServerSideEncryption": self.bucket.encryption} if self.bucket.encryption else {}
        return {"ContentType": kind or "application/octet-stream", **encryption}

    def _written(self, key: str, size_bytes: int, sha256: str | None) -> ObjectInfo:
        """The object as the server has it now; a server that keeps no metadata says nothing of its checksum."""
        head = self._head(key)
        if head is None or head["ContentLength"] != size_bytes:
            raise unverified_write(key)
        if sha256 is not None and head["Metadata"].get(SHA256_FIELD, sha256) != sha256:
            raise unverified_write(key)
        return _info_of(key, head, size_bytes)


def _tag(answer: dict[str, Any]) -> str:
    return str(answer["ETag"]).strip('"')


def _info_of(key: str, answer: dict[str, Any], size_bytes: int) -> ObjectInfo:
    """Whole seconds: only a listing would tell more."""
    return ObjectInfo(key, size_bytes, float(int(answer["LastModified"].timestamp())), _tag(answer))
