"""SeaweedFS and JuiceFS for the tests of S3, a pytest plugin: one of each for all tests of a worker.

Belongs here: the servers, buckets, stores in them. Does not belong here: tests.
"""

from __future__ import annotations

import subprocess
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from commands.services import juicefs, seaweedfs
from commands.services.juicefs import JuiceFs
from commands.services.seaweedfs import Certificate, Identity, SeaweedFs

if TYPE_CHECKING:
    from resources.object_store import ObjectStore

PLATFORM = Identity("platform", "platform-key", "the-platform-s-secret")
READER = Identity("reader", "reader-key", "the-reader-s-secret", ("Read", "List"))
BUCKET = "neurovision"
EVENTS_USER, EVENTS_PASSWORD = "events-key", "the-events-secret"


@dataclass(frozen=True)
class Tls:
    """A certificate of 127.0.0.1 that signs itself; and another authority's."""

    own: Path
    key: Path
    other: Path


@pytest.fixture(scope="session")
def tls(tmp_path_factory: pytest.TempPathFactory) -> Tls:
    """Certificates made by the openssl program."""
    folder = tmp_path_factory.mktemp("tls")
    for name in ("own", "other"):
        subprocess.run(
            [
                *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", f"/CN={name}"),
                *("-addext", "subjectAltName=IP:127.0.0.1", "-keyout", folder / f"{name}.key"),
                *("-out", folder / f"{name}.pem"),
            ],
            check=True,
            capture_output=True,
        )
    return Tls(folder / "own.pem", folder / "own.key", folder / "other.pem")


@pytest.fixture(scope="session")
def seaweed(tmp_path_factory: pytest.TempPathFactory, tls: Tls) -> Iterator[SeaweedFs]:
    """A server with one bucket; tests that kill it start it again."""
    if not seaweedfs.PROGRAM.is_file():
        pytest.skip("SeaweedFS is not installed: sh scripts/servers.sh seaweedfs")
    server = SeaweedFs(
        tmp_path_factory.mktemp("seaweedfs"),
        [PLATFORM, READER],
        certificate=Certificate(tls.own, tls.key),
        encryption_key="what encrypts the tests' objects",
    )
    with server:
        server.make_bucket(BUCKET)
        yield server


@pytest.fixture(scope="session")
def juice(tmp_path_factory: pytest.TempPathFactory) -> Iterator[JuiceFs]:
    """A gateway with MinIO's events."""
    if not juicefs.PROGRAM.is_file():
        pytest.skip("JuiceFS is not installed: sh scripts/servers.sh juicefs")
    with JuiceFs(tmp_path_factory.mktemp("juicefs"), EVENTS_USER, EVENTS_PASSWORD) as server:
        yield server


def use_credentials(patch: pytest.MonkeyPatch, who: Identity = PLATFORM) -> None:
    """Be somebody, as every S3 tool reads it."""
    patch.setenv("AWS_ACCESS_KEY_ID", who.access_key)
    patch.setenv("AWS_SECRET_ACCESS_KEY", who.secret_key)


def store_in(server: SeaweedFs, home: Path, prefix: str | None = None, **more: str) -> ObjectStore:
    """A store under a prefix of its own."""
    from resources.object_store import ObjectStore  # Dagster takes seconds, and every start of pytest loads plugins

    prefix = prefix or f"test/{uuid.uuid4().hex}"
    settings: dict[str, Any] = {"url": f"s3://{BUCKET}/{prefix}", "endpoint_url": server.url, "home": str(home)} | more
    return ObjectStore(**settings)
