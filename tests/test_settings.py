"""The switchboard: a wrong variable is named before any work, a misspelt one is not silently without effect."""

from pathlib import Path

import pytest

from resources.errors import ConfigurationError
from resources.settings import REPOSITORY_ROOT, Settings, load_settings, require_secret


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch):
    for field in Settings.model_fields:
        monkeypatch.delenv(f"NEUROVISION_{field.upper()}", raising=False)
    monkeypatch.delenv("ANONYMIZATION_SALT", raising=False)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("NEUROVISION_UPLOADS_PER_TICK", "many"),
        ("NEUROVISION_UPLOADS_PER_TICK", "0"),
        ("NEUROVISION_UPLOAD_SETTLE_S", "-1"),
        ("NEUROVISION_UPLOAD_MAX_BYTES", "1.5"),
        ("NEUROVISION_UPLOAD_SAFE_NAME", "operation_("),
        ("NEUROVISION_INFERENCE_THREADS", "-2"),
    ],
)
def test_a_value_that_cannot_be_used_is_named(monkeypatch: pytest.MonkeyPatch, name: str, value: str):
    monkeypatch.setenv(name, value)
    with pytest.raises(ConfigurationError, match=f"^{name}: The setting cannot be used"):
        load_settings()


def test_a_misspelt_setting_is_named_with_the_right_one(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("NEUROVISION_UPLOAD_SETLE_S", "5")
    with pytest.raises(ConfigurationError, match=r"NEUROVISION_UPLOAD_SETLE_S.*mean NEUROVISION_UPLOAD_SETTLE_S"):
        load_settings()


def test_variables_of_the_surroundings_are_nobody_s_mistake(monkeypatch: pytest.MonkeyPatch):
    """Kubernetes gives every container the addresses of a service named neurovision; `make up` marks its processes."""
    before = load_settings()
    for name in ("PORT", "SERVICE_HOST", "SERVICE_PORT", "PORT_80_TCP", "PLATFORM"):
        monkeypatch.setenv(f"NEUROVISION_{name}", "x")
    assert load_settings() == before


def test_an_empty_variable_is_an_unset_one(monkeypatch: pytest.MonkeyPatch):
    for field in Settings.model_fields:
        monkeypatch.setenv(f"NEUROVISION_{field.upper()}", "")
    settings = load_settings()
    assert settings.home == REPOSITORY_ROOT / "data"
    assert settings.uploads_per_tick == 20


def test_a_relative_home_is_one_folder_wherever_a_process_is_started(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NEUROVISION_HOME", "my data")
    settings = load_settings()
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert settings.home == tmp_path / "my data"
    assert settings.objects_url == f"{tmp_path.as_uri()}/my%20data"
    assert settings.model_repository == tmp_path / "my data" / "models"


@pytest.mark.parametrize("value", [None, ""])
def test_a_missing_secret_is_named_and_has_no_default(monkeypatch: pytest.MonkeyPatch, value: str | None):
    if value is not None:
        monkeypatch.setenv("ANONYMIZATION_SALT", value)
    with pytest.raises(ConfigurationError, match=r"^ANONYMIZATION_SALT: The secret is not set.*no default"):
        require_secret("anonymization_salt")


def test_a_secret_is_read_from_the_environment_and_not_shown(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("ANONYMIZATION_SALT", "a key of a hospital")
    assert require_secret("anonymization_salt") == "a key of a hospital"
    assert "hospital" not in repr(load_settings())


def unset(monkeypatch: pytest.MonkeyPatch, *names: str) -> None:
    """Empty, which is unset, and put back at the end whatever a file fills in."""
    for name in names:
        monkeypatch.setenv(name, "")


def test_a_file_fills_what_the_environment_does_not_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    unset(monkeypatch, "NEUROVISION_MLFLOW_URL", "AWS_SECRET_ACCESS_KEY")
    monkeypatch.setenv("NEUROVISION_DEFAULT_PROFILE", "research")
    file = tmp_path / "settings.env"
    file.write_text(
        "NEUROVISION_MLFLOW_URL='http://mlflow:5000'\nNEUROVISION_DEFAULT_PROFILE='other'\nAWS_SECRET_ACCESS_KEY='a$b'\n"
    )
    monkeypatch.setenv("NEUROVISION_SETTINGS_FILE", str(file))
    settings = load_settings()
    assert settings.mlflow_url == "http://mlflow:5000"
    assert settings.default_profile == "research"
    assert require_secret("aws_secret_access_key") == "a$b"
    assert "a$b" not in repr(settings)


def test_a_secret_may_lie_in_a_file_of_its_own(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    unset(monkeypatch, "ANONYMIZATION_SALT")
    (tmp_path / "salt").write_text("a key of a hospital\n")
    monkeypatch.setenv("ANONYMIZATION_SALT_FILE", str(tmp_path / "salt"))
    load_settings()
    assert require_secret("anonymization_salt") == "a key of a hospital"


@pytest.mark.parametrize("name", ["NEUROVISION_SETTINGS_FILE", "PGPASSWORD_FILE", "NEUROVISION_DATABASE_URL_FILE"])
def test_a_file_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str):
    unset(monkeypatch, name.removesuffix("_FILE"))
    monkeypatch.setenv(name, str(tmp_path / "absent"))
    with pytest.raises(ConfigurationError, match=rf"^{name}: The file cannot be read .*absent"):
        load_settings()
