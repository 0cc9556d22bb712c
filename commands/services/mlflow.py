"""MLflow's server as one process of this machine, with its workers.

Belongs here: its database, where its artifacts lie, its port. Does not belong here: what is logged
(``resources.model_registry``).
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar

from commands.services.server import HOST, LocalServer, answers, free_port


class MlflowServer(LocalServer):
    """Experiments, runs and registered models; clients send artifacts through it and need no key of the store.

    Args:
        folder: of its log.
        database_url: SQLAlchemy's, ``postgresql+psycopg2://…`` or ``sqlite:///…``.
        artifacts: where it puts artifacts, a folder or ``s3://bucket/prefix``.
        s3_endpoint_url: of the S3 server; its keys are those of the environment.
        variables: further ones, the keys of the S3 server among them.
        port: a free one when None.
    """

    name: ClassVar[str] = "mlflow"
    start_wait_s: ClassVar[float] = 300.0  # it imports for ten seconds on an idle machine

    def __init__(
        self,
        folder: Path,
        *,
        database_url: str,
        artifacts: str,
        s3_endpoint_url: str = "",
        variables: Mapping[str, str] | None = None,
        port: int | None = None,
    ) -> None:
        super().__init__(folder)
        self.port = port or free_port()
        self._database_url = database_url
        self._artifacts = artifacts
        self._s3_endpoint_url = s3_endpoint_url
        self._variables = dict(variables or {})

    @property
    def url(self) -> str:
        """What ``NEUROVISION_MLFLOW_URL`` is set to."""
        return f"http://{HOST}:{self.port}"

    def command(self) -> Sequence[str | Path]:
        """The server; what holds a password is given by the environment, where ``ps`` does not show it."""
        return [sys.executable, "-m", "mlflow", "server", "--host", HOST, "--port", str(self.port), "--workers", "1"]

    def environment(self) -> Mapping[str, str]:
        """Where it keeps things; without the job workers it needs half of the memory."""
        store = {"MLFLOW_S3_ENDPOINT_URL": self._s3_endpoint_url} if self._s3_endpoint_url else {}
        return {
            **self._variables,
            **store,
            "MLFLOW_BACKEND_STORE_URI": self._database_url,
            "MLFLOW_ARTIFACTS_DESTINATION": self._artifacts,
            "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        }

    def is_ready(self) -> bool:
        """Whether it answers."""
        return answers(f"{self.url}/health")
