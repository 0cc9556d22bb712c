"""The models that are served, as assets upstream of what they predict.

Belongs here: one unpartitioned asset a model of the seed, its data version ``name@version``. Does not belong here:
training and promotion. Materializing one looks into the runtime repository and tells what it serves now.
"""

import dagster as dg

from neurovision_assets.stage.spec import PIPELINE_OWNER, REGISTRY

DIGEST_METADATA = "digest"
DEFAULT_MODELS = {
    "feature_extractor": "Turns a picture into 2048 figures, for phases and for telling unfamiliar pictures.",
    "phase_segmenter": "Tells the phase of the operation at every moment from the whole sequence of features.",
    "instrument_detector": "Finds the seven Cholec80 instruments with boxes.",
    "anatomy_segmenter": "Finds eight classes of tissue, pixel by pixel.",
}


def registry_asset(name: str, description: str) -> dg.AssetsDefinition:
    """The asset of one served model."""

    @dg.asset(
        key=[REGISTRY, name],
        group_name="registry",
        owners=[PIPELINE_OWNER],
        kinds={"onnx"},
        description=description,
        code_version="1",
        required_resource_keys={"inference"},
    )
    def served_model(context: dg.AssetExecutionContext) -> dg.MaterializeResult[None]:
        spec = context.resources.inference.model(name).spec
        identity = spec.identity
        return dg.MaterializeResult(
            data_version=dg.DataVersion(identity.label),
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

    return served_model


registry_assets = [registry_asset(name, description) for name, description in DEFAULT_MODELS.items()]
