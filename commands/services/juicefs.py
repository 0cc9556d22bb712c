"""JuiceFS's gateway, which runs MinIO's own code, as one process of this machine: the server of MinIO's bucket events.

Belongs here: formatting its file system, its user, its port. Does not belong here: who listens to events
(``resources.object_store.events``).
"""

from __future__ import annotations

import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar

from commands.services.server import HOST, LocalServer, answers, free_port
from resources.errors import TransientFailure
from resources.settings import REPOSITORY_ROOT

PROGRAM = REPOSITORY_ROOT / ".services" / "juicefs" / "bin" / "juicefs"
FORMAT_TIMEOUT_S = 60.0


class JuiceFs(LocalServer):
    """A file system in a folder behind MinIO's interface.

    Args:
        folder: of its data and its log.
        user: access key.
        password: secret key, eight characters at least.
    """

    name: ClassVar[str] = "juicefs"

    def __init__(self, folder: Path, user: str, password: str) -> None:
        super().__init__(folder)
        self._user, self._password = user, password
        self._port = free_port()

    @property
    def url(self) -> str:
        """Where S3 answers."""
        return f"http://{HOST}:{self._port}"

    @property
    def _database(self) -> str:
        return f"sqlite3://{self.folder / 'meta.db'}"

    def command(self) -> Sequence[str | Path]:
        """The gateway; it keeps entity tags and metadata of objects, which it would drop otherwise."""
        options = ("--no-usage-report", "--multi-buckets", "--keep-etag", "--object-meta", "--no-banner")
        return [PROGRAM, "gateway", *options, self._database, f"{HOST}:{self._port}"]

    def environment(self) -> Mapping[str, str]:
        """The one user."""
        return {"MINIO_ROOT_USER": self._user, "MINIO_ROOT_PASSWORD": self._password}

    def prepare(self) -> None:
        """Make the file system at the first start.

        Raises:
            TransientFailure: it could not be made; its last words are part of the text.
        """
        super().prepare()
        if (self.folder / "meta.db").exists():
            return
        where = ("--storage", "file", "--bucket", f"{self.folder / 'objects'}/")
        done = subprocess.run(
            [PROGRAM, "format", *where, self._database, "objects", "--trash-days", "0"],
            capture_output=True,
            text=True,
            check=False,
            timeout=FORMAT_TIMEOUT_S,
        )
        if done.returncode:
            raise TransientFailure(
                f"Its file system could not be made: {done.stderr.strip()}",
                subject=self.name,
                remedy="Empty its folder.",
            )

    def is_ready(self) -> bool:
        """It answers."""
        return answers(f"{self.url}/minio/health/live")
