"""The S3 client, and what its refusals mean.

Belongs here: how the server is reached, which of its errors another try mends. Does not belong here: objects (``s3``).

Credentials are those that every S3 tool reads, ``AWS_ACCESS_KEY_ID`` and ``AWS_SECRET_ACCESS_KEY`` first; temporary
ones (a role, a web identity) are renewed by the library before they end.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from resources.errors import ConfigurationError, NeuroVisionError, PermanentFailure, TransientFailure
from resources.object_store.objects import missing_object

if TYPE_CHECKING:
    from botocore.client import BaseClient

ATTEMPTS = 6
"""With the library's pauses (1, 2, 4, 8, 16 s at most, at random) a server has half a minute to start again."""
CONNECT_TIMEOUT_S = 5
READ_TIMEOUT_S = 30
POOL_CONNECTIONS = 16
SUBJECT = "NEUROVISION_OBJECT_STORE_URL"
ENDPOINT = "NEUROVISION_S3_ENDPOINT_URL"
CA_FILE = "NEUROVISION_S3_CA_FILE"
CREDENTIALS = "AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY"
UNREADABLE_CA = ("[Errno", "X509", "PEM", "NO_CERTIFICATE")
"""OpenSSL's words for a file of certificates that is not there or is something else."""
NO_OBJECT = frozenset({"NoSuchKey", "404", "NotFound"})
NO_BUCKET = frozenset({"NoSuchBucket"})
CHANGED = frozenset({"PreconditionFailed", "412"})
WRONG_SECRET = frozenset(
    {"SignatureDoesNotMatch", "InvalidAccessKeyId", "InvalidSecurity", "AuthorizationHeaderMalformed"}
)
FORBIDDEN = frozenset({"AccessDenied", "AllAccessDisabled", "403", "Forbidden"})
WRONG_CLOCK = frozenset({"RequestTimeTooSkewed"})
NO_REASON = frozenset({"InternalError", "500"})
"""S3 has no word for a full disk."""
ENDED = frozenset({"ExpiredToken", "ExpiredTokenException", "RequestExpired", "TokenRefreshRequired"})


@dataclass(frozen=True)
class Server:
    """Which S3 server, and how it is reached.

    Attributes:
        endpoint_url: its address; empty means Amazon's.
        region: that requests are signed for.
        ca_file: certificates that its own is checked with; empty means the usual ones.
    """

    endpoint_url: str
    region: str
    ca_file: str


def client_of(server: Server, attempts: int = ATTEMPTS) -> BaseClient:
    """A client, shared by all who ask in this process.

    Args:
        server: which.
        attempts: how often it asks before it gives up.

    Raises:
        ConfigurationError: the package or the credentials are missing.
    """
    return _client(
        server, attempts, tuple(sorted((name, value) for name, value in os.environ.items() if name[:4] == "AWS_"))
    )


@cache
def _client(server: Server, attempts: int, _environment: tuple[tuple[str, str], ...]) -> BaseClient:
    try:
        from boto3.session import Session
        from botocore.config import Config
        from botocore.exceptions import BotoCoreError
    except ModuleNotFoundError as error:
        raise ConfigurationError(
            f"The package {error.name} is not installed.", subject=SUBJECT, remedy="Run: sh scripts/setup.sh services"
        ) from error
    config = Config(
        signature_version="s3v4",
        retries={"mode": "standard", "total_max_attempts": attempts},
        connect_timeout=CONNECT_TIMEOUT_S,
        read_timeout=READ_TIMEOUT_S,
        max_pool_connections=POOL_CONNECTIONS,
        tcp_keepalive=True,
        # Servers other than Amazon's are reached by a host name or an address that knows no subdomains.
        s3={"addressing_style": "path" if server.endpoint_url else "auto"},
    )
    try:
        session = Session()
        if session.get_credentials() is None:
            raise _wrong_credentials("They are not set.")
        return session.client(
            "s3",
            region_name=server.region,
            endpoint_url=server.endpoint_url or None,
            verify=server.ca_file or None,
            config=config,
        )
    except (BotoCoreError, ValueError) as error:
        raise ConfigurationError(
            f"The S3 server cannot be addressed ({error}).",
            subject=ENDPOINT,
            remedy="Write http://host:port or https://host:port.",
        ) from error


