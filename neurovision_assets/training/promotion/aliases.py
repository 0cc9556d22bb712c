"""MLflow's aliases follow what is served.

Belongs here: bringing ``production`` to the version that the runtime repository serves, also after a crash between the
two. Does not belong here: what is served (``resources/inference/releases``), which is the truth.
"""

from __future__ import annotations

from models.contracts import EXTRACTOR, SEGMENTER
from neurovision_assets.training.kinds import ModelKind
from resources.inference.repository import ModelRepository
from resources.model_registry import ModelRegistry, RegisteredVersion

SEED_RUN = "seed"


def repair_aliases(kind: ModelKind, served: ModelRepository, registry: ModelRegistry) -> RegisteredVersion:
    """Let ``production`` point to the served version; a model that came with the code is registered at its first look.

    Returns:
        The version that is served, as MLflow knows it now.
    """
    digest = served.describe(kind.model).identity.digest
    known = next((one for one in registry.versions(kind.model) if one.digest == digest), None)
    if known is None:
        known = _register_seed(kind, served, registry)
    if "production" not in known.aliases:
        registry.promote_model(kind.model, known.number)
    return known


def _register_seed(kind: ModelKind, served: ModelRepository, registry: ModelRegistry) -> RegisteredVersion:
    spec = served.describe(kind.model)
    identity = spec.identity
    tags = {"origin": "came with the code"}
    if kind.model == SEGMENTER:
        tags["feature_extractor_digest"] = served.describe(EXTRACTOR).identity.digest
    with registry.start_run(f"{SEED_RUN}_{identity.release}", tags, kind.model_type) as run:
        run.log_model(served.file(kind.model, identity.version))
    return registry.register(
        kind.model, run.run_id, release=identity.release, digest=identity.digest, tags=tags, known_as=kind.known_as
    )
