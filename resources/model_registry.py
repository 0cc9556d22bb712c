"""MLflow 3: experiments, runs, registered models and their aliases.

Belongs here: the calls, and what a server that does not answer means. Does not belong here: when something is logged or
promoted (``neurovision_assets/training``). MLflow 3 has aliases where older texts say stages: ``staging``,
``production`` and ``archived-1-0-0`` (an alias may hold no dots). Importing MLflow costs seconds, so only functions do.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self

import dagster as dg

from resources.errors import ConfigurationError, PermanentFailure, TransientFailure
from resources.settings import Settings

STAGING: Final = "staging"
PRODUCTION: Final = "production"
ARCHIVED: Final = "archived-"
RELEASE_TAG: Final = "release"
DIGEST_TAG: Final = "digest"
MODEL_ARTIFACT: Final = "model"
MISSING: Final = "RESOURCE_DOES_NOT_EXIST"
PRESENT: Final = "RESOURCE_ALREADY_EXISTS"
PATIENCE: Final = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2", "MLFLOW_HTTP_REQUEST_TIMEOUT": "30"}
"""MLflow's own patience with a stopped server is several minutes a call."""


@dataclass(frozen=True)
class RegisteredVersion:
    """One version of a registered model.

    Attributes:
        name: of the registered model.
        number: MLflow's own.
        release: semantic version, ``1.1.0``.
        digest: SHA-256 of the model file.
        run_id: the MLflow run that made it, empty where none did.
        aliases: that point to it.
    """

    name: str
    number: int
    release: str
    digest: str
    run_id: str
    aliases: tuple[str, ...]


