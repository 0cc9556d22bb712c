"""What is wrong with a server is one line in every command that starts work or looks, and nothing was begun.

On real servers that speak TLS, through the commands as a person types them.
"""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import dagster as dg
import psycopg2
import pytest
from sqlalchemy.engine import make_url

from benchmarks.slow_link import SlowLink
from commands.platform import prepare_dagster_home
from commands.services.postgres import UNPRIVILEGED, Postgres
from commands.services.seaweedfs import SeaweedFs
from resources.dagster_schema import MIGRATE
from resources.database.engine import Database
from resources.settings import Settings
from tests.main_job import Finished, Home, free_port, new_home
from tests.s3_server import BUCKET, PLATFORM, Tls, use_credentials

pytestmark = [pytest.mark.slow, pytest.mark.services, pytest.mark.xdist_group("seaweedfs"), pytest.mark.timeout(900)]
PREFIX = "wrong-servers"
APPLICATION, DAGSTER = "application", "dagster"
WRONG_SECRET = "no-such-secret"  # noqa: S105
SLOW_S = 0.5
STARTED = ("run/platform.json", "logs", "sample", "models", "incoming")
"""What a data home has when something was begun."""
REVISIONS = "SELECT version_num FROM alembic_version"


class TlsPostgres(Postgres):
    """A PostgreSQL with a certificate.

    Args:
        folder: of the cluster.
        tls: certificates.
    """

    def __init__(self, folder: Path, tls: Tls) -> None:
        super().__init__(folder, durable=False)
        self._tls = tls

    def prepare(self) -> None:
        """Give the server's user files of its own: PostgreSQL takes no key that others may read."""
        super().prepare()
        for source in (self._tls.own, self._tls.key):
            copy = Path(shutil.copy(source, self.folder / source.name))
            copy.chmod(0o600)
            if copy.stat().st_uid == 0:
                shutil.chown(copy, UNPRIVILEGED)

    def command(self) -> Sequence[str | Path]:
        """With TLS for who asks for it."""
        files = (("ssl_cert_file", self._tls.own), ("ssl_key_file", self._tls.key))
        named = [word for name, path in files for word in ("-c", f"{name}={self.folder / path.name}")]
        return [*super().command(), "-c", "ssl=on", *named]


@dataclass(frozen=True)
class Deployment:
    """A platform's settings on servers where all is well, Dagster's tables made."""

    postgres: Postgres
    seaweed: SeaweedFs
    tls: Tls
    folder: Path

    def url(self, database: str, trusted: Path | None = None) -> str:
        """Of a database, whose server must show a certificate of this authority."""
        query = {"sslmode": "verify-full", "sslrootcert": str(trusted or self.tls.own)}
        url = make_url(self.postgres.url(database)).update_query_dict(query)
        return url.render_as_string(hide_password=False)

    @property
    def seaweed_port(self) -> int:
        """Of S3 over TLS."""
        return int(self.seaweed.tls_url.rpartition(":")[2])

    @property
    def settings(self) -> dict[str, str]:
        """All right."""
        return {
            "NEUROVISION_OBJECT_STORE_URL": f"s3://{BUCKET}/{PREFIX}",
            "NEUROVISION_S3_ENDPOINT_URL": self.seaweed.tls_url,
            "NEUROVISION_S3_CA_FILE": str(self.tls.own),
            "NEUROVISION_DATABASE_URL": self.url(APPLICATION),
            "NEUROVISION_DAGSTER_DATABASE_URL": self.url(DAGSTER),
            "AWS_ACCESS_KEY_ID": PLATFORM.access_key,
            "AWS_SECRET_ACCESS_KEY": PLATFORM.secret_key,
        }

    def home(self, name: str, **changed: str) -> Home:
        """A new data home with some settings otherwise."""
        return new_home(self.folder / "homes" / name, **(self.settings | changed))

    def rows(self, database: str, query: str) -> list[tuple[Any, ...]]:
        """What a database holds."""
        connection = psycopg2.connect(self.postgres.url(database).replace("+psycopg2", ""))
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute(query)
            rows: list[tuple[Any, ...]] = cursor.fetchall() if cursor.description else []
        connection.close()
        return rows

    def state(self) -> tuple[object, ...]:
        """What work would change on the servers."""
        client = boto3.Session().client("s3", endpoint_url=self.seaweed.url, region_name="us-east-1")
        tables = "SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY 1"
        return (
            client.list_objects_v2(Bucket=BUCKET, Prefix=f"{PREFIX}/")["KeyCount"],
            self.rows(DAGSTER, "SELECT (SELECT count(*) FROM runs), (SELECT count(*) FROM event_logs)"),
            [self.rows(database, tables) for database in (APPLICATION, DAGSTER)],
        )


