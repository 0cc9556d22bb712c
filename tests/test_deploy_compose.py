"""compose.yaml: its schema, and that its files agree with each other, with the settings and with what is started."""

import json
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import yaml

from commands.services.postgres import SUPERUSER, Postgres, programs
from resources.errors import ConfigurationError
from tests.deploy_files import DEPLOY, REPOSITORY, load, ports_of, schema_errors, unknown_variables

COMPOSE = load(REPOSITORY / "compose.yaml")
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = {name: service for name, service in SERVICES.items() if "build" in service}
UI_PORTS = {"127.0.0.1:3000:3000", "127.0.0.1:3001:3000"}
PUBLIC = {"8443:8443"}
"""What may be reached from other hosts: the proxy, which has TLS and a login."""


def default(text: str) -> str:
    """A value with its variables' defaults put in."""
    return re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", text)


def words(service: dict[str, Any]) -> list[str]:
    return [str(word) for word in service.get("command", [])]


@pytest.mark.parametrize(
    "path", [REPOSITORY / "compose.yaml", DEPLOY / "compose" / "gpu.yaml"], ids=lambda path: path.name
)
def test_the_schema_of_compose_files_is_kept(path: Path) -> None:
    assert schema_errors(load(path), "compose-spec") == []


def test_everything_that_is_named_exists() -> None:
    for name, service in SERVICES.items():
        assert set(service.get("depends_on", {})) <= set(SERVICES), name
        assert set(service.get("secrets", [])) <= set(COMPOSE["secrets"]), name
        assert set(service["networks"]) <= set(COMPOSE["networks"]), name
        for volume in service.get("volumes", []):
            source = volume.split(":")[0]
            assert source in COMPOSE["volumes"] or (REPOSITORY / source).exists(), volume
        if "build" in service:
            build = service["build"]
            stages = re.findall(r"^FROM \S+ AS (\S+)", (REPOSITORY / build["dockerfile"]).read_text(), re.MULTILINE)
            assert default(build["target"]) in stages, name
    assert set(load(DEPLOY / "compose" / "gpu.yaml")["services"]) <= set(SERVICES)
    assert {name for service in SERVICES.values() for name in service.get("secrets", [])} == set(COMPOSE["secrets"])


def test_the_profiles_are_those_of_development_test_and_production() -> None:
    profiles = {name: service["profiles"] for name, service in SERVICES.items() if "profiles" in service}
    assert profiles == {
        "proxy": ["production"],
        "metrics": ["production"],
        "workbench": ["development"],
        "trial": ["test"],
    }


def test_only_the_proxy_is_reached_from_other_hosts_and_no_port_is_taken_twice() -> None:
    published = [port for service in SERVICES.values() for port in service.get("ports", [])]
    assert {port for port in published if not port.startswith("127.0.0.1:")} == PUBLIC
    on_the_host = [port.split(":")[-2] for port in published]
    assert len(on_the_host) == len(set(on_the_host))
    assert COMPOSE["networks"]["inside"] == {"internal": True}


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_is_watched_and_limited(name: str) -> None:
    service = SERVICES[name]
    limits = service.get("deploy", {}).get("resources", {}).get("limits")
    if service.get("restart") == "no" and name != "workbench":
        return  # it ends by itself
    assert set(limits) == {"cpus", "memory"}
    if name != "triton":  # its image says how (test_deploy_docker)
        assert service["healthcheck"]["test"][0] == "CMD"
    if name in OURS:
        assert service["read_only"] is True
        assert service["cap_drop"] == ["ALL"]


@pytest.mark.parametrize("name", sorted(set(OURS) - {"triton"}))
def test_a_container_of_the_platform_can_write_to_its_home_and_only_there(name: str) -> None:
    places = [mount.split(":")[0] for mount in SERVICES[name]["tmpfs"]]
    places += [mount.split(":")[1] for mount in SERVICES[name].get("volumes", [])]
    assert sorted(set(places) - {"/app"}) == ["/data", "/tmp"]  # noqa: S108
    assert len(places) == len(set(places)), "Docker refuses one place twice"


