"""SeaweedFS, a real S3 server, as one process of this machine.

Belongs here: its ports, its identities, its buckets, what it leaves behind. Does not belong here: what the platform
keeps in it (``resources.object_store``).
"""

from __future__ import annotations

import json
import shutil
import socket
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from commands.services.server import HOST, LocalServer, answers, free_port
from resources.settings import REPOSITORY_ROOT

PROGRAM = REPOSITORY_ROOT / ".services" / "seaweedfs" / "bin" / "weed"
GRPC_OFFSET = 10_000
"""Each of its servers also listens at its port plus this."""
LAST_PORT = 65_535
LEFT_BEHIND = Path("/tmp")  # noqa: S108 - written into the program: there it puts the sockets of those ports
VOLUME_MB = 256
INDEX_FILE = "filer.toml"
INDEX = """\
[sqlite]
enabled = true
dbFile = "data/names.db?_pragma=journal_mode(WAL)&_pragma=synchronous(NORMAL)"
"""
"""Where the names of objects are kept, relative to its folder. What SeaweedFS would take, goleveldb, remembers that a
write failed and refuses all others until it is opened anew (syndtr/goleveldb#196): after a full disk it would have to
be restarted. SQLite goes on by itself; without its log, every name would wait until the disk has it."""
FORMER_INDEX = "filerldb2"
ACCOUNT = "000000000000"
"""Of users in its configuration file; with any other, a policy that names them is kept and has no effect."""
ALL_ACTIONS = ("Admin", "Read", "List", "Tagging", "Write")


@dataclass(frozen=True)
class Identity:
    """Who may do what.

    Attributes:
        name: of the identity.
        access_key: public half.
        secret_key: secret half.
        actions: as SeaweedFS spells them, ``Read`` or ``Read:bucket``.
    """

    name: str
    access_key: str
    secret_key: str
    actions: tuple[str, ...] = ALL_ACTIONS

    @property
    def arn(self) -> str:
        """What a bucket's policy calls it."""
        return f"arn:aws:iam::{ACCOUNT}:user/{self.name}"


@dataclass(frozen=True)
class Certificate:
    """Files in PEM for TLS."""

    certificate: Path
    key: Path


class SeaweedFs(LocalServer):
    """Master, volume, filer and S3 in one process.

    Args:
        folder: of its data and its log.
        identities: who may use it; what is changed later counts from the next start on.
        certificate: with one, S3 speaks TLS at a port of its own besides.
        volumes: of 256 MB that it may make.
        port: of S3; a free one when None.
        encryption_key: any secret text; without it SeaweedFS refuses to encrypt what it stores.
    """

    name: ClassVar[str] = "seaweedfs"

    def __init__(
        self,
        folder: Path,
        identities: Sequence[Identity],
        *,
        certificate: Certificate | None = None,
        volumes: int = 40,
        port: int | None = None,
        encryption_key: str = "",
    ) -> None:
        super().__init__(folder)
        self.identities = tuple(identities)
        self._certificate = certificate
        self._volumes = volumes
        self._encryption_key = encryption_key
        self._port = port or _free_pair()
        self._tls_port = free_port()
        self._others = {name: _free_pair() for name in ("master", "volume", "filer")}
        self._sockets: Path | None = None

    @property
    def url(self) -> str:
        """Where S3 answers."""
        return f"http://{HOST}:{self._port}"

    @property
    def tls_url(self) -> str:
        """Where it answers over TLS, with a certificate."""
        return f"https://{HOST}:{self._tls_port}"

    def command(self) -> Sequence[str | Path]:
        """``weed server`` with all that it would do for others turned off."""
        tls = self._certificate
        return [
            PROGRAM,
            "-logtostderr=true",
            "server",
            f"-dir={self.folder / 'data'}",
            f"-ip={HOST}",
            f"-ip.bind={HOST}",
            "-master.telemetry=false",
            "-master.electionTimeout=1s",
            f"-master.volumeSizeLimitMB={VOLUME_MB}",
            f"-volume.max={self._volumes}",
            *(f"-{name}.port={port}" for name, port in self._others.items()),
            "-filer",
            f"-filer.localSocket={self._socket_folder / 'f.sock'}",
            "-s3",
            f"-s3.port={self._port}",
            f"-s3.config={self.folder / 's3.json'}",
            "-s3.port.iceberg=0",
            "-s3.port.lance=0",
            "-s3.allowDeleteBucketNotEmpty=false",
            "-s3.autoCreateBucket=false",
            f"-s3.localSocket={self._socket_folder / 's.sock'}",
            *(
                (
                    f"-s3.port.https={self._tls_port}",
                    f"-s3.cert.file={tls.certificate}",
                    f"-s3.key.file={tls.key}",
                )
                if tls
                else ()
            ),
        ]

    def environment(self) -> Mapping[str, str]:
        """The secret that encrypts, which a command line would show; keys that it finds would be an admin's to it."""
        encryption = {"WEED_S3_SSE_KEY": self._encryption_key} if self._encryption_key else {}
        return {"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": "", **encryption}

    def prepare(self) -> None:
        """Write who may use it, and where it keeps names; data that was made with the former index keeps that."""
        super().prepare()
        data = self.folder / "data"
        data.mkdir(exist_ok=True)
        if not (data / FORMER_INDEX).exists():
            (self.folder / INDEX_FILE).write_text(INDEX, encoding="utf-8")
        identities = [
            {
                "name": who.name,
                "credentials": [{"accessKey": who.access_key, "secretKey": who.secret_key}],
                "actions": list(who.actions),
            }
            for who in self.identities
        ]
        config = self.folder / "s3.json"
        config.touch(mode=0o600)
        config.write_text(json.dumps({"identities": identities}), encoding="utf-8")

    def is_ready(self) -> bool:
        """S3 answers."""
        return answers(f"{self.url}/healthz")

    def stop(self) -> None:
        """End it at once: asked to end it takes 15 s, and what it has acknowledged survives either way."""
        self.kill()

    def kill(self) -> None:
        """End it and remove its sockets."""
        super().kill()
        if self._sockets is not None:
            shutil.rmtree(self._sockets, ignore_errors=True)
            self._sockets = None
        for port in (self._port, *self._others.values()):
            for left in LEFT_BEHIND.glob(f"seaweedfs-*-grpc-{port + GRPC_OFFSET}.sock"):
                left.unlink(missing_ok=True)

    def make_bucket(self, name: str) -> None:
        """Make a bucket as the first identity; one that is there stays."""
        import boto3
        from botocore.config import Config

        who = self.identities[0]
        client = boto3.client(
            "s3",
            endpoint_url=self.url,
            region_name="us-east-1",
            aws_access_key_id=who.access_key,
            aws_secret_access_key=who.secret_key,
            config=Config(retries={"mode": "standard", "max_attempts": 6}),
        )
        if name not in [bucket["Name"] for bucket in client.list_buckets()["Buckets"]]:
            client.create_bucket(Bucket=name)

    @property
    def _socket_folder(self) -> Path:
        """A short path: the name of a socket may have some hundred characters."""
        if self._sockets is None:
            self._sockets = Path(tempfile.mkdtemp(prefix="weed-"))
        return self._sockets


def _free_pair() -> int:
    """A port that is free together with the one that lies `GRPC_OFFSET` above it."""
    while True:
        port = free_port()
        above = port + GRPC_OFFSET
        if above > LAST_PORT:
            port, above = port - GRPC_OFFSET, port
        with socket.socket() as first, socket.socket() as second:
            try:
                first.bind((HOST, port))
                second.bind((HOST, above))
            except OSError:
                continue
        return port