@pytest.fixture(scope="module")
def deployment(seaweed: SeaweedFs, tls: Tls) -> Iterator[Deployment]:
    folder = Path(tempfile.mkdtemp(prefix="neurovision-wrong-"))
    folder.chmod(0o755)  # root starts PostgreSQL as nobody, who must come through
    try:
        with TlsPostgres(folder / "postgres", tls) as postgres, pytest.MonkeyPatch.context() as patch:
            use_credentials(patch)
            for name in (APPLICATION, DAGSTER):
                postgres.database(name)
            made = Deployment(postgres, seaweed, tls, folder)
            patch.setenv("NEUROVISION_DAGSTER_DATABASE_URL", made.url(DAGSTER))
            settings = Settings(home=folder / "maker")
            with dg.DagsterInstance.from_config(str(prepare_dagster_home(settings))) as instance:
                assert instance.get_runs_count() == 0
            yield made
    finally:
        shutil.rmtree(folder)


def lines_of(home: Home) -> dict[str, tuple[Finished, list[str]]]:
    """How each command ended, and what it said was wrong."""
    looked = home.command("doctor")
    wrong = [line.strip() for line in looked.out.splitlines() if line.strip().startswith("wrong")]
    ended = {"doctor": (looked, [re.sub(r"^wrong +[^:]+: ", "", line) for line in wrong])}
    for name, words in (("process", ()), ("up", ("--port", str(free_port())))):
        done = home.command(name, *words)
        assert done.out == "", name
        ended[name] = (done, [line.removeprefix("error: ") for line in done.err.splitlines()])
    return ended


def require_refusal(deployment: Deployment, home: Home, told: str) -> None:
    """Every command says this line and no other, and leaves nothing."""
    before = deployment.state()
    for name, (done, lines) in lines_of(home).items():
        assert done.code == 1, name
        assert len(lines) == 1, (name, lines)
        assert re.match(told, lines[0]), (name, lines[0])
        shown = done.out + done.err
        assert not [word for word in (WRONG_SECRET, PLATFORM.secret_key, deployment.postgres.password) if word in shown]
        assert "Traceback" not in shown
    assert deployment.state() == before
    assert not [name for name in STARTED if (home.path / name).exists()]


def wrong(deployment: Deployment) -> dict[str, tuple[dict[str, str], str]]:
    """What is set wrongly, and the line that must be said."""
    right, other = deployment.settings, deployment.tls.other
    application = right["NEUROVISION_DATABASE_URL"]
    password = deployment.postgres.password
    return {
        "secret of S3": (
            {"AWS_SECRET_ACCESS_KEY": WRONG_SECRET},
            r"AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY: The S3 server does not accept them\. Put the right ones",
        ),
        "bucket": (
            {"NEUROVISION_OBJECT_STORE_URL": "s3://absent/x"},
            r"NEUROVISION_OBJECT_STORE_URL: The bucket 'absent' does not exist\. Make it",
        ),
        "authority of S3": (
            {"NEUROVISION_S3_CA_FILE": str(other)},
            r"NEUROVISION_S3_CA_FILE: The S3 server's certificate is not trusted\. Name the file",
        ),
        "no file of certificates": (
            {"NEUROVISION_S3_CA_FILE": str(other.with_name("absent.pem"))},
            r"NEUROVISION_S3_CA_FILE: The file holds no certificates",
        ),
        "S3 without TLS": (
            {"NEUROVISION_S3_ENDPOINT_URL": deployment.seaweed.url.replace("http:", "https:")},
            r"NEUROVISION_S3_ENDPOINT_URL: The S3 server does not speak TLS at this address\.",
        ),
        "password": (
            {"NEUROVISION_DATABASE_URL": application.replace(password, WRONG_SECRET)},
            r"NEUROVISION_DATABASE_URL: PostgreSQL refuses .*password authentication failed.*Correct user, password",
        ),
        "authority of PostgreSQL": (
            {"NEUROVISION_DATABASE_URL": deployment.url(APPLICATION, other)},
            r"NEUROVISION_DATABASE_URL: PostgreSQL refuses .*\(SSL error: certificate verify failed\)\. Name the",
        ),
        "authority of Dagster's database": (
            {"NEUROVISION_DAGSTER_DATABASE_URL": deployment.url(DAGSTER, other)},
            r"NEUROVISION_DAGSTER_DATABASE_URL: PostgreSQL refuses .*certificate verify failed",
        ),
        "database": (
            {"NEUROVISION_DAGSTER_DATABASE_URL": deployment.url(DAGSTER).replace(f"/{DAGSTER}?", "/absent?")},
            r"NEUROVISION_DAGSTER_DATABASE_URL: PostgreSQL refuses .*/absent.*database .absent. does not exist",
        ),
    }


