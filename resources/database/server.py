"""What the application database needs on PostgreSQL: the same promises that SQLite keeps by itself.

Belongs here: the pool, one writer at a time, one state for a reader, migrating once. Does not belong here: SQLite and
the transactions' form (``engine``).
"""

from __future__ import annotations

from collections.abc import Callable

from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import OperationalError

from resources.database.schema import SETTING, current_revision
from resources.database.tables import SCHEMA_REVISION
from resources.errors import ConfigurationError
from resources.postgres import open_server, with_password

WRITERS_LOCK = 5_204_001
MIGRATIONS_LOCK = 5_204_002
"""Names of our advisory locks, any numbers that nobody else uses in this database."""
OVERFLOW = 4
"""Sensors look in four threads; connections beyond the pool are closed after use."""
READER = {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
"""One state of the database for all statements of a transaction, as SQLite's readers have it."""
WRONG_TLS = ("certificate", "SSL was required")
REFUSED = ("password authentication failed", "no password supplied", "does not exist", "pg_hba.conf", *WRONG_TLS)
"""What PostgreSQL says of a connection that another try would not help; its library gives no code for these."""


def open_database(url: str, pool_size: int, from_json: Callable[[str], object], variable: str = SETTING) -> Engine:
    """An engine on a server; nothing is connected yet.

    Args:
        url: its password may be in the environment's ``variable`` alone.
        pool_size: connections that this process keeps.
        from_json: how documents are read.
        variable: where the URL came from.

    Raises:
        ConfigurationError: the URL cannot be used, or the set ``services`` is not installed.
    """
    return open_server(
        with_password(url, variable), pool_size=pool_size, overflow=OVERFLOW, json_deserializer=from_json
    )


def take_writers_turn(connection: Connection) -> None:
    """Wait for the writer before; the transaction's end gives the turn on, also when its process dies."""
    connection.execute(text("SELECT pg_advisory_xact_lock(:name)"), {"name": WRITERS_LOCK})


def prepare(connection: Connection, bring_up_to_date: Callable[[Connection], None]) -> None:
    """Migrate where it is needed; of many processes that start at once, one does and the others wait for it."""
    if current_revision(connection) == SCHEMA_REVISION:
        return
    connection.execute(text("SET LOCAL statement_timeout = 0"))  # a migration of a large table may take its time
    connection.execute(text("SELECT pg_advisory_xact_lock(:name)"), {"name": MIGRATIONS_LOCK})
    bring_up_to_date(connection)


def refusal(error: Exception, subject: str, variable: str = SETTING) -> ConfigurationError | None:
    """What is wrong with the setting where the server refuses the connection for good, None where it does not."""
    said = str(getattr(error, "orig", None) or "").splitlines()
    lines = [line for line in said if any(words in line for words in REFUSED)]
    if not isinstance(error, OperationalError) or not lines:
        return None
    reason = lines[-1].rpartition("FATAL:")[2].rpartition(" failed: ")[2].strip()
    remedy = "Correct user, password (in the URL, or PGPASSWORD) and database."
    if any(words in reason for words in WRONG_TLS):
        remedy = "Name the authority's certificate in the URL: ?sslmode=verify-full&sslrootcert=FILE."
    return ConfigurationError(
        f"PostgreSQL refuses the connection to {subject} ({reason}).", subject=variable, remedy=remedy
    )
