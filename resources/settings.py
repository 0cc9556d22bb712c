"""The switchboard: everything that differs between a laptop and a hospital, read from the environment.

Belongs here: names, defaults and meanings of settings. Does not belong here: what is done with them. A secret has no
default; who needs it calls :func:`require_secret` and gets an error that names it.
"""

from __future__ import annotations

import os
from functools import cached_property
from pathlib import Path

from pydantic import Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from resources.errors import ConfigurationError

REPOSITORY_ROOT = Path(__file__).resolve().parents[1]


class Settings(BaseSettings):
    """Settings of one deployment; every field is an environment variable ``NEUROVISION_<NAME>``."""

    model_config = SettingsConfigDict(env_prefix="NEUROVISION_", frozen=True, extra="forbid")

    home: Path = Field(default=REPOSITORY_ROOT / "data", description="Folder of everything that is not code.")
    object_store_url: str = Field(default="", description="Where objects live; empty means the home folder.")
    default_profile: str = Field(default="production", description="Profile of an upload that names none.")
    report_languages: tuple[str, ...] = Field(default=("en", "ru"), description="Languages a report is made in.")
    upload_safe_name: str = Field(
        default=r"operation_\d+", description="File names that may become the label of a video_id (full match)."
    )
    upload_settle_s: float = Field(default=3.0, ge=0, description="An upload unchanged for this long is complete.")
    upload_sidecar_wait_s: float = Field(
        default=10.0, ge=0, description="How long a video waits for its sidecar before it is processed without."
    )
    upload_max_bytes: int | None = Field(default=None, gt=0, description="Largest upload; none for the folder.")
    uploads_per_tick: int = Field(default=20, ge=1, le=100, description="Runs requested in one sensor tick.")
    sensor_interval_s: int = Field(default=5, ge=1, description="Pause between two looks at incoming/.")
    inference_engine: str = Field(default="onnxruntime", description="What computes the models.")
    inference_threads: int = Field(default=0, ge=0, description="Threads of one model; 0 means one a core.")

    @property
    def objects_url(self) -> str:
        """URL of the object store, the home folder when none is set."""
        return self.object_store_url or self.home.absolute().as_uri()

    @cached_property
    def model_repository(self) -> Path:
        """Runtime model repository, in Triton's layout."""
        return self.home / "models"

    @cached_property
    def user_profiles(self) -> Path:
        """Folder of the user's own analysis profiles."""
        return self.home / "profiles"


class Secrets(BaseSettings):
    """Secrets, from the environment only; none has a default that works."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore")

    anonymization_salt: SecretStr | None = Field(default=None, description="Key of patients' pseudonyms.")


def load_settings() -> Settings:
    """Read the settings.

    Raises:
        ConfigurationError: a variable has a value that cannot be used; it is named.
    """
    try:
        return Settings()
    except ValidationError as error:
        first = error.errors()[0]
        name = "NEUROVISION_" + "_".join(str(part) for part in first["loc"]).upper()
        raise ConfigurationError(
            f"The setting cannot be used: {first['msg']}.", subject=name, remedy="Correct or unset it."
        ) from error


def require_secret(name: str) -> str:
    """The value of a secret.

    Raises:
        ConfigurationError: it is not set; the variable is named.
    """
    secret = getattr(Secrets(), name)
    if secret is None or not secret.get_secret_value():
        raise ConfigurationError(
            "The secret is not set.",
            subject=name.upper(),
            remedy=f"Put {name.upper()} into the environment; there is no default.",
        )
    return str(secret.get_secret_value())


def home_from_environment() -> Path:
    """The data home without reading the rest, for scripts that only need to know where files lie."""
    return Path(os.environ.get("NEUROVISION_HOME", REPOSITORY_ROOT / "data"))
