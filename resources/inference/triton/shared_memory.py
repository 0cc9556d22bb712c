"""POSIX shared memory between this process and a server on the same host: tensors that nobody has to send.

Belongs here: regions, their names, who owns them, what dead clients left. Does not belong here: which tensors lie in
them (``model``). An owner holds a lock on its region's file, so whatever a killed client left can be told from what
is in use, in other containers too; the server is asked to forget it, or it would keep the memory until it restarts.
"""

from __future__ import annotations

import fcntl
import mmap
import os
import uuid
import weakref
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from queue import Empty, LifoQueue
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from resources.errors import TransientFailure
from resources.inference.triton.connection import Connection
from resources.inference.triton.failures import ServerFailure
from resources.inference.triton.transport import Place

if TYPE_CHECKING:
    from numpy.typing import NDArray

FOLDER: Final = Path("/dev/shm")  # noqa: S108  # where Linux keeps POSIX shared memory, not a temporary folder
PREFIX: Final = "neurovision_client_"
ALIGNMENT: Final = 64
"""Tensors start at a cache line."""
SMALLEST_BYTES: Final = 2**20


class Region:
    """A piece of shared memory with a name, mapped here.

    Args:
        size: bytes; they are taken at once.

    Raises:
        OSError: there is not so much memory.
    """

    def __init__(self, size: int) -> None:
        self.name = f"{PREFIX}{uuid.uuid4().hex}"
        self.size = size
        self._file = os.open(FOLDER / self.name, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX)
            os.posix_fallocate(self._file, 0, size)  # a full /dev/shm is an error here, and a killed process later
            self.bytes = np.frombuffer(mmap.mmap(self._file, size), np.uint8)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Give it up; whoever has it mapped keeps it until they let go."""
        (FOLDER / self.name).unlink(missing_ok=True)
        os.close(self._file)


class Slot:
    """The memory of one request at a time: inputs, then outputs; it grows when a request needs more.

    Args:
        connection: the server that maps it.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._region: Region | None = None

    def place(self, sizes: Mapping[str, int]) -> dict[str, Place]:
        """Where each tensor lies.

        Args:
            sizes: bytes by tensor.

        Raises:
            OSError: there is not so much memory.
            ServerFailure: the server cannot map it; it does not share our memory.
        """
        starts = np.cumsum([0, *(-(-size // ALIGNMENT) * ALIGNMENT for size in sizes.values())]).tolist()
        region = self._large_enough(starts[-1])
        return {
            name: Place(region.name, start, size)
            for (name, size), start in zip(sizes.items(), starts[:-1], strict=True)
        }

    def write(self, place: Place, value: NDArray[Any]) -> None:
        """Put a tensor where the server reads it."""
        np.copyto(self._view(place, value.dtype, value.shape), value)

    def read(self, place: Place, dtype: type[np.generic], shape: tuple[int, ...]) -> NDArray[Any]:
        """A copy of a tensor that the server wrote; the slot's next request overwrites it."""
        copied: NDArray[Any] = self._view(place, dtype, shape).copy()
        return copied

    def register(self) -> None:
        """Tell the server again, after it was restarted."""
        if self._region is not None:
            _register(self._connection, self._region)

    def close(self) -> None:
        """Give the memory back, here and in the server."""
        if self._region is not None:
            _forget(self._connection, self._region.name)
            self._region.close()
            self._region = None

    def _view(self, place: Place, dtype: Any, shape: tuple[int, ...]) -> NDArray[Any]:
        if self._region is None:
            raise RuntimeError("A slot has memory once tensors were placed in it.")
        size = int(np.prod(shape)) * np.dtype(dtype).itemsize
        view: NDArray[Any] = self._region.bytes[place.offset : place.offset + size].view(dtype).reshape(shape)
        return view

    def _large_enough(self, size: int) -> Region:
        if self._region is None or self._region.size < size:
            self.close()
            region = Region(max(SMALLEST_BYTES, 1 << (size - 1).bit_length()))
            try:
                _register(self._connection, region)
            except BaseException:
                region.close()
                raise
            self._region = region
        return self._region


class Slots:
    """As many slots as requests are at work at the same time.

    Args:
        connection: the server that maps them.

    Attributes:
        close: gives back all memory; at the latest when the process ends.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._free: LifoQueue[Slot] = LifoQueue()
        self.close = weakref.finalize(self, _close_all, self._free)
        clear_what_dead_clients_left(connection)

    @contextmanager
    def one(self) -> Iterator[Slot]:
        """A slot that nobody else has meanwhile; one that a failure leaves behind is not used again."""
        try:
            slot = self._free.get_nowait()
        except Empty:
            slot = Slot(self._connection)
        try:
            yield slot
        except BaseException:
            slot.close()  # a late server may still write into it: only into memory that nobody reads any more
            raise
        self._free.put(slot)


def is_shared(connection: Connection) -> bool:
    """Whether the server can map our memory; names are random, so what it maps is ours.

    Raises:
        TransientFailure: the server does not answer.
    """
    try:
        region = Region(mmap.PAGESIZE)
    except OSError:
        return False
    try:
        _register(connection, region)
        _forget(connection, region.name)
    except ServerFailure:
        return False
    finally:
        region.close()
    return True


def clear_what_dead_clients_left(connection: Connection) -> None:
    """Remove regions whose owner lives no more."""
    for path in FOLDER.glob(f"{PREFIX}*"):
        with suppress(OSError), path.open("rb") as stream:  # somebody else's, in use, or gone by now
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
            _forget(connection, path.name)
            path.unlink(missing_ok=True)


def _register(connection: Connection, region: Region) -> None:
    connection.call(lambda transport: transport.register(region.name, f"/{region.name}", region.size))


def _forget(connection: Connection, name: str) -> None:
    with suppress(ServerFailure, TransientFailure):
        connection.call_once(lambda transport: transport.unregister(name))


def _close_all(free: LifoQueue[Slot]) -> None:
    with suppress(Empty):
        while True:
            free.get_nowait().close()
