"""What a model promises: names, types and shapes of its tensors, read from Triton's ``config.pbtxt``.

Belongs here: the parsed promise and checks against it. Does not belong here: finding files (``repository``), running
(``onnx_engine``). Source of the format: Triton Inference Server, model configuration.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from resources.errors import ConfigurationError, PermanentFailure

if TYPE_CHECKING:
    from numpy.typing import NDArray


NUMPY_TYPES: Mapping[str, type[np.generic]] = {
    "TYPE_FP32": np.float32,
    "TYPE_FP16": np.float16,
    "TYPE_INT32": np.int32,
    "TYPE_INT64": np.int64,
    "TYPE_UINT8": np.uint8,
    "TYPE_BOOL": np.bool_,
}
ANY_SIZE = -1
VARIANTS_FOLDER = "configs"
"""Where Triton keeps further configurations of a model, chosen with ``--model-config-name``."""


@dataclass(frozen=True)
class TensorSpec:
    """One input or output; ``dims`` are without the batch dimension, −1 stands for any size."""

    name: str
    dtype: type[np.generic]
    dims: tuple[int, ...]


@dataclass(frozen=True)
class ModelIdentity:
    """Which model exactly: what a run pins and an answer is checked against.

    Attributes:
        name: name in the repository.
        version: number of the version folder.
        release: semantic version that people use.
        digest: SHA-256 of the model file.
    """

    name: str
    version: int
    release: str
    digest: str

    @property
    def label(self) -> str:
        """``name@release``, the data version of the model's asset."""
        return f"{self.name}@{self.release}"


@dataclass(frozen=True)
class ModelSpec:
    """The whole promise of one model version.

    Attributes:
        identity: name, version, release and digest.
        max_batch_size: most items in one request; 0 means that the model has no batch dimension.
        inputs: by name.
        outputs: by name.
        labels: class names by class id, empty where the model has none.
        parameters: the config's string parameters.
    """

    identity: ModelIdentity
    max_batch_size: int
    inputs: Mapping[str, TensorSpec]
    outputs: Mapping[str, TensorSpec]
    labels: tuple[str, ...]
    parameters: Mapping[str, str]

    def check_inputs(self, inputs: Mapping[str, NDArray[Any]]) -> None:
        """Refuse a request that the model did not promise to take.

        Raises:
            PermanentFailure: a tensor is missing, unknown, of the wrong type or shape, or the batch is too large.
        """
        if set(inputs) != set(self.inputs):
            raise self._broken(f"takes inputs {sorted(self.inputs)}, got {sorted(inputs)}")
        for name, value in inputs.items():
            self._check_tensor(self.inputs[name], value)
            if self.max_batch_size and value.shape[0] > self.max_batch_size:
                raise self._broken(f"takes at most {self.max_batch_size} items, got {value.shape[0]}")

    def check_outputs(self, outputs: Mapping[str, NDArray[Any]]) -> None:
        """Refuse an answer that breaks the promise.

        Raises:
            PermanentFailure: a tensor is missing or of the wrong type or shape.
        """
        for name, spec in self.outputs.items():
            if name not in outputs:
                raise self._broken(f"promised the output '{name}' and did not give it")
            self._check_tensor(spec, outputs[name])

    def _check_tensor(self, spec: TensorSpec, value: NDArray[Any]) -> None:
        if value.dtype != spec.dtype:
            raise self._broken(f"tensor '{spec.name}' is {np.dtype(spec.dtype)}, got {value.dtype}")
        shape = value.shape[1:] if self.max_batch_size else value.shape
        fits = shape == spec.dims or (  # most have no open size, and this is asked twice a request
            len(shape) == len(spec.dims)
            and all(want in (ANY_SIZE, got) for want, got in zip(spec.dims, shape, strict=True))
        )
        if not fits or (self.max_batch_size and value.ndim == 0):
            raise self._broken(f"tensor '{spec.name}' has shape {spec.dims} an item, got {value.shape}")

    def _broken(self, what: str) -> PermanentFailure:
        return PermanentFailure(
            f"The model {what}.",
            subject=self.identity.label,
            remedy="Make config.pbtxt, the model file and the stage agree.",
        )


def parse_config(path: Path) -> Any:
    """A ``config.pbtxt`` as Triton's own ``ModelConfig`` message.

    Raises:
        ConfigurationError: it is missing, cannot be parsed, or is another model's.
    """
    from google.protobuf import text_format
    from tritonclient.grpc import model_config_pb2

    subject = f"{path.parent.name}/{path.name}"
    try:
        config = text_format.Parse(path.read_text(encoding="utf-8"), model_config_pb2.ModelConfig())
    except (OSError, UnicodeDecodeError, text_format.ParseError) as error:
        raise ConfigurationError(
            f"The model's configuration cannot be read: {error}.", subject=subject, remedy="Install the model again."
        ) from error
    folder = path.parent.parent if path.parent.name == VARIANTS_FOLDER else path.parent
    if config.name not in ("", folder.name):
        raise ConfigurationError(
            f"The model's configuration is that of '{config.name}'.",
            subject=subject,
            remedy="Give the folder and the configuration one name.",
        )
    return config


def tensors_of(model: str, messages: Any) -> dict[str, TensorSpec]:
    """Inputs or outputs of a ``ModelConfig`` by name.

    Raises:
        ConfigurationError: a data type is not supported.
    """
    from tritonclient.grpc import model_config_pb2

    specs = {}
    for message in messages:
        type_name = model_config_pb2.DataType.Name(message.data_type)
        if type_name not in NUMPY_TYPES:
            raise ConfigurationError(
                f"Tensor '{message.name}' has the unsupported type {type_name}.",
                subject=model,
                remedy=f"Use one of {', '.join(NUMPY_TYPES)}.",
            )
        specs[message.name] = TensorSpec(message.name, NUMPY_TYPES[type_name], tuple(message.dims))
    return specs
