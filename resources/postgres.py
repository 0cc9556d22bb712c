"""Connections to PostgreSQL: whose password, how long they wait, how many a process keeps.

Belongs here: what every database of ours on PostgreSQL has in common. Does not belong here: tables
(``resources.database``), Dagster's storages (``resources.dagster_storage``).

A URL that is kept, shown or handed on has no password. Where one connects, it is read again from the environment: from
the variable that the URL came from, else by PostgreSQL's own library (``PGPASSWORD``, ``PGPASSFILE``).
"""

from __future__ import annotations

import os
from typing import Any, Final

from sqlalchemy import URL, Engine, create_engine
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

from resources.errors import ConfigurationError

DRIVER: Final = "postgresql+psycopg2"
CONNECT_TIMEOUT_S: Final = 10
STATEMENT_TIMEOUT_MS: Final = 120_000
"""No statement of ours takes a tenth of it; one that does would hold locks that others wait for."""
RECYCLE_S: Final = 1800
"""Proxies and firewalls forget connections that are quiet for an hour."""
KEEPALIVE: Final = {"keepalives_idle": 30, "keepalives_interval": 10, "keepalives_count": 3}
"""A host that vanished is noticed within a minute, not after the kernel's two hours."""


def is_postgres(url: str) -> bool:
    """Whether a URL is of PostgreSQL."""
    return url.startswith(("postgresql:", "postgresql+", "postgres:"))


def without_password(url: str) -> str:
    """The URL as it may be shown; what is no URL stays as it is, and is refused by name where it is opened."""
    try:
        return _bare(make_url(url)).render_as_string(hide_password=False)
    except ArgumentError:
        return url


def _bare(url: URL) -> URL:
    return URL.create(url.drivername, url.username, None, url.host, url.port, url.database, url.query)


def with_password(url: str, variable: str) -> URL:
    """A URL to connect with.

    Args:
        url: with or without a password.
        variable: environment variable that it came from; its password is taken where it is the same URL.

    Raises:
        ConfigurationError: it is no URL of PostgreSQL; the variable is named.
    """
    try:
        wanted, named = make_url(url), make_url(os.environ.get(variable) or url)
    except ArgumentError as error:
        raise ConfigurationError(
            "This is no URL.", subject=variable, remedy="Write postgresql://user@host:5432/database."
        ) from error
    if not is_postgres(url):
        raise ConfigurationError(
            f"'{wanted.get_backend_name()}' is not PostgreSQL.",
            subject=variable,
            remedy="Write postgresql://user@host:5432/database.",
        )
    if wanted.password is None and _bare(named) == wanted:
        wanted = named
    return wanted.set(drivername=DRIVER)


def open_server(url: URL, *, pool_size: int, overflow: int = 0, **options: Any) -> Engine:
    """An engine that looks whether a connection still lives before it uses it, so a restarted server goes unnoticed.

    Args:
        url: with its password.
        pool_size: connections that are kept.
        overflow: that may be opened besides, and are closed after use.
        options: further ones of ``create_engine``.

    Raises:
        ConfigurationError: the set ``services`` is not installed.
    """
    timeouts = f"-c statement_timeout={STATEMENT_TIMEOUT_MS}"
    given = url.query.get("options")
    words = {"connect_timeout": CONNECT_TIMEOUT_S, **KEEPALIVE, "application_name": "neurovision"}
    try:
        return create_engine(
            url,
            pool_size=pool_size,
            max_overflow=overflow,
            pool_pre_ping=True,
            pool_recycle=RECYCLE_S,
            connect_args={**words, "options": f"{timeouts} {given}" if given else timeouts},
            **options,
        )
    except ModuleNotFoundError as error:
        raise driver_missing() from error


def driver_missing() -> ConfigurationError:
    """PostgreSQL was asked for and its library is not installed."""
    return ConfigurationError(
        "The library of PostgreSQL is not installed.", subject="psycopg2", remedy="Run: sh scripts/setup.sh services"
    )
