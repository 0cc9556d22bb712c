"""Writing objects into a bucket: small ones in one request, large files in parts, copies on the server.

Belongs here: what travels with every write (checksums, encryption, how a browser shows it), and whether it arrived.
Does not belong here: reading, moving, copies on this machine (``s3``), errors (``client``).
"""

from __future__ import annotations

import hashlib
import mimetypes
from base64 import b64encode
from pathlib import Path
from typing import Any

from resources.object_store.objects import ObjectInfo, checked_key, unverified_write
from resources.object_store.s3_requests import BucketRequests, info_of

MULTIPART_BYTES = 32 << 20
"""From this size a file goes up in parts, a few at a time; a part that fails is sent again, not the whole."""
PART_BYTES = 16 << 20
PARTS_AT_ONCE = 3
COPY_PART_BYTES = 1 << 30
COPY_WHOLE_BYTES = 5_000_000_000
"""S3 copies objects up to 5 GB in one request."""
SHA256_FIELD = "sha256"


class Transfers:
    """What writes, each write compared with what the server then has.

    Args:
        requests: to the bucket.
    """

    def __init__(self, requests: BucketRequests) -> None:
        self._requests = requests

    def put(self, key: str, data: bytes, **more: Any) -> None:
        """A small object; the library's own errors come out."""
        digest = hashlib.sha256(data)
        self._requests.client.put_object(
            Bucket=self._requests.bucket.name,
            Key=self._requests.name_of(checked_key(key)),
            Body=data,
            ChecksumSHA256=b64encode(digest.digest()).decode(),
            Metadata={SHA256_FIELD: digest.hexdigest()},
            **self.options(key),
            **more,
        )

    def upload(self, key: str, source: Path, sha256: str) -> ObjectInfo:
        """A local file, a large one in parts."""
        from boto3.s3.transfer import TransferConfig

        name = self._requests.name_of(checked_key(key))
        options = {"ChecksumAlgorithm": "SHA256", "Metadata": {SHA256_FIELD: sha256}, **self.options(key)}
        parts = TransferConfig(
            multipart_threshold=MULTIPART_BYTES, multipart_chunksize=PART_BYTES, max_concurrency=PARTS_AT_ONCE
        )
        size, bucket = source.stat().st_size, self._requests.bucket.name
        self._requests.asked(
            key, lambda: self._requests.client.upload_file(str(source), bucket, name, ExtraArgs=options, Config=parts)
        )
        return self.written(key, size, sha256)

    def copy(self, source: str, target: str, metadata: dict[str, str], size_bytes: int) -> None:
        """A copy on the server, a large one in parts; the library's own errors come out."""
        bucket, client = self._requests.bucket.name, self._requests.client
        origin = {"Bucket": bucket, "Key": self._requests.name_of(source)}
        name = self._requests.name_of(checked_key(target))
        options = {"Metadata": metadata, **self.options(target)}
        if size_bytes < COPY_WHOLE_BYTES:
            client.copy_object(Bucket=bucket, Key=name, CopySource=origin, MetadataDirective="REPLACE", **options)
            return
        from boto3.s3.transfer import TransferConfig

        parts = TransferConfig(multipart_threshold=COPY_WHOLE_BYTES, multipart_chunksize=COPY_PART_BYTES)
        client.copy(origin, bucket, name, ExtraArgs=options, Config=parts)

    def options(self, key: str) -> dict[str, str]:
        """What every write says: how a browser shall show it, and how it is encrypted."""
        kind, _ = mimetypes.guess_type(key)
        asked = self._requests.bucket.encryption
        encryption = {"ServerSideEncryption": asked} if asked else {}
        return {"ContentType": kind or "application/octet-stream", **encryption}

    def written(self, key: str, size_bytes: int, sha256: str | None) -> ObjectInfo:
        """The object as the server has it now; a server that keeps no metadata says nothing of its checksum."""
        head = self._requests.head(key)
        if head is None or head["ContentLength"] != size_bytes:
            raise unverified_write(key)
        if sha256 is not None and head["Metadata"].get(SHA256_FIELD, sha256) != sha256:
            raise unverified_write(key)
        return info_of(key, head, size_bytes)