class ModelRegistry(dg.ConfigurableResource):  # type: ignore[type-arg]
    """One MLflow, a server or a SQLite file.

    Args:
        tracking_uri: ``http://…``, or ``sqlite:///…`` without a server.
        experiment_name: of runs that name none.
        artifacts: folder of pictures and models; empty leaves it to the server.
    """

    tracking_uri: str = "http://mlflow-server:5000"
    experiment_name: str = "default"
    artifacts: str = ""

    @classmethod
    def of(cls, settings: Settings) -> ModelRegistry:
        """The one of a deployment: its server, else SQLite and a folder."""
        if settings.mlflow_url:
            return cls(tracking_uri=settings.mlflow_url)
        home = settings.mlflow_home
        return cls(tracking_uri=f"sqlite:///{home / 'mlflow.db'}", artifacts=str(home / "artifacts"))

    def client(self) -> Any:
        """MLflow's client.

        Raises:
            ConfigurationError: MLflow is not installed.
            TransientFailure: the server does not answer.
        """
        for name, value in PATIENCE.items():
            os.environ.setdefault(name, value)
        try:
            import mlflow
        except ImportError as error:
            raise ConfigurationError(
                "MLflow is not installed.",
                subject="training",
                remedy="Install the set learn: sh scripts/setup.sh learn.",
            ) from error
        if self.tracking_uri.startswith("sqlite:///"):
            Path(self.tracking_uri.removeprefix("sqlite:///")).parent.mkdir(parents=True, exist_ok=True)
        with self.answering():
            mlflow.set_tracking_uri(self.tracking_uri)
            return mlflow.MlflowClient(tracking_uri=self.tracking_uri)

    @contextmanager
    def answering(self) -> Iterator[None]:
        """Say of every failure inside which server it is.

        Raises:
            TransientFailure: in place of MLflow's own errors.
        """
        from mlflow.exceptions import MlflowException
        from sqlalchemy.exc import SQLAlchemyError

        try:
            yield
        except (MlflowException, SQLAlchemyError, OSError) as error:
            raise TransientFailure(
                f"MLflow failed: {str(error).splitlines()[0][:300].rstrip('.')}.",
                subject=self.tracking_uri,
                remedy="Start it, or name another (NEUROVISION_MLFLOW_URL); then start the run again.",
            ) from error

    def start_run(
        self, run_name: str, tags: Mapping[str, str] | None = None, experiment: str | None = None
    ) -> TrackedRun:
        """Start a named run (NV-040); close it with ``end_run``, or use it as a context."""
        client = self.client()
        with self.answering():
            experiment_id = self._experiment(client, experiment or self.experiment_name)
            run = client.create_run(experiment_id, tags=dict(tags or {}), run_name=run_name)
        return TrackedRun(self, client, run.info.run_id)

    def open_run(self, run_id: str) -> TrackedRun:
        """A run that was started before, to add to it."""
        return TrackedRun(self, self.client(), run_id)

    def abandon_runs(self, experiment: str, tags: Mapping[str, str]) -> list[str]:
        """Close runs that still count as running though nobody works on them: their process was killed.

        Returns:
            Their ids.
        """
        client = self.client()
        query = " and ".join(["attributes.status = 'RUNNING'", *(f"tags.`{name}` = '{tags[name]}'" for name in tags)])
        with self.answering():
            found = client.search_runs([self._experiment(client, experiment)], query)
            for run in found:
                client.set_terminated(run.info.run_id, "KILLED")
        return [run.info.run_id for run in found]

    def register(
        self, name: str, run_id: str, *, release: str, digest: str, tags: Mapping[str, str], known_as: Mapping[str, str]
    ) -> RegisteredVersion:
        """Make a version of the model that a run logged, and let ``staging`` point to it (NV-054).

        Args:
            name: of the registered model; made where it is new.
            run_id: the run whose artifact ``model`` it is.
            release: semantic version.
            digest: of the model file.
            tags: of the version.
            known_as: tags of the registered model.
        """
        client = self.client()
        with self.answering():
            self._ensure_model(client, name, known_as)
            logged = [one.model_id for one in client.get_run(run_id).outputs.model_outputs]
            made = client.create_model_version(
                name,
                source=f"models:/{logged[-1]}",
                run_id=run_id,
                tags={**tags, RELEASE_TAG: f"v{release}", DIGEST_TAG: digest},
                model_id=logged[-1],
            )
            client.set_registered_model_alias(name, STAGING, made.version)
        return next(one for one in self.versions(name) if one.number == int(made.version))

    def versions(self, name: str) -> list[RegisteredVersion]:
        """All versions of a registered model, oldest first."""
        client = self.client()
        with self.answering():
            if self._registered(client, name) is None:
                return []
            aliases: dict[int, list[str]] = {}
            for alias, number in client.get_registered_model(name).aliases.items():
                aliases.setdefault(int(number), []).append(alias)
            found = client.search_model_versions(f"name = '{name}'")
        made = [
            RegisteredVersion(
                name=name,
                number=int(one.version),
                release=one.tags.get(RELEASE_TAG, "").removeprefix("v"),
                digest=one.tags.get(DIGEST_TAG, ""),
                run_id=one.run_id or "",
                aliases=tuple(sorted(aliases.get(int(one.version), ()))),
            )
            for one in found
        ]
        return sorted(made, key=lambda one: one.number)

    def promote_model(self, model_name: str, version: int, stage: str = PRODUCTION) -> None:
        """Let a stage's alias point to a version; one that production leaves is archived (NV-046). Safe to repeat.

        Raises:
            PermanentFailure: there is no such version.
        """
        stage = stage.lower()
        known = self.versions(model_name)
        chosen = next((one for one in known if one.number == version), None)
        if chosen is None:
            raise PermanentFailure(
                f"Version {version} is not registered.", subject=model_name, remedy=f"There are {len(known)} versions."
            )
        client = self.client()
        with self.answering():
            for one in known:
                if stage == PRODUCTION and PRODUCTION in one.aliases and one != chosen:
                    client.set_registered_model_alias(model_name, archived_alias(one.release), str(one.number))
            client.set_registered_model_alias(model_name, stage, str(version))
            for alias in chosen.aliases:
                if stage == PRODUCTION and (alias == STAGING or alias.startswith(ARCHIVED)):
                    client.delete_registered_model_alias(model_name, alias)

    def tag_version(self, version: RegisteredVersion, tags: Mapping[str, str]) -> None:
        """Add tags to a version."""
        client = self.client()
        with self.answering():
            for name, value in tags.items():
                client.set_model_version_tag(version.name, str(version.number), name, value)

    def in_stage(self, model_name: str, stage: str = PRODUCTION) -> RegisteredVersion | None:
        """The version that an alias points to, None where it points to none."""
        return next((one for one in self.versions(model_name) if stage in one.aliases), None)

    def get_production_model(self, model_name: str) -> Any:
        """The promoted model as an ``onnx.ModelProto`` (NV-047).

        Raises:
            TransientFailure: it was never promoted, or the server does not answer.
        """
        self.client()
        import mlflow.onnx

        with self.answering():
            return mlflow.onnx.load_model(f"models:/{model_name}@{PRODUCTION}")

    def _experiment(self, client: Any, name: str) -> str:
        found = client.get_experiment_by_name(name)
        if found is None:
            location = (Path(self.artifacts) / name).as_uri() if self.artifacts else None
            return str(client.create_experiment(name, artifact_location=location))
        return str(found.experiment_id)

    def _registered(self, client: Any, name: str) -> Any:
        from mlflow.exceptions import MlflowException

        try:
            return client.get_registered_model(name)
        except MlflowException as error:
            if error.error_code == MISSING:
                return None
            raise

    def _ensure_model(self, client: Any, name: str, tags: Mapping[str, str]) -> None:
        from mlflow.exceptions import MlflowException

        try:
            client.create_registered_model(name, tags=dict(tags))
        except MlflowException as error:
            if error.error_code != PRESENT:
                raise