def test_who_needs_a_service_waits_until_it_is_healthy() -> None:
    for name, service in SERVICES.items():
        for needed, how in service.get("depends_on", {}).items():
            ends = SERVICES[needed].get("restart") == "no"
            assert how["condition"] == ("service_completed_successfully" if ends else "service_healthy"), (name, needed)


def test_every_variable_is_a_setting_or_a_secret_from_a_file() -> None:
    for name in OURS:
        environment = SERVICES[name].get("environment", {})
        assert unknown_variables(environment) == [], name
        for variable, value in environment.items():
            if variable.endswith("_FILE") and str(value).startswith("/run/secrets/"):
                assert str(value).removeprefix("/run/secrets/") in SERVICES[name]["secrets"], (name, variable)


def test_every_url_leads_to_a_service_that_listens_there() -> None:
    listening = {"postgres": {5432}, "triton": {8000, 8001}}
    for name, service in SERVICES.items():
        said = " ".join(words(service))
        found = re.findall(r"(?:--port[= ]|-s3\.port=)(\d+)", said)
        listening.setdefault(name, set()).update(int(port) for port in found)
    urls = [value for value in COMPOSE["x-settings"].values() if re.search(r"//[^/]*:\d+", str(value))]
    urls += [
        word.split("=", 1)[1]
        for service in SERVICES.values()
        for word in words(service)
        if re.search(r"=\S+//\S+:\d", word)
    ]
    assert len(urls) >= 6
    for url in urls:
        host, port = ports_of(url.replace("s3://http:", "http:"))
        assert port in listening[host], url
    proxied = re.search(r"proxy_pass http://(\w+):(\d+);", (DEPLOY / "compose" / "proxy.conf").read_text())
    assert proxied
    assert int(proxied[2]) in listening[proxied[1]]
    for name, service in SERVICES.items():
        for asked in re.findall(r"127\.0\.0\.1:(\d+)|--port', '(\d+)", str(service.get("healthcheck", {}).get("test"))):
            assert int(asked[0] or asked[1]) in listening[name] | {8081}, name
        for port in service.get("ports", []):
            assert int(port.split(":")[-1]) in listening[name] | {8443}, name


def test_the_workspace_names_the_code_locations_where_they_listen() -> None:
    names = set()
    for entry in load(DEPLOY / "compose" / "workspace.yaml")["load_from"]:
        server = entry["grpc_server"]
        command = words(SERVICES[server["host"]])
        assert command[command.index("--port") + 1] == str(server["port"])
        assert command[command.index("--location-name") + 1] == server["location_name"]
        assert find_spec(command[command.index("--module-name") + 1])
        names.add(server["location_name"])
    laptop = load(REPOSITORY / "workspace.yaml")["load_from"]
    assert names == {entry["python_module"]["location_name"] for entry in laptop}


def test_every_bucket_that_is_named_is_made() -> None:
    made = set(words(SERVICES["buckets"])[3:])
    text = (REPOSITORY / "compose.yaml").read_text()
    assert set(re.findall(r"s3://(?:http://s3:8333/)?(neurovision[\w-]*)", text)) == made


def test_images_of_others_are_those_that_are_pinned() -> None:
    pinned = dict(re.findall(r"^([A-Z0-9_]+)=([^@\s]+)", (DEPLOY / "docker" / "images.env").read_text(), re.MULTILINE))
    for name, service in SERVICES.items():
        if name not in OURS:
            variable, image = re.fullmatch(r"\$\{(\w+):-(\S+)\}", service["image"]).groups()  # type: ignore[union-attr]
            assert pinned[variable] == image, name


