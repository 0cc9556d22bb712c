"""Bringing the application database to the tables that this code knows.

Belongs here: the database's revision, migrations there and back. Does not belong here: the migrations themselves
(``migrations``), connections (``engine``).
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import Connection, inspect, select

from resources.database.tables import METADATA, SCHEMA_REVISION, VERSIONS
from resources.errors import ConfigurationError

if TYPE_CHECKING:
    from alembic.config import Config

SETTING = "NEUROVISION_DATABASE_URL"


def bring_up_to_date(connection: Connection) -> None:
    """Make the tables, or run the migrations that a database has not seen yet, inside the caller's transaction.

    Raises:
        ConfigurationError: the database was written by a newer version of this code.
    """
    revision = current_revision(connection)
    if revision is None:  # a test compares this short way with the migrations' long one
        METADATA.create_all(connection)
        connection.execute(VERSIONS.insert().values(version_num=SCHEMA_REVISION))
    elif revision != SCHEMA_REVISION:
        require_known(revision)
        migrate(connection, "head")


def current_revision(connection: Connection) -> str | None:
    """The migration that a database stands at, None for an empty one."""
    if not inspect(connection).has_table(VERSIONS.name):
        return None
    revision: str | None = connection.execute(select(VERSIONS.c.version_num)).scalar()
    return revision


def require_known(revision: str) -> None:
    """Refuse a database of a version that this code does not know: it is newer.

    Raises:
        ConfigurationError: it is.
    """
    from alembic.script import ScriptDirectory

    known = {script.revision for script in ScriptDirectory.from_config(_config()).walk_revisions()}
    if revision not in known:
        raise ConfigurationError(
            f"The application database was made by another version of this code (its schema is {revision}, "
            f"this code knows {SCHEMA_REVISION}).",
            subject=SETTING,
            remedy="Use the version that made it, or a newer one.",
        )


def migrate(connection: Connection, revision: str) -> None:
    """Bring a database to a migration, forward or back.

    Args:
        connection: in a transaction that writes.
        revision: ``head``, ``base`` or a migration's name.
    """
    from alembic import command

    config = _config()
    config.attributes["connection"] = connection
    if revision == "head":
        command.upgrade(config, revision)
    else:
        command.downgrade(config, revision)


def _config() -> Config:
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations").replace("%", "%%"))
    return config