@contextmanager
def in_our_words(subject: str, bucket: str) -> Iterator[None]:
    """Let what the library raises out of the block as one of our failures.

    Raises:
        ConfigurationError: secret, certificate, bucket or rights are wrong: no other try helps.
        PermanentFailure: there is no such object.
        TransientFailure: the server did not answer, or could not.
    """
    from boto3.exceptions import Boto3Error
    from botocore.exceptions import BotoCoreError, ClientError
    from urllib3.exceptions import HTTPError

    try:
        yield
    except (Boto3Error, BotoCoreError, ClientError, HTTPError) as error:
        raise failure_of(error, subject, bucket) from error


def code_of(error: BaseException) -> str:
    """What the server called the error, empty where it did not answer."""
    response: Any = getattr(error, "response", None)
    return str(response.get("Error", {}).get("Code", "")) if isinstance(response, dict) else ""


def failure_of(error: BaseException, subject: str, bucket: str) -> NeuroVisionError:
    """What an error of the library means; transfers of files hide the cause in another error."""
    from boto3.exceptions import Boto3Error
    from botocore import exceptions

    if isinstance(error, Boto3Error) and error.__context__ is not None:
        return failure_of(error.__context__, subject, bucket)
    code = code_of(error)
    if code in NO_OBJECT:
        return missing_object(subject)
    if code in CHANGED:
        return TransientFailure("The object changed while it was read.", subject=subject, remedy="Start it again.")
    if isinstance(error, exceptions.SSLError) and (wrong := _wrong_tls(str(error))):
        return wrong
    if isinstance(error, exceptions.NoCredentialsError | exceptions.PartialCredentialsError):
        return _wrong_credentials("They are not set.")
    return _refusal(code, subject, bucket) or _no_answer(error, code, subject)


def _wrong_tls(said: str) -> NeuroVisionError | None:
    """What is wrong with settings of TLS, None where the connection only broke: a server that restarts does that."""
    if "CERTIFICATE_VERIFY_FAILED" in said:
        return ConfigurationError(
            "The S3 server's certificate is not trusted.",
            subject=CA_FILE,
            remedy="Name the file with the certificate of the authority that signed it.",
        )
    if any(words in said for words in UNREADABLE_CA):
        return ConfigurationError(
            "The file holds no certificates that can be read.",
            subject=CA_FILE,
            remedy="Name a PEM file of the authority's certificate that this user may read.",
        )
    if "WRONG_VERSION_NUMBER" in said:
        return ConfigurationError(
            "The S3 server does not speak TLS at this address.",
            subject=ENDPOINT,
            remedy="Write http://, or the port where it does.",
        )
    return None


def _refusal(code: str, subject: str, bucket: str) -> NeuroVisionError | None:
    """What the server will say at every try."""
    if code in WRONG_SECRET:
        return _wrong_credentials("The S3 server does not accept them.")
    if code in NO_BUCKET:
        return ConfigurationError(
            f"The bucket '{bucket}' does not exist.", subject=SUBJECT, remedy="Make it, or correct its name."
        )
    if code in FORBIDDEN:
        return ConfigurationError(
            "The S3 server does not allow it to this user.", subject=subject, remedy="Check the bucket's policy."
        )
    if code == "InvalidRange":
        return PermanentFailure("The object ends before that.", subject=subject, remedy="Start it again.")
    return None


def _no_answer(error: BaseException, code: str, subject: str) -> TransientFailure:
    """What another try may mend."""
    if code in WRONG_CLOCK:
        remedy = "Set this machine's clock."
        return TransientFailure("This machine's clock and the S3 server's differ.", subject=subject, remedy=remedy)
    if code in ENDED:
        return TransientFailure("The credentials have ended.", subject=subject, remedy="They are renewed; try again.")
    where = "the server, its log and its disk," if code in NO_REASON else "the server"
    remedy = f"Check {where} and try again."
    return TransientFailure(f"The S3 server failed ({code or type(error).__name__}).", subject=subject, remedy=remedy)


def _wrong_credentials(problem: str) -> ConfigurationError:
    return ConfigurationError(problem, subject=CREDENTIALS, remedy="Put the right ones into the environment.")