@pytest.fixture(scope="module")
def secrets(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("compose") / "secrets"
    subprocess.run(["sh", DEPLOY / "compose" / "secrets.sh", folder, "host.example"], check=True, capture_output=True)
    yield folder
    shutil.rmtree(folder)


def test_the_secrets_are_all_made_once_and_fit_each_other(secrets: Path) -> None:
    named = {Path(secret["file"]).name for secret in COMPOSE["secrets"].values()}
    before = {path.name: path.read_bytes() for path in secrets.iterdir()}
    assert named <= set(before)
    assert secrets.stat().st_mode & 0o077 == 0, "the folder is its maker's alone"
    (identity,) = json.loads(before["s3.json"])["identities"]
    (keys,) = identity["credentials"]
    assert keys["accessKey"].encode() == before["s3_access_key"]
    assert keys["secretKey"].encode() == before["s3_secret_key"]
    assert len({before[name] for name in ("postgres_password", "mlflow_password", "s3_secret_key")}) == 3
    subprocess.run(["sh", DEPLOY / "compose" / "secrets.sh", secrets, "other.example"], check=True)
    assert {path.name: path.read_bytes() for path in secrets.iterdir()} == before


def test_git_and_the_images_leave_the_secrets_alone() -> None:
    path = "deploy/compose/secrets/postgres_password"
    assert subprocess.run(["git", "check-ignore", "-q", path], check=False, cwd=REPOSITORY).returncode == 0
    assert "deploy/compose/secrets" in (REPOSITORY / ".dockerignore").read_text().splitlines()


@pytest.fixture
def empty_server() -> Iterator[Postgres]:
    """A cluster of this test's own, as the container's is at its first start."""
    folder = Path(tempfile.mkdtemp(prefix="neurovision-compose-"))
    folder.chmod(0o755)  # root starts it as nobody, who must come through
    try:
        programs()
        with Postgres(folder / "server", durable=False) as server:
            server.database("neurovision")
            yield server
    except ConfigurationError as error:
        pytest.skip(str(error))
    finally:
        shutil.rmtree(folder)


@pytest.mark.services
@pytest.mark.xdist_group("postgres")
def test_the_databases_that_the_urls_name_are_made(empty_server: Postgres, secrets: Path) -> None:
    """The script of PostgreSQL's first start on the real server; then each URL's role opens its database."""
    psycopg2 = pytest.importorskip("psycopg2", reason="the set services is not installed")
    where = {"host": "127.0.0.1", "port": empty_server.port}
    make_superuser = psycopg2.connect(dbname="postgres", user=SUPERUSER, password=empty_server.password, **where)
    make_superuser.autocommit = True  # POSTGRES_USER of the image is one
    make_superuser.cursor().execute("ALTER ROLE neurovision SUPERUSER")
    make_superuser.close()
    environment = {
        "PATH": f"{programs()}:/usr/bin:/bin",
        "PGHOST": "127.0.0.1",
        "PGPORT": str(empty_server.port),
        "PGPASSWORD": empty_server.password,
        "POSTGRES_USER": "neurovision",
        "POSTGRES_DB": "neurovision",
        "MLFLOW_PASSWORD_FILE": str(secrets / "mlflow_password"),
    }
    subprocess.run(["sh", DEPLOY / "compose" / "databases.sh"], check=True, env=environment)
    named = set(re.findall(r"postgresql\+psycopg2://(\w+)@postgres:5432/(\w+)", yaml.safe_dump(COMPOSE)))
    assert named == {("neurovision", "neurovision"), ("neurovision", "dagster"), ("mlflow", "mlflow")}
    passwords = {"neurovision": empty_server.password, "mlflow": (secrets / "mlflow_password").read_text()}
    for role, name in named:
        connection = psycopg2.connect(dbname=name, user=role, password=passwords[role], **where)
        connection.cursor().execute("CREATE TABLE may_i (yes int)")
        connection.close()
    with pytest.raises(psycopg2.OperationalError, match="permission denied"):
        psycopg2.connect(dbname="dagster", user="mlflow", password=passwords["mlflow"], **where)
