"""Whether a stored result still answers the question: computed from provenance, never from Dagster's freshness.

Belongs here: what a result stands on, and how that differs from what it would stand on now. Does not belong here:
running anything. Dagster reports a partitioned asset as fresh while its partitions are stale.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from pydantic import BaseModel, ConfigDict

from neurovision_assets.artifacts import ArtifactRecord
from neurovision_assets.provenance import Provenance


class Staleness(StrEnum):
    """Answers for one (asset, video_id)."""

    MISSING = "missing"
    UP_TO_DATE = "up to date"
    CODE = "stale because of code"
    MODEL = "stale because of model"
    INPUT = "stale because of input"
    CONFIG = "stale because of config"


class Basis(BaseModel):
    """What a result stands on.

    Attributes:
        code_version: of the stage.
        schema_version: of its main table.
        sampling_policy_version: how frames are chosen.
        stage_config_hash: of its parameters.
        inputs: data version by asset key.
        models: digest by model name.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    code_version: str
    schema_version: int
    sampling_policy_version: str
    stage_config_hash: str
    inputs: dict[str, str]
    models: dict[str, str]


def basis_of(provenance: Provenance) -> Basis:
    """What a stored result stood on."""
    return Basis(
        code_version=provenance.code_version,
        schema_version=provenance.schema_version,
        sampling_policy_version=provenance.sampling_policy_version,
        stage_config_hash=provenance.stage_config_hash,
        inputs=provenance.inputs,
        models={model.name: model.digest for model in provenance.models},
    )


def staleness(record: ArtifactRecord | None, now: Basis) -> Staleness:
    """How a stored result compares with what would be computed now; the most upstream reason is told first."""
    if record is None:
        return Staleness.MISSING
    return next(iter(differences(basis_of(record.provenance), now, now.inputs)), Staleness.UP_TO_DATE)


def differences(then: Basis, now: Basis, inputs: Mapping[str, str]) -> tuple[Staleness, ...]:
    """Every reason why a result no longer answers, the most upstream first.

    Args:
        then: what it stood on.
        now: what it would stand on; its inputs are not looked at.
        inputs: what they would be, data version by asset key.
    """
    reasons = (
        (Staleness.CODE, _code(then) == _code(now)),
        (Staleness.CONFIG, then.stage_config_hash == now.stage_config_hash),
        (Staleness.MODEL, then.models == now.models),
        (Staleness.INPUT, then.inputs == inputs),
    )
    return tuple(reason for reason, equal in reasons if not equal)


def is_young_enough(provenance: Provenance, ttl_days: float, now: datetime | None = None) -> bool:
    """Whether a repeated request may reuse the result (RS-017); age alone makes nothing stale."""
    return (now or datetime.now(UTC)) - provenance.finished < timedelta(days=ttl_days)


def _code(basis: Basis) -> tuple[str, int, str]:
    return basis.code_version, basis.schema_version, basis.sampling_policy_version
