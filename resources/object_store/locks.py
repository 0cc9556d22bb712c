"""Locks that every process on one store respects, and that end with the process that holds them.

Belongs here: locks by files, for one machine and its mounts, and by PostgreSQL, for many machines. Does not belong
here: what is locked.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from filelock import FileLock, Timeout

from resources.errors import TransientFailure
from resources.object_store.objects import refused_write
from resources.postgres import CONNECT_TIMEOUT_S, KEEPALIVE, driver_missing, with_password

if TYPE_CHECKING:
    from sqlalchemy import Engine

LOCK_WAIT_S = 1800.0
"""The longest that is done under a lock is copying a video into the store."""
KEY_BYTES = 8
VARIABLE = "NEUROVISION_DATABASE_URL"
LOCK_NOT_AVAILABLE = "55P03"
"""SQLSTATE of a wait that took longer than ``lock_timeout``."""


class Locks(Protocol):
    """Whoever gives out locks."""

    def hold(self, name: str) -> Any:
        """A context in which the lock is held."""


class FileLocks:
    """Locks by files: respected by all processes that see the folder.

    Args:
        folder: of the files.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @contextmanager
    def hold(self, name: str) -> Iterator[None]:
        """Hold a lock.

        Raises:
            TransientFailure: the file cannot be made, or another holds the lock for longer than `LOCK_WAIT_S`.
        """
        path = self._folder / f"{name.replace('/', '.')}.lock"
        lock = FileLock(path)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            lock.acquire(timeout=LOCK_WAIT_S)
        except Timeout as error:
            raise _held_by_another(path.name) from error
        except OSError as error:
            raise refused_write(path.name, error) from error
        try:
            yield
        finally:
            lock.release()


class PostgresLocks:
    """PostgreSQL's advisory locks: respected by all machines on one database, ended by the server with the session.

    A session each lock, not one of a pool: the lock must end with what holds it. A pooler that shares sessions between
    transactions cannot be in between.

    Args:
        url: of the database, as SQLAlchemy spells it; its password may be in the environment alone.
        store: tells the locks of one store from those of another on the same database.
    """

    def __init__(self, url: str, store: str) -> None:
        self._url, self._store = url, store

    @contextmanager
    def hold(self, name: str) -> Iterator[None]:
        """Hold a lock.

        Raises:
            TransientFailure: the database does not answer, or another holds the lock for longer than `LOCK_WAIT_S`.
        """
        from sqlalchemy import text
        from sqlalchemy.exc import DBAPIError

        try:
            connection = self._engine.connect()
        except DBAPIError as error:
            raise _unanswered(name, error) from error
        with connection:
            try:
                connection.execute(text(f"SET lock_timeout = {round(LOCK_WAIT_S * 1000)}"))
                connection.execute(text("SELECT pg_advisory_lock(:key)"), {"key": _number_of(self._store, name)})
            except DBAPIError as error:
                if getattr(error.orig, "pgcode", None) == LOCK_NOT_AVAILABLE:
                    raise _held_by_another(name) from error
                raise _unanswered(name, error) from error
            yield

    @cached_property
    def _engine(self) -> Engine:
        from sqlalchemy import create_engine
        from sqlalchemy.pool import NullPool

        try:
            return create_engine(
                with_password(self._url, VARIABLE),
                poolclass=NullPool,
                isolation_level="AUTOCOMMIT",  # nothing stays open but the session
                connect_args={
                    "connect_timeout": CONNECT_TIMEOUT_S,
                    **KEEPALIVE,
                    "application_name": "neurovision-locks",
                },
            )
        except ModuleNotFoundError as error:
            raise driver_missing() from error


def _number_of(store: str, name: str) -> int:
    digest = hashlib.sha256(f"{store}\0{name}".encode()).digest()
    return int.from_bytes(digest[:KEY_BYTES], "big", signed=True)


def _held_by_another(name: str) -> TransientFailure:
    return TransientFailure(
        f"Another process holds this lock for more than {LOCK_WAIT_S:.0f} s.",
        subject=name,
        remedy="Look whether that process hangs, end it and try again.",
    )


def _unanswered(name: str, error: Exception) -> TransientFailure:
    return TransientFailure(
        f"The database of locks cannot be used ({type(error).__name__}).",
        subject=name,
        remedy=f"Check PostgreSQL ({VARIABLE}) and try again.",
    )
