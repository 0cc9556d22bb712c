"""Requests to one bucket: what it is asked, and what a missing answer means.

Belongs here: asking, in the house's words; heads and pages of listings, on which reading and writing stand. Does not
belong here: reaching the server and its errors (``client``), objects (``s3``), writing them (``s3_transfers``).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from resources.object_store.client import NO_OBJECT, Server, client_of, code_of, in_our_words
from resources.object_store.objects import ObjectInfo, checked_key

T = TypeVar("T")
BUCKET_SEEN_S = 10.0


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


class BucketRequests:
    """Questions to a bucket.

    Args:
        bucket: which.
    """

    def __init__(self, bucket: Bucket) -> None:
        self.bucket = bucket
        self._bucket_seen_s = 0.0

    @property
    def client(self) -> Any:
        """The library's client, shared in this process."""
        return client_of(self.bucket.server)

    def name_of(self, key: str) -> str:
        """What the bucket calls an object."""
        return self.bucket.prefix + key

    def asked(self, key: str, request: Callable[[], T]) -> T:
        """The answer to a request; what may pass the library has tried again.

        Raises:
            NeuroVisionError: there is none.
        """
        with in_our_words(key, self.bucket.name):
            answer = request()
        self._bucket_seen_s = time.monotonic()
        return answer

    def head(self, key: str) -> dict[str, Any] | None:
        """What the server tells of an object, None where there is none."""
        name = self.name_of(checked_key(key))

        def head() -> dict[str, Any] | None:
            try:
                return dict(self.client.head_object(Bucket=self.bucket.name, Key=name))
            except self.client.exceptions.ClientError as error:
                if code_of(error) in NO_OBJECT:
                    self._require_bucket()
                    return None
                if code_of(error).isdigit():  # a HEAD carries no reason: a question that is answered with one
                    self.page(self.bucket.prefix, "", 1)
                raise

        return self.asked(key, head)

    def page(self, prefix: str, after: str, keys: int) -> dict[str, Any]:
        """A page of what lies directly under a prefix, behind a name."""
        options = {"Prefix": prefix, "Delimiter": "/", "MaxKeys": keys, **({"StartAfter": after} if after else {})}
        subject = prefix or self.bucket.name
        return self.asked(subject, lambda: self.client.list_objects_v2(Bucket=self.bucket.name, **options))

    def _require_bucket(self) -> None:
        """A missing bucket looks like a missing object."""
        if time.monotonic() - self._bucket_seen_s > BUCKET_SEEN_S:
            self.page(self.bucket.prefix, "", 1)


def tag_of(answer: dict[str, Any]) -> str:
    """What S3 calls a state of an object."""
    return str(answer["ETag"]).strip('"')


def info_of(key: str, answer: dict[str, Any], size_bytes: int) -> ObjectInfo:
    """Whole seconds: only a listing would tell more."""
    return ObjectInfo(key, size_bytes, float(int(answer["LastModified"].timestamp())), tag_of(answer))
