"""The images, as far as a machine without Docker can judge them: lint, users, locks, what goes in, what they start."""

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.deploy_files import DEPLOY, REPOSITORY
from tests.waiting import PATIENCE_S

DOCKER = DEPLOY / "docker"
DOCKERFILES = sorted(DOCKER.glob("Dockerfile.*"))
IMAGES = dict(re.findall(r"^([A-Z0-9_]+)=(\S+)$", (DOCKER / "images.env").read_text(), re.MULTILINE))
DIGEST = re.compile(r"@sha256:[0-9a-f]{64}$")


def program(name: str) -> str:
    """One of this environment's programs."""
    return str(Path(sys.executable).with_name(name))


def instructions(path: Path) -> list[tuple[str, str]]:
    """Instruction and argument, comments left out, continued lines joined."""
    text = re.sub(r"^\s*#.*\n", "", path.read_text(), flags=re.MULTILINE).replace("\\\n", " ")
    return [(word, rest.strip()) for word, _, rest in (line.partition(" ") for line in text.splitlines()) if word]


@pytest.mark.parametrize("path", DOCKERFILES, ids=lambda path: path.name)
def test_the_linter_has_nothing_against_it(path: Path) -> None:
    lint = subprocess.run(
        [program("hadolint"), "--failure-threshold", "info", path], check=False, capture_output=True, text=True
    )
    assert lint.returncode == 0, lint.stdout


@pytest.mark.parametrize("path", DOCKERFILES, ids=lambda path: path.name)
def test_a_base_image_is_a_variable_that_images_env_pins(path: Path) -> None:
    arguments = dict(rest.split("=", 1) for word, rest in instructions(path) if word == "ARG")
    stages = {rest.split()[2] for word, rest in instructions(path) if word == "FROM"}
    for word, rest in instructions(path):
        source = rest.split()[0]
        if word == "FROM" and source not in stages:
            variable = source.removeprefix("${").removesuffix("}")
            assert source == f"${{{variable}}}", "a digest could not be given"
            assert arguments[variable] == DIGEST.sub("", IMAGES[variable])


@pytest.mark.parametrize("path", DOCKERFILES, ids=lambda path: path.name)
def test_what_is_started_is_not_root(path: Path) -> None:
    users: dict[str, str] = {}
    stage = ""
    for word, rest in instructions(path):
        if word == "FROM":
            source, _, stage = rest.split()
            users[stage] = users.get(source, "root")
        elif word == "USER":
            users[stage] = rest
        elif word in {"CMD", "ENTRYPOINT"}:
            assert users[stage] == "1000:1000", stage


def test_the_check_of_pins_tells_the_loose_ones(tmp_path: Path) -> None:
    (tmp_path / "pin.sh").write_text((DOCKER / "pin.sh").read_text())
    for digest, code in (("", 1), ("@sha256:" + "0" * 64, 0)):
        (tmp_path / "images.env").write_text(f"# a comment\nPYTHON_IMAGE=python:3.11{digest}\n")
        assert (
            subprocess.run(["sh", tmp_path / "pin.sh", "--check"], check=False, capture_output=True).returncode == code
        )


def test_the_production_image_has_every_package_and_what_they_read() -> None:
    packages = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]
    copied = {
        part
        for word, rest in instructions(DOCKER / "Dockerfile.platform")
        if word == "COPY" and not rest.startswith("--from")
        for part in rest.split()[:-1]
    }
    assert {package.split(".")[0] for package in packages} - copied == set()
    assert {"dbt", "dagster.yaml", "workspace.yaml", "LICENSE", "NOTICE"} <= copied
    let_in = (REPOSITORY / ".dockerignore").read_text().splitlines()
    for part in copied - {"."}:
        assert list(REPOSITORY.glob(part)), part
        assert f"!{part.split('/')[0]}" in let_in or (part.endswith(".lock") and "!requirements*.lock" in let_in), part


def test_packages_come_from_the_locks_alone() -> None:
    for path in DOCKERFILES:
        for word, rest in instructions(path):
            if word == "RUN" and "pip install" in rest and "--editable ." not in rest:
                assert re.findall(r"-[rc] (\S+)", rest), rest
                assert all((REPOSITORY / lock).is_file() for lock in re.findall(r"-[rc] (\S+)", rest))
                assert not re.search(r"install [\w-]+[=<>]", rest), rest


def test_healthchecks_use_what_the_image_has() -> None:
    for path in DOCKERFILES:
        for word, rest in instructions(path):
            assert word != "HEALTHCHECK" or not re.search(r"curl|wget", rest), "neither is in the image"


