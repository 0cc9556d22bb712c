"""What made an artifact: one frozen record, in Dagster's metadata and inside the artifact.

Belongs here: the record and the canonical hash of configurations. Does not belong here: deciding what is stale
(``neurovision_assets.staleness``).
"""

from __future__ import annotations

import hashlib
import json
from datetime import datetime
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from pydantic import BaseModel, ConfigDict

PROVENANCE_METADATA_KEY = "neurovision.provenance"


class ModelUse(BaseModel):
    """A model that took part.

    Attributes:
        name: name in the repository.
        version: version folder.
        release: semantic version.
        digest: SHA-256 of the model file.
        engine: what computed it.
        precision: of its inputs.
        data_revision: DVC revision of its training data, None where the model does not say.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    version: int
    release: str
    digest: str
    engine: str
    precision: str
    data_revision: str | None = None

    @property
    def label(self) -> str:
        """``name@release``, the data version of the model's asset."""
        return f"{self.name}@{self.release}"


class Provenance(BaseModel):
    """One record an artifact (DESIGN §3).

    Attributes:
        asset: asset key, ``surgery/phases``.
        video_id: the partition.
        run_id: the caller's id, else Dagster's.
        dagster_run_id: the run in Dagster.
        profile: name of the analysis profile.
        config_hash: canonical hash of the whole profile (RS-013).
        stage_config_hash: canonical hash of this stage's part.
        sampling_policy_version: how frames are chosen.
        dataprocessor_version: version of this code base, never of a model (RS-100).
        code_version: version of this stage's code.
        schema_version: version of the main table's contract.
        inputs: data version of every artifact that was read, by asset key.
        models: models that took part.
        device: where it computed.
        started: UTC.
        finished: UTC.
        duration_ms: wall time of the computation.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    asset: str
    video_id: str
    run_id: str
    dagster_run_id: str
    profile: str
    config_hash: str
    stage_config_hash: str
    sampling_policy_version: str
    dataprocessor_version: str
    code_version: str
    schema_version: int
    inputs: dict[str, str]
    models: tuple[ModelUse, ...]
    device: str
    started: datetime
    finished: datetime
    duration_ms: int


def canonical_json(value: Any) -> str:
    """The one spelling of a configuration: keys sorted, no spaces, defaults filled in by the caller, floats as in JSON.

    ``1`` and ``1.0`` are spelt alike when the configuration's field is a float, because pydantic has made it one.
    """
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def config_hash(value: Any) -> str:
    """SHA-256 of the canonical spelling, 64 hex digits."""
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()


def dataprocessor_version() -> str:
    """Version of the installed code base.

    Returns:
        The package's version, or ``source`` when it runs from a folder that was never installed.
    """
    try:
        return version("neurovision")
    except PackageNotFoundError:
        return "source"
