"""Back to an earlier version, in one step.

Belongs here: the step. Does not belong here: which results are stale after it (``reprocessing``).
"""

from __future__ import annotations

from neurovision_assets.training.kinds import ModelKind
from neurovision_assets.training.promotion.aliases import repair_aliases
from resources.inference.releases import restore
from resources.inference.repository import ModelRepository
from resources.inference.spec import ModelIdentity
from resources.model_registry import ModelRegistry


def roll_back(
    kind: ModelKind, served: ModelRepository, registry: ModelRegistry, version: int | None = None
) -> ModelIdentity:
    """Serve an earlier version again and let MLflow's aliases follow.

    Args:
        kind: of model.
        served: the runtime repository.
        registry: MLflow.
        version: number of the version; the newest with another file when none is named.

    Returns:
        What is served now.

    Raises:
        ConfigurationError: there is no such earlier version.
        TransientFailure: MLflow does not answer; the model is rolled back, and the alias follows at the next look.
    """
    restore(served, kind.model, version)
    repair_aliases(kind, served, registry)
    return served.describe(kind.model).identity
