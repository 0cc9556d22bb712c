"""Whether Dagster's tables are those that the installed Dagster works with.

Belongs here: one look before work starts. Does not belong here: making or migrating them; Dagster does both.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from sqlalchemy.exc import SQLAlchemyError

from resources.dagster_storage import URL_VARIABLE
from resources.database.server import refusal
from resources.errors import ConfigurationError, TransientFailure
from resources.postgres import open_server, with_password, without_password

MIGRATE: Final = "python -m commands.container dagster instance migrate"
"""Dagster's own command, with our settings and secrets."""


def require_current_schema(url: str) -> None:
    """An empty database is fine: its tables are made at the first use.

    Raises:
        ConfigurationError: the tables are of another version, or the connection is refused.
        TransientFailure: the server cannot be used.
    """
    import dagster_postgres
    from alembic.runtime.migration import MigrationContext
    from alembic.script import ScriptDirectory
    from dagster_postgres.utils import pg_alembic_config

    engine = open_server(with_password(url, URL_VARIABLE), pool_size=1)
    try:
        with engine.connect() as connection:
            found = MigrationContext.configure(connection).get_current_revision()
    except SQLAlchemyError as error:
        where = without_password(url)
        if refused := refusal(error, where, URL_VARIABLE):
            raise refused from error
        reason = str(getattr(error, "orig", None) or type(error).__name__).splitlines()[0]
        raise TransientFailure(
            f"Dagster's database cannot be used ({reason}).", subject=where, remedy="Check that it is there."
        ) from error
    finally:
        engine.dispose()
    beside = Path(str(dagster_postgres.__file__)).parent / "event_log" / "event_log.py"
    wanted = ScriptDirectory.from_config(pg_alembic_config(str(beside))).get_current_head()
    if found not in {None, wanted}:
        raise ConfigurationError(
            f"Dagster's tables are of another version (they are at {found}, the installed Dagster at {wanted}).",
            subject=URL_VARIABLE,
            remedy=f"Older tables: stop the platform, make a backup, run `{MIGRATE}`. "
            "Newer ones need the newer Dagster.",
        )