@dataclass(frozen=True)
class TrackedRun:
    """One open run in MLflow."""

    registry: ModelRegistry
    client: Any
    run_id: str

    def __enter__(self) -> Self:
        """Give the run itself."""
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """Close the run; one that fails because MLflow is gone is closed by the next training."""
        if kind is None:
            self.end_run()
        elif not issubclass(kind, TransientFailure):
            self.end_run("FAILED")

    def log_params(self, params: Mapping[str, Any]) -> None:
        """Store parameters (NV-041)."""
        with self.registry.answering():
            for name, value in params.items():
                self.client.log_param(self.run_id, name, value)

    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Store metrics, one point a call and name (NV-042)."""
        with self.registry.answering():
            for name, value in metrics.items():
                self.client.log_metric(self.run_id, name, value, step=step)

    def set_tags(self, tags: Mapping[str, str]) -> None:
        """Store tags."""
        with self.registry.answering():
            for name, value in tags.items():
                self.client.set_tag(self.run_id, name, value)

    def log_artifact(self, local_path: Path, artifact_path: str | None = None) -> None:
        """Store a file (NV-044)."""
        with self.registry.answering():
            self.client.log_artifact(self.run_id, str(local_path), artifact_path)

    def log_model(self, model: Path, artifact_path: str = MODEL_ARTIFACT, requirements: Sequence[str] = ()) -> None:
        """Store an ONNX file as a model (NV-043); ``ModelRegistry.register`` makes a version of it."""
        import mlflow
        import mlflow.onnx
        import onnx

        with self.registry.answering(), mlflow.start_run(run_id=self.run_id):
            mlflow.onnx.log_model(
                onnx.load(str(model)),
                name=artifact_path,
                signature=_signature(model),
                pip_requirements=list(requirements) or ["onnxruntime"],
                save_as_external_data=False,
            )

    def end_run(self, status: str = "FINISHED") -> None:
        """Close the run (NV-045)."""
        with self.registry.answering():
            self.client.set_terminated(self.run_id, status)


def archived_alias(release: str) -> str:
    """Alias of a release that production has left: ``archived-1-0-0``."""
    return ARCHIVED + release.replace(".", "-")


def next_release(known: Sequence[str]) -> str:
    """The release after those that are known: a new model of the same contract is a new minor version."""
    numbers = [tuple(int(part) for part in release.split(".")) for release in known if release]
    major, minor, _ = max(numbers, default=(1, -1, 0))
    return f"{major}.{minor + 1}.0"


def _signature(model: Path) -> Any:
    """Inputs and outputs as the file declares them; a size of any length is −1."""
    import numpy as np
    import onnxruntime
    from mlflow.models import ModelSignature
    from mlflow.types import Schema, TensorSpec

    types = {"tensor(float)": np.float32, "tensor(int32)": np.int32, "tensor(int64)": np.int64}
    session = onnxruntime.InferenceSession(str(model), providers=["CPUExecutionProvider"])
    sides = [
        Schema(
            [
                TensorSpec(np.dtype(types[node.type]), [d if isinstance(d, int) else -1 for d in node.shape], node.name)
                for node in nodes
            ]
        )
        for nodes in (session.get_inputs(), session.get_outputs())
    ]
    return ModelSignature(inputs=sides[0], outputs=sides[1])
