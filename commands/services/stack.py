"""The servers of production as one set on this machine: which, where, with which secrets.

Belongs here: ports and secrets, made once and kept; the servers in the order in which they need each other; the
settings that lead the platform to them. Does not belong here: a single server (modules of their own), what people are
told (``commands.up_services``).
"""

from __future__ import annotations

import secrets
from functools import cached_property
from pathlib import Path
from typing import Final

from pydantic import BaseModel, ConfigDict, Field

from commands.services.mlflow import MlflowServer
from commands.services.postgres import Postgres
from commands.services.seaweedfs import Identity, SeaweedFs
from commands.services.server import LocalServer, free_port
from commands.services.triton import TritonServer
from resources.settings import PREFIX

BUCKET: Final = "neurovision"
DATABASES: Final = ("neurovision", "dagster", "mlflow")
REGION: Final = "us-east-1"


def _secret() -> str:
    return secrets.token_urlsafe(24)


class Choices(BaseModel):
    """What is chosen at the first start and stays: else every start would be another deployment."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    postgres_port: int = Field(default_factory=free_port)
    s3_port: int = Field(default_factory=lambda: _free_below(50_000))
    triton_grpc_port: int = Field(default_factory=free_port)
    triton_http_port: int = Field(default_factory=free_port)
    triton_metrics_port: int = Field(default_factory=free_port)
    mlflow_port: int = Field(default_factory=free_port)
    database_password: str = Field(default_factory=_secret)
    s3_key: str = Field(default_factory=lambda: secrets.token_hex(10))
    s3_secret: str = Field(default_factory=_secret)
    s3_encryption_secret: str = Field(default_factory=_secret)


class Stack:
    """PostgreSQL, SeaweedFS, MLflow and Triton below one folder.

    Args:
        folder: of their data, logs and secrets; nobody else may read the files with secrets.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @property
    def settings_file(self) -> Path:
        """What ``NEUROVISION_SETTINGS_FILE`` is set to."""
        return self.folder / "settings.env"

    @property
    def platform_home(self) -> Path:
        """The platform's own home: one that stands on servers shares nothing with one that does not."""
        return self.folder / "platform"

    @cached_property
    def choices(self) -> Choices:
        """Ports and secrets, made and written at the first look."""
        path = self.folder / "choices.json"
        if path.is_file():
            return Choices.model_validate_json(path.read_bytes())
        self.folder.mkdir(parents=True, exist_ok=True)
        made = Choices()
        write_privately(path, made.model_dump_json(indent=1))
        return made

    @cached_property
    def postgres(self) -> Postgres:
        """For Dagster, the application and MLflow."""
        return Postgres(
            self.folder / "postgres", password=self.choices.database_password, port=self.choices.postgres_port
        )

    @cached_property
    def store(self) -> SeaweedFs:
        """For objects, models, data sets, artifacts and logs."""
        platform = Identity("platform", self.choices.s3_key, self.choices.s3_secret)
        return SeaweedFs(
            self.folder / "seaweedfs",
            [platform],
            port=self.choices.s3_port,
            encryption_key=self.choices.s3_encryption_secret,
        )

    @cached_property
    def mlflow(self) -> MlflowServer:
        """Needs the two before it."""
        return MlflowServer(
            self.folder / "mlflow",
            database_url=self.postgres.url("mlflow"),
            artifacts=f"s3://{BUCKET}/mlflow",
            s3_endpoint_url=self.store.url,
            variables=self._keys,
            port=self.choices.mlflow_port,
        )

    @cached_property
    def triton(self) -> TritonServer:
        """Reads its models from the store."""
        return TritonServer(
            self.folder / "triton",
            f"s3://{self.store.url}/{BUCKET}/models",
            load=(),
            variables={**self._keys, "AWS_DEFAULT_REGION": REGION},
            grpc_port=self.choices.triton_grpc_port,
            http_port=self.choices.triton_http_port,
            metrics_port=self.choices.triton_metrics_port,
        )

    @property
    def servers(self) -> list[LocalServer]:
        """In the order of a start."""
        return [self.postgres, self.store, self.mlflow, self.triton]

    def settings(self) -> dict[str, str]:
        """Environment variables that make a platform stand on these servers."""
        of_platform = {
            "HOME": str(self.platform_home),
            "OBJECT_STORE_URL": f"s3://{BUCKET}/objects",
            "S3_ENDPOINT_URL": self.store.url,
            "S3_REGION": REGION,
            "COMPUTE_LOGS_URL": f"s3://{BUCKET}/compute-logs",
            "DATASET_REMOTE_URL": f"s3://{BUCKET}/data-sets",
            "MODEL_REPOSITORY_URL": f"s3://{BUCKET}/models",
            "DATABASE_URL": self.postgres.url("neurovision"),
            "DAGSTER_DATABASE_URL": self.postgres.url("dagster"),
            "MLFLOW_URL": self.mlflow.url,
            "INFERENCE_ENGINE": "triton",
            "TRITON_URL": self.triton.grpc_url,
        }
        return {**{PREFIX + name: value for name, value in of_platform.items()}, **self._keys}

    def write_settings(self) -> Path:
        """The settings as a file of NAME=value lines that only this user can read."""
        lines = [f"{name}='{value}'" for name, value in self.settings().items()]
        write_privately(self.settings_file, "\n".join(lines) + "\n")
        return self.settings_file

    @property
    def _keys(self) -> dict[str, str]:
        return {"AWS_ACCESS_KEY_ID": self.choices.s3_key, "AWS_SECRET_ACCESS_KEY": self.choices.s3_secret}


def write_privately(path: Path, text: str) -> None:
    """Replace a file that holds secrets; at no moment may others read it."""
    temporary = path.with_name(f".{path.name}.new")
    temporary.unlink(missing_ok=True)
    temporary.touch(mode=0o600)
    temporary.write_text(text, encoding="utf-8")
    temporary.replace(path)


def _free_below(limit: int) -> int:
    """SeaweedFS also listens 10,000 ports higher."""
    while (port := free_port()) >= limit:
        pass
    return port
