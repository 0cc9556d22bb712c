"""Which engine computes, by its name, and what it needs to do so.

Belongs here: the choice, and what all models of a process share. Does not belong here: the engines themselves. The
packages of a server's client are imported where the setting selects it: a laptop does not have them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from resources.errors import ConfigurationError
from resources.inference.bucket import RepositoryBucket
from resources.inference.engine import LoadedModel
from resources.inference.onnx_engine import ENGINE_NAME, OnnxModel
from resources.inference.publication import Publication
from resources.inference.repository import ModelRepository
from resources.inference.spec import ModelSpec

if TYPE_CHECKING:
    from resources.inference.triton.connection import Connection
    from resources.inference.triton.metrics import ClientFigures
    from resources.inference.triton.shared_memory import Slots

TRITON_NAME: Final = "triton"


@dataclass(frozen=True)
class Address:
    """Of a Triton server.

    Attributes:
        url: as the setting has it.
        ca_file: certificates that its own is checked with, empty for the usual ones.
    """

    url: str
    ca_file: str


@dataclass(frozen=True)
class Engine:
    """One engine of a process.

    Attributes:
        load: makes a version of the repository ready to compute; raises ``ConfigurationError``, ``TransientFailure``.
        is_ready: whether it takes requests.
        figures: what a client of a server counted, None without one.
        bucket: that the repository is mirrored from, None without one.
        publication: who else has the repository, None for nobody.
    """

    load: Callable[[ModelRepository, ModelSpec], LoadedModel]
    is_ready: Callable[[], bool]
    figures: Callable[[], ClientFigures | None]
    bucket: RepositoryBucket | None
    publication: Publication | None


def open_engine(
    name: str,
    *,
    threads: int,
    repository_url: str,
    triton_url: str,
    triton_ca_file: str,
    triton_shared_memory: str,
    triton_deadline_s: float,
) -> Engine:
    """The engine of that name; nothing is asked of a server yet.

    Raises:
        ConfigurationError: the engine is not known, or its settings cannot be used.
    """
    bucket = RepositoryBucket(repository_url) if repository_url else None
    if name == ENGINE_NAME:
        return Engine(
            load=lambda repository, spec: OnnxModel(repository, spec, threads),
            is_ready=lambda: True,
            figures=lambda: None,
            bucket=bucket,
            publication=Publication(bucket, None) if bucket else None,
        )
    if name == TRITON_NAME:
        return _triton(bucket, Address(triton_url, triton_ca_file), triton_shared_memory, triton_deadline_s)
    raise ConfigurationError(
        f"The engine '{name}' is not known.",
        subject="NEUROVISION_INFERENCE_ENGINE",
        remedy=f"Use {ENGINE_NAME} or {TRITON_NAME}.",
    )


def _triton(bucket: RepositoryBucket | None, address: Address, shared_memory: str, deadline_s: float) -> Engine:
    from resources.inference.triton.connection import Connection
    from resources.inference.triton.model import TritonModel

    connection = Connection(address.url, deadline_s, ca_file=address.ca_file)
    publication = Publication(bucket, connection)
    slots: list[Slots | None] = []

    def load(repository: ModelRepository, spec: ModelSpec) -> LoadedModel:
        if not slots:
            slots.append(_slots(connection, shared_memory))
        return TritonModel(connection, spec, lambda name: publication.load(repository, name), slots[0])

    return Engine(load, connection.is_ready, connection.figures, bucket, publication)


def _slots(connection: Connection, wanted: str) -> Slots | None:
    """Shared memory with the server, where it is wanted and works.

    It is tried, and not guessed from the address: in containers a server of this machine has a name of its own.
    """
    from resources.inference.triton.shared_memory import Slots, is_shared

    if wanted == "off":
        return None
    if is_shared(connection):
        return Slots(connection)
    if wanted == "auto":
        return None
    raise ConfigurationError(
        "The server cannot map this host's shared memory.",
        subject="NEUROVISION_TRITON_SHARED_MEMORY",
        remedy="Run both on one host with one /dev/shm and one user, or set it to auto or off.",
    )
