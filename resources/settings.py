"""The switchboard: everything that differs between a laptop and a hospital, read from the environment.

Belongs here: names, defaults and meanings of settings. Does not belong here: what is done with them. A secret has no
default; who needs it calls :func:`require_secret` and gets an error that names it. Every process reads them anew, so
that a secret stands in no run, record or resource that could be shown.
"""

from __future__ import annotations

import os
import re
from difflib import get_close_matches
from functools import cached_property
from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from resources.errors import ConfigurationError

REPOSITORY_ROOT = Path(__file__).resolve().parents[1]
PREFIX = "NEUROVISION_"
FILE_ENDING = "_FILE"
"""``PGPASSWORD_FILE`` names a file that holds what ``PGPASSWORD`` would: how containers are given their secrets."""
SECRET_VARIABLES = (
    "ANONYMIZATION_SALT",
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "PGPASSWORD",
    "NEUROVISION_DATABASE_URL",
    "NEUROVISION_DATABASE_REPLICA_URL",
    "NEUROVISION_DAGSTER_DATABASE_URL",
)
"""What may hold a secret: the names that programs of others read too, and URLs, in which a password may stand."""
MISSPELT_FROM = 0.8
"""Likeness of names from which an unknown variable counts as a misspelt one; others belong to the surroundings."""


class Settings(BaseSettings):
    """Settings of one deployment; every field is an environment variable ``NEUROVISION_<NAME>``, empty means unset."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, env_ignore_empty=True, frozen=True, extra="forbid")

    home: Path = Field(default=REPOSITORY_ROOT / "data", description="Folder of everything that is not code.")
    settings_file: str = Field(
        default="", description="File of NAME=value lines, secrets too, for what the environment does not set."
    )
    object_store_url: str = Field(
        default="", description="Where objects live: file:///path or s3://bucket/prefix; empty means the home folder."
    )
    s3_endpoint_url: str = Field(default="", description="S3 server of everything on s3://; empty means Amazon's.")
    s3_region: str = Field(default="us-east-1", description="Region that S3 requests are signed for.")
    s3_ca_file: str = Field(default="", description="Certificates that the S3 server's is checked with; empty: usual.")
    s3_encryption: Literal["", "AES256", "aws:kms"] = Field(
        default="", description="Server-side encryption asked for at every write; empty leaves it to the bucket."
    )
    upload_events: bool = Field(
        default=False, description="Listen to the MinIO server's bucket events besides looking into incoming/."
    )
    default_profile: str = Field(default="production", description="Profile of an upload that names none.")
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
    database_url: str = Field(
        default="", description="Application database, as SQLAlchemy spells it; empty means SQLite in the home folder."
    )
    database_replica_url: str = Field(
        default="", description="Read replica of the application database, for what may be some seconds old."
    )
    database_pool_size: int = Field(
        default=2, ge=1, description="Connections that one process keeps to a PostgreSQL database."
    )
    dagster_database_url: str = Field(
        default="", description="PostgreSQL of Dagster's runs, events, schedules; empty means SQLite in the home."
    )
    compute_logs_url: str = Field(
        default="", description="Where what runs print is kept: s3://bucket/prefix; empty means the home folder."
    )
    plan_runs_at_once: int = Field(default=1, ge=1, description="Runs of an approved plan that may go at once.")
    inference_engine: str = Field(
        default="onnxruntime", description="What computes the models: onnxruntime, in the process, or triton."
    )
    inference_threads: int = Field(default=0, ge=0, description="Threads of one model; 0 means one a core.")
    triton_url: str = Field(
        default="grpc://127.0.0.1:8001",
        description="Triton: grpc://host:8001, grpcs:// with TLS, or http://host:8000.",
    )
    triton_ca_file: str = Field(
        default="", description="Certificates that Triton's is checked with, for grpcs://; empty: usual."
    )
    triton_shared_memory: Literal["auto", "on", "off"] = Field(
        default="auto", description="Pictures through shared memory; auto means where Triton can map ours."
    )
    triton_deadline_s: float = Field(default=30.0, gt=0, description="Longest wait for one answer of Triton.")
    model_repository_url: str = Field(
        default="", description="Models that are served: s3://bucket/prefix; empty means a folder of the home."
    )
    dataset_remote_url: str = Field(
        default="", description="DVC's remote `storage`: s3://bucket/prefix or a folder; empty means the home folder."
    )
    training_preset: str = Field(default="laptop", description="Preset of training/params.yaml.")
    training_pod_file: Path | None = Field(
        default=None, description="YAML file of what a retraining's pod has besides, where Kubernetes starts runs."
    )
    mlflow_url: str = Field(default="", description="MLflow's server; empty means SQLite in the home folder.")

    @field_validator("home")
    @classmethod
    def _absolute(cls, home: Path) -> Path:
        """One folder, wherever the processes that read the setting are started."""
        return home.expanduser().absolute()

    @field_validator("upload_safe_name")
    @classmethod
    def _regular_expression(cls, pattern: str) -> str:
        try:
            re.compile(pattern)
        except re.error as error:
            raise ValueError(f"it is not a regular expression ({error})") from error
        return pattern

    @property
    def objects_url(self) -> str:
        """URL of the object store, the home folder when none is set."""
        return self.object_store_url or self.home.as_uri()

    @property
    def application_database(self) -> str:
        """URL of the application database, SQLite in the home folder when none is set."""
        return self.database_url or f"sqlite:///{self.home / 'application.db'}"

    @cached_property
    def model_repository(self) -> Path:
        """Runtime model repository, in Triton's layout."""
        return self.home / "models"

    @cached_property
    def datasets(self) -> Path:
        """The data sets' repository, git and DVC; never the code's."""
        return self.home / "datasets"

    @property
    def dataset_remote(self) -> str:
        """URL of DVC's remote, a folder of the home when none is set."""
        return self.dataset_remote_url or str(self.home / "dataset-remote")

    @property
    def mlflow_home(self) -> Path:
        """Database and artifacts of MLflow where there is no server."""
        return self.home / "mlflow"

    @cached_property
    def training(self) -> Path:
        """Candidates, checkpoints and fetched data of trainings."""
        return self.home / "training"

    @cached_property
    def warehouse(self) -> Path:
        """Folder of the marts' DuckDB file and of what dbt writes."""
        return self.home / "warehouse"

    @cached_property
    def user_profiles(self) -> Path:
        """Folder of the user's own analysis profiles."""
        return self.home / "profiles"


