"""Bucket events of a MinIO server: somebody has put something under a prefix.

Belongs here: listening, beginning anew when the connection breaks. Does not belong here: what is done then; whoever
asks must look by himself now and then, for an event may be lost while nobody listens.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from functools import partial
from typing import Any
from urllib.parse import urlparse

from resources.errors import ConfigurationError, NeuroVisionError
from resources.object_store.client import Server, client_of

SUBJECT = "NEUROVISION_UPLOAD_EVENTS"
LOG = logging.getLogger(__name__)
EVENTS = ("s3:ObjectCreated:*",)
FIRST_PAUSE_S = 1.0
LONGEST_PAUSE_S = 30.0
SILENCE_S = 60.0
"""The server says something every few seconds, events or not: a longer silence is a broken connection."""


class BucketEvents:
    """Listens in a thread of its own and counts what it hears.

    Args:
        server: a MinIO server.
        bucket: its name.
        prefix: of the keys that matter.
    """

    def __init__(self, server: Server, bucket: str, prefix: str) -> None:
        self._server, self._bucket, self._prefix = server, bucket, prefix
        self._changed = threading.Condition()
        self._heard = 0
        self._connected = False

    def start(self) -> BucketEvents:
        """Begin to listen."""
        threading.Thread(target=self._listen_for_ever, name=f"events-{self._bucket}", daemon=True).start()
        return self

    @property
    def heard(self) -> int | None:
        """How many events came since the start; None while nothing could be heard."""
        with self._changed:
            return self._heard if self._connected else None

    def wait(self, after: int, timeout_s: float) -> bool:
        """Wait until more than so many events came; whether they did in time."""
        with self._changed:
            return self._changed.wait_for(lambda: self._heard > after, timeout_s)

    def _listen_for_ever(self) -> None:
        pause_s = FIRST_PAUSE_S
        while True:
            begun_s = time.monotonic()
            try:
                self._listen()
            except Exception as error:  # noqa: BLE001 - whatever broke, the look by itself goes on, and so does this
                told = error if isinstance(error, NeuroVisionError) else type(error).__name__
                LOG.warning("Bucket events cannot be heard (%s); it is tried again.", told)
            self._tell(connected=False)
            pause_s = FIRST_PAUSE_S if time.monotonic() - begun_s > SILENCE_S else min(2 * pause_s, LONGEST_PAUSE_S)
            time.sleep(pause_s)

    def _listen(self) -> None:
        """Hear events until the connection breaks.

        Raises:
            ConfigurationError: the server is not MinIO's: it would answer with something else, for ever.
        """
        answer = client_of(self._server).head_bucket(Bucket=self._bucket)
        if answer["ResponseMetadata"]["HTTPHeaders"].get("server", "").lower() != "minio":
            raise ConfigurationError(
                "The S3 server sends no bucket events.",
                subject=SUBJECT,
                remedy="Unset it; incoming/ is looked at anyway.",
            )
        client = _minio(self._server, opened=partial(self._tell, connected=True))
        with client.listen_bucket_notification(self._bucket, prefix=self._prefix, events=EVENTS) as events:
            for _ in events:
                self._tell(connected=True)

    def _tell(self, *, connected: bool) -> None:
        with self._changed:
            self._connected = connected
            self._heard += connected
            self._changed.notify_all()


def _minio(server: Server, opened: Callable[[], None]) -> Any:
    """MinIO's own client with the credentials of all others; it tells when a connection stands."""
    try:
        import urllib3
        from boto3.session import Session
        from minio import Minio
    except ModuleNotFoundError as error:
        raise ConfigurationError(
            f"The package {error.name} is not installed.", subject=SUBJECT, remedy="Run: sh scripts/setup.sh services"
        ) from error

    class Connections(urllib3.PoolManager):
        """The client connects anew whenever the stream ends, without a pause and without a word."""

        def urlopen(self, *arguments: Any, **options: Any) -> Any:
            answer = super().urlopen(*arguments, **options)
            opened()
            time.sleep(FIRST_PAUSE_S)
            return answer

    credentials = Session().get_credentials().get_frozen_credentials()
    address = urlparse(server.endpoint_url)
    trust: dict[str, Any] = {"ca_certs": server.ca_file} if server.ca_file else {}
    return Minio(
        address.netloc,
        access_key=credentials.access_key,
        secret_key=credentials.secret_key,
        session_token=credentials.token,
        secure=address.scheme == "https",
        region=server.region,
        http_client=Connections(timeout=urllib3.Timeout(connect=5, read=SILENCE_S), retries=False, **trust),
    )
