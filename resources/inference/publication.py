"""Where a model repository goes besides this machine's folder: a Triton server, and the bucket that both read.

Belongs here: the order of telling. Does not belong here: S3 (``bucket``), Triton (``triton``), version folders
(``releases``).
"""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from filelock import FileLock

from resources.errors import ConfigurationError, NeuroVisionError
from resources.inference.bucket import RepositoryBucket
from resources.inference.repository import ModelRepository

if TYPE_CHECKING:
    from resources.inference.triton.connection import Connection

NEXT_SECOND_S: Final = 1.1
"""S3 tells when an object was written in whole seconds, and Triton reads a model's folder again only when something in
it has become newer: of two changes within one second it sees the first."""


@dataclass(frozen=True)
class Publication:
    """The others of one deployment.

    Args:
        bucket: holds the repository; None where the folder is the only one.
        server: serves it; None where models are computed in this process.
    """

    bucket: RepositoryBucket | None
    server: Connection | None

    def store(self, name: str, version: int, folder: Path) -> None:
        """Write a version into the bucket; the model file last, which makes it a version. Raises as `Outside` says."""
        if self.bucket is not None:
            self.bucket.add_version(name, version, folder)

    def share(self, root: Path, path: Path) -> None:
        """Write one more file of a version into the bucket."""
        if self.bucket is not None:
            self.bucket.store.write_file(path.relative_to(root).as_posix(), path)

    def announce(self, repository: ModelRepository, name: str) -> None:
        """Have the server load it now, rather than at the first request."""
        try:
            self.load(repository, name)
        except NeuroVisionError as error:
            logging.getLogger(__name__).warning("The new version is loaded when it is first asked for: %s", error)

    def load(self, repository: ModelRepository, name: str) -> None:
        """Have the server read the model's folder again and serve what its version policy says.

        Raises:
            ConfigurationError: the server cannot load it.
            TransientFailure: the server or the bucket does not answer.
        """
        from resources.inference.triton.served import note_digests

        if self.server is None:
            return
        with FileLock(repository.root / f".{name}.loading"):
            note_digests(repository, name)
            if self.bucket is None:
                self._load(self.server, name)
                return
            self.bucket.put_configurations(repository.root, name)
            self._load(self.server, name)
            if not self._serves(self.server, name, max(repository.versions_on_disk(name))):
                time.sleep(NEXT_SECOND_S)
                self.bucket.put_configurations(repository.root, name)
                self._load(self.server, name)

    def _load(self, server: Connection, name: str) -> None:
        from resources.inference.triton.failures import ServerFailure

        try:
            server.call(lambda transport: transport.load(name))
        except ServerFailure as failure:
            raise ConfigurationError(
                f"The server cannot load it: {failure}.",
                subject=f"model {name} on Triton at {server.url}",
                remedy="Look at the server's log; it must read the repository that this platform writes.",
            ) from failure

    def _serves(self, server: Connection, name: str, version: int) -> bool:
        from resources.inference.triton.failures import ServerFailure

        try:
            server.call(lambda transport: transport.config(name, version))
        except ServerFailure:
            return False
        return True