class Secrets(BaseSettings):
    """Secrets, from the environment or files that it names (``NAME_FILE``); none has a default that works."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore")

    anonymization_salt: SecretStr | None = Field(default=None, description="Key of patients' pseudonyms.")
    aws_access_key_id: SecretStr | None = Field(default=None, description="Key of the S3 server.")
    aws_secret_access_key: SecretStr | None = Field(default=None, description="Secret of that key.")
    pgpassword: SecretStr | None = Field(default=None, description="Password of PostgreSQL where a URL has none.")


def load_settings() -> Settings:
    """Read the settings.

    Raises:
        ConfigurationError: a variable has a value that cannot be used, or a misspelt name; it is named.
    """
    fill_environment()
    _refuse_misspelt_names()
    try:
        return Settings()
    except ValidationError as error:
        first = error.errors()[0]
        name = PREFIX + str(first["loc"][0]).upper()
        raise ConfigurationError(
            f"The setting cannot be used: {first['msg']}.", subject=name, remedy="Correct or unset it."
        ) from error


def fill_environment() -> None:
    """Put what files hold into the environment, where every program that is started finds it; what is set stays.

    Raises:
        ConfigurationError: a file that is named cannot be read.
    """
    if path := os.environ.get(f"{PREFIX}SETTINGS_FILE"):
        from dotenv import dotenv_values

        _read_secret(f"{PREFIX}SETTINGS_FILE", path)
        for name, value in dotenv_values(path, interpolate=False).items():
            if not os.environ.get(name):
                os.environ[name] = value or ""
    for name in SECRET_VARIABLES:
        path = os.environ.get(name + FILE_ENDING)
        if path and not os.environ.get(name):
            os.environ[name] = _read_secret(name + FILE_ENDING, path)


def _read_secret(variable: str, path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(
            f"The file cannot be read ({getattr(error, 'strerror', None) or 'it is not text'}): {path}.",
            subject=variable,
            remedy="Correct the path, or let this user read it.",
        ) from error


def _refuse_misspelt_names() -> None:
    """A typing error would otherwise be a setting that silently does nothing."""
    known = [field.upper() for field in Settings.model_fields]
    known += [name.removeprefix(PREFIX) + FILE_ENDING for name in SECRET_VARIABLES if name.startswith(PREFIX)]
    given = sorted(name.removeprefix(PREFIX) for name in os.environ if name.startswith(PREFIX))
    for name in given:
        meant = get_close_matches(name, known, n=1, cutoff=MISSPELT_FROM)
        if meant and name not in known:
            raise ConfigurationError(
                "There is no such setting.", subject=PREFIX + name, remedy=f"Did you mean {PREFIX}{meant[0]}?"
            )


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