def test_the_inference_image_has_every_model_and_nothing_but_models(tmp_path: Path) -> None:
    subprocess.run(["sh", DOCKER / "model-repository.sh", REPOSITORY / "models", tmp_path / "models"], check=True)
    made = {path.relative_to(tmp_path / "models") for path in (tmp_path / "models").rglob("*") if path.is_file()}
    for config in (REPOSITORY / "models").glob("*/config.pbtxt"):
        name = config.parent.name
        assert {Path(name, "config.pbtxt"), Path(name, "1/model.onnx")} <= made
    assert {path.name for path in made if path.suffix != ".pbtxt"} <= {"labels.txt", "model.onnx"}


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"AWS_SECRET_ACCESS_KEY_FILE": "secret"}, "a 'quoted' $ecret"),
        ({"AWS_SECRET_ACCESS_KEY_FILE": "secret", "AWS_SECRET_ACCESS_KEY": "mine"}, "mine"),
        ({"AWS_SECRET_ACCESS_KEY_FILE": "missing"}, None),
    ],
)
def test_triton_is_given_its_secrets_from_files(tmp_path: Path, given: dict[str, str], said: str | None) -> None:
    (tmp_path / "secret").write_text("a 'quoted' $ecret\n")
    server = tmp_path / "tritonserver"
    server.write_text('#!/bin/sh\nprintf "%s" "$AWS_SECRET_ACCESS_KEY $*"\n')
    server.chmod(0o755)
    environment = {"PATH": f"{tmp_path}:{os.environ['PATH']}", **given}
    command = ["sh", DOCKER / "triton.sh", "--model-repository=/models"]
    started = subprocess.run(command, check=False, env=environment, cwd=tmp_path, capture_output=True, text=True)
    assert (started.returncode == 0) == (said is not None)
    assert started.stdout == (f"{said} --model-repository=/models" if said else "")


def container(arguments: list[str], **environment: str) -> subprocess.CompletedProcess[str]:
    """What the image's entry point makes of a command."""
    return subprocess.run(
        [sys.executable, "-m", "commands.container", *arguments],
        check=False,
        cwd=REPOSITORY,
        env={
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "PYTHONPATH": str(REPOSITORY),
            **environment,
        },
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
    )


def test_a_container_starts_with_its_secrets_and_a_home_for_dagster(tmp_path: Path) -> None:
    (tmp_path / "password").write_text("from a file\n")
    show = "import os; print(os.getpid(), os.environ['PGPASSWORD'], os.environ['DAGSTER_HOME'])"
    started = container(
        ["python", "-c", show], NEUROVISION_HOME=str(tmp_path), PGPASSWORD_FILE=str(tmp_path / "password")
    )
    assert started.stdout.split(maxsplit=1)[1].strip() == f"from a file {tmp_path}/dagster", started.stderr
    assert (tmp_path / "dagster" / "dagster.yaml").is_file()


def test_a_home_that_dagsters_chart_names_is_left_as_it_is(tmp_path: Path) -> None:
    started = container(
        ["python", "-c", ""], NEUROVISION_HOME=str(tmp_path), DAGSTER_HOME=str(tmp_path / "chart" / "home")
    )
    assert started.returncode == 0, started.stderr
    assert list((tmp_path / "chart" / "home").iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "environment", "words"),
    [
        ([], {}, "nothing to start"),
        (["no-such-program"], {}, "cannot be started"),
        (["python"], {"PGPASSWORD_FILE": "/nowhere"}, "PGPASSWORD_FILE"),
        (["python"], {"NEUROVISION_TRITON_URLS": "x"}, "Did you mean NEUROVISION_TRITON_URL?"),
    ],
)
def test_a_container_that_cannot_start_says_why(
    tmp_path: Path, arguments: list[str], environment: dict[str, str], words: str
) -> None:
    started = container(arguments, NEUROVISION_HOME=str(tmp_path), **environment)
    assert started.returncode == 1
    assert words in started.stderr
    assert "Traceback" not in started.stderr


def test_names_that_kubernetes_puts_into_the_environment_are_no_settings(tmp_path: Path) -> None:
    """The code location `neurovision` is a service, whose address Kubernetes tells every pod in variables."""
    address = "tcp://10.0.0.1:4000"
    told = {
        "NEUROVISION_PORT": address,
        "NEUROVISION_PORT_4000_TCP": address,
        "NEUROVISION_PORT_4000_TCP_ADDR": "10.0.0.1",
        "NEUROVISION_PORT_4000_TCP_PROTO": "tcp",
        "NEUROVISION_SERVICE_HOST": "10.0.0.1",
        "NEUROVISION_SERVICE_PORT": "4000",
    }
    assert container(["python", "-c", ""], NEUROVISION_HOME=str(tmp_path), **told).returncode == 0