CASES = (
    *("secret of S3", "bucket", "authority of S3", "no file of certificates", "S3 without TLS", "password"),
    *("authority of PostgreSQL", "authority of Dagster's database", "database"),
)


@pytest.mark.parametrize("what", CASES)
def test_a_wrong_setting_is_one_line_before_any_work(deployment: Deployment, what: str) -> None:
    changed, told = wrong(deployment)[what]
    require_refusal(deployment, deployment.home(what, **changed), told)


def test_older_tables_of_dagster_are_one_line_whose_remedy_helps(deployment: Deployment) -> None:
    [(newest,)] = deployment.rows(DAGSTER, REVISIONS)
    before = previous_revision(newest)
    deployment.rows(DAGSTER, f"UPDATE alembic_version SET version_num = '{before}'")  # noqa: S608
    home = deployment.home("older")
    require_refusal(
        deployment,
        home,
        rf"NEUROVISION_DAGSTER_DATABASE_URL: Dagster's tables .*are at {before}, the installed Dagster at {newest}.*"
        rf"make a backup, run `{MIGRATE}`",
    )
    migrated = home.command("container", *MIGRATE.removeprefix("python -m commands.container ").split())
    assert migrated.code == 0, migrated.err
    assert deployment.rows(DAGSTER, REVISIONS) == [(newest,)]
    assert home.command("doctor").code == 0


def previous_revision(revision: str) -> str:
    """Of Dagster's migrations, the one before."""
    import dagster_postgres
    from alembic.script import ScriptDirectory
    from dagster_postgres.utils import pg_alembic_config

    beside = Path(str(dagster_postgres.__file__)).parent / "event_log" / "event_log.py"
    found = ScriptDirectory.from_config(pg_alembic_config(str(beside))).get_revision(revision)
    assert isinstance(found.down_revision, str)
    return found.down_revision


def test_tables_of_a_newer_version_are_one_line(deployment: Deployment) -> None:
    url = deployment.postgres.database("newer")
    with Database(url=url).writing():
        pass
    deployment.rows("newer", "UPDATE alembic_version SET version_num = '9999'")
    home = deployment.home("newer", NEUROVISION_DATABASE_URL=deployment.url("newer"))
    require_refusal(deployment, home, r"NEUROVISION_DATABASE_URL: The application database .*schema is 9999.*Use the")


def test_looking_makes_no_tables_and_a_slow_server_is_no_wrong_one(deployment: Deployment) -> None:
    before = deployment.state()
    with SlowLink(deployment.postgres.port) as database, SlowLink(deployment.seaweed_port) as store:
        database.delay_s = store.delay_s = SLOW_S
        right = deployment.settings
        names = ("NEUROVISION_DATABASE_URL", "NEUROVISION_DAGSTER_DATABASE_URL")
        changed = {name: right[name].replace(f":{deployment.postgres.port}/", f":{database.port}/") for name in names}
        changed["NEUROVISION_S3_ENDPOINT_URL"] = f"https://127.0.0.1:{store.port}"
        looked = deployment.home("slow", **changed).command("doctor")
    assert looked.code == 0, looked.out
    assert looked.out.count("\n  ok ") == 3
    assert deployment.state() == before
    assert not deployment.rows(APPLICATION, "SELECT 1 FROM pg_tables WHERE schemaname = 'public'")
