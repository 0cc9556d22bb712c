"""The models that are served, as assets upstream of what they predict.

Belongs here: one unpartitioned asset a model of the seed, and what the graph is told of the one that is served now; its
data version is ``name@version``. Does not belong here: when it is told (``sensors/served_models``, ``commands/run``),
training and promotion. Nothing is computed for such an asset, so no run makes it: what is served is only written down.
"""

import dagster as dg

from neurovision_assets.stage.lineage import CODE_VERSION_TAG, DATA_VERSION_TAG, USER_PROVIDED_TAG
from neurovision_assets.stage.spec import PIPELINE_OWNER, REGISTRY
from neurovision_assets.training.kinds import KINDS, PROMOTION
from resources.inference.client import InferenceResource

DIGEST_METADATA = "digest"
CODE_VERSION = "2"
DEFAULT_MODELS = {
    "feature_extractor": "Turns a picture into 2048 figures, for phases and for telling unfamiliar pictures.",
    "phase_segmenter": "Tells the phase of the operation at every moment from the whole sequence of features.",
    "instrument_detector": "Finds the seven Cholec80 instruments with boxes.",
    "anatomy_segmenter": "Finds eight classes of tissue, pixel by pixel.",
}


def model_key(name: str) -> dg.AssetKey:
    """Dagster's key of a served model."""
    return dg.AssetKey([REGISTRY, name])


def served_model(inference: InferenceResource, name: str) -> dg.AssetMaterialization:
    """What the runtime repository serves under a name now.

    Raises:
        ConfigurationError: the model is missing or only half there.
    """
    spec = inference.models.describe(name)
    identity = spec.identity
    return dg.AssetMaterialization(
        model_key(name),
        tags={DATA_VERSION_TAG: identity.label, CODE_VERSION_TAG: CODE_VERSION, USER_PROVIDED_TAG: "true"},
        metadata={
            "name": identity.name,
            "version": identity.version,
            "release": identity.release,
            DIGEST_METADATA: identity.digest,
            "inputs": dg.MetadataValue.json({key: list(tensor.dims) for key, tensor in spec.inputs.items()}),
            "outputs": dg.MetadataValue.json({key: list(tensor.dims) for key, tensor in spec.outputs.items()}),
            "labels": dg.MetadataValue.json(list(spec.labels)),
            "parameters": dg.MetadataValue.json(dict(spec.parameters)),
        },
    )


def is_told(inference: InferenceResource, name: str, instance: dg.DagsterInstance) -> bool:
    """Whether the graph knows the model that is served now."""
    event = instance.get_latest_materialization_event(model_key(name))
    told = event.asset_materialization if event else None
    if told is None or DIGEST_METADATA not in told.metadata:
        return False
    now = inference.pin(name).identity
    known = ((told.tags or {}).get(DATA_VERSION_TAG), told.metadata[DIGEST_METADATA].value)
    return known == (now.label, now.digest)


registry_assets = [
    dg.AssetSpec(
        model_key(name),
        deps=[PROMOTION] if name in KINDS else [],
        group_name="registry",
        owners=[PIPELINE_OWNER],
        kinds={"onnx"},
        description=description,
        code_version=CODE_VERSION,
    )
    for name, description in DEFAULT_MODELS.items()
]
