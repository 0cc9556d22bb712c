"""What all files of a deployment have in common: settings that exist, no secrets, nothing of this machine."""

import re
from pathlib import Path

import pytest

from resources.settings import FILE_ENDING, PREFIX
from tests.deploy_files import KNOWN_SECRETS, KNOWN_SETTINGS, REPOSITORY, deployment_files

SECRETS = {
    "a password in a URL": re.compile(r"//[^/\s:@${]+:[^/\s@${]+@"),
    "a private key": re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY"),
    "a key of a cloud": re.compile(r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b|\bgh[pousr]_\w{36}"),
    "a value": re.compile(
        r"(?i)(?:password|secret|token|salt)\w{0,16}[\"']?\s*[:=]\s*[\"']?(?![\s$/<{\[(\"'*&]|changeme)(\w{8,})"
    ),
}
HARMLESS = {"password", "neurovision", "postgres_password", "mlflow_password", "dagster"}


@pytest.mark.parametrize("path", deployment_files(), ids=lambda path: str(path.relative_to(REPOSITORY)))
def test_a_file_names_settings_that_exist_and_no_secret(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    named = {
        name.removesuffix(FILE_ENDING) if name.endswith(FILE_ENDING) else name
        for name in re.findall(rf"\b{PREFIX}[A-Z0-9_]*[A-Z0-9]\b", text)
    }
    known = KNOWN_SETTINGS | KNOWN_SECRETS
    assert {name for name in named if name not in known and name + FILE_ENDING not in known} == set()
    for kind, pattern in SECRETS.items():
        found = [match for match in pattern.findall(text) if match not in HARMLESS]
        assert found == [], kind


@pytest.mark.parametrize(
    "line",
    [
        "postgresql+psycopg2://app:geheim123@postgres/app",
        "POSTGRES_PASSWORD: swordfish1",
        "secretKey = 'A1b2C3d4E5'",
        "AWS_SECRET_ACCESS_KEY=abcdefgh12345678",
    ],
)
def test_a_secret_would_be_seen(line: str) -> None:
    assert any(pattern.search(line) for pattern in SECRETS.values())
