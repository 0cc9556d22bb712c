"""The calls that stages make, whatever engine computes them (NV-104…111).

Belongs here: batches within the model's limits, the three named calls with their shapes, pinning. Does not belong here:
pictures' geometry and thresholds of a stage. A Triton engine takes its place beside ``onnx_engine`` and is chosen here.
"""

import asyncio
from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dagster as dg
import numpy as np

from resources.errors import ConfigurationError, NeuroVisionError, PermanentFailure
from resources.inference.onnx_engine import ENGINE_NAME, PRECISION_NAMES, OnnxModel
from resources.inference.repository import ModelRepository
from resources.inference.spec import ModelIdentity, ModelSpec
from resources.settings import REPOSITORY_ROOT, Settings

if TYPE_CHECKING:
    from numpy.typing import NDArray

SEED_REPOSITORY = REPOSITORY_ROOT / "models"
MAX_PIXEL_VALUE = np.float32(255)
IMAGE_AXES = 4


class InferenceResource(dg.ConfigurableResource):  # type: ignore[type-arg]
    """Models by name; the version is pinned when a run first asks, so that no run mixes two.

    Args:
        repository: folder of the runtime model repository.
        engine: ``onnxruntime`` computes in this process.
        threads: threads of one call, 0 for one a core.
    """

    repository: str
    engine: str = ENGINE_NAME
    threads: int = 0

    @classmethod
    def of(cls, settings: Settings) -> "InferenceResource":
        """The one of a deployment."""
        return cls(
            repository=str(settings.model_repository),
            engine=settings.inference_engine,
            threads=settings.inference_threads,
        )

    @cached_property
    def models(self) -> ModelRepository:
        """The repository, filled from the seed where it is empty.

        Raises:
            ConfigurationError: the engine is not known.
        """
        if self.engine != ENGINE_NAME:
            raise ConfigurationError(
                f"The engine '{self.engine}' is not known.",
                subject="NEUROVISION_INFERENCE_ENGINE",
                remedy=f"Use {ENGINE_NAME}.",
            )
        repository = ModelRepository(Path(self.repository))
        repository.install_seed(SEED_REPOSITORY)
        return repository

    @cached_property
    def _pinned(self) -> dict[str, ModelSpec]:
        return {}

    @cached_property
    def _loaded(self) -> dict[str, OnnxModel]:
        return {}

    def pin(self, name: str) -> ModelSpec:
        """The version that this run uses, decided at the first call and kept.

        Raises:
            ConfigurationError: the model is not installed or broken.
        """
        if name not in self._pinned:
            self._pinned.setdefault(name, self.models.describe(name))  # of two threads, the first decides
        return self._pinned[name]

    def model(self, name: str) -> OnnxModel:
        """The pinned version, loaded.

        Raises:
            ConfigurationError: it cannot be loaded, or its file changed after it was pinned.
        """
        if name not in self._loaded:
            spec = self.pin(name)
            found = self.models.describe(name, spec.identity.version)
            if found.identity.digest != spec.identity.digest:
                raise ConfigurationError(
                    "The model file changed after this run pinned it.",
                    subject=spec.identity.label,
                    remedy="Start the run again; install new weights under a new version number.",
                )
            self._loaded.setdefault(name, OnnxModel(self.models, spec, self.threads))
        return self._loaded[name]

    def is_server_ready(self) -> bool:
        """Whether the engine can take requests at all."""
        try:
            return bool(self.models.names())
        except NeuroVisionError:
            return False

    def is_model_ready(self, model_name: str) -> bool:
        """Whether the model is installed and loads."""
        try:
            self.model(model_name)
        except NeuroVisionError:
            return False
        return True

    def describe_use(self, identity: ModelIdentity) -> dict[str, str]:
        """How a model was computed: engine, precision and device, for the provenance record."""
        model = self.model(identity.name)
        first_input = next(iter(model.spec.inputs.values()))
        precision = PRECISION_NAMES.get(first_input.dtype, str(np.dtype(first_input.dtype)))
        return {"engine": self.engine, "precision": precision, "device": model.device}

    def infer(self, model_name: str, inputs: Mapping[str, "NDArray[Any]"]) -> dict[str, "NDArray[Any]"]:
        """One request of at most ``max_batch_size`` items.

        Raises:
            PermanentFailure: the request or the answer breaks the model's promise.
        """
        return self.model(model_name).infer(inputs)

    async def infer_async(self, model_name: str, inputs: Mapping[str, "NDArray[Any]"]) -> dict[str, "NDArray[Any]"]:
        """As :meth:`infer`, without blocking the event loop (NV-111)."""
        return await asyncio.to_thread(self.infer, model_name, inputs)

    def infer_images(self, model_name: str, images: "NDArray[np.uint8]") -> dict[str, "NDArray[Any]"]:
        """Pictures of any number, in batches that the model takes.

        Args:
            model_name: a model with the single input ``images``.
            images: uint8 [N, H, W, 3], RGB, already of the model's size.

        Returns:
            Every output, [N, …].

        Raises:
            PermanentFailure: they are no such pictures, or the model does not take their size.
        """
        spec = self.model(model_name).spec
        if images.dtype != np.uint8 or images.ndim != IMAGE_AXES:
            raise PermanentFailure(
                f"Pictures are uint8 [N, H, W, 3], got {images.dtype} {list(images.shape)}.",
                subject=spec.identity.label,
                remedy="Pass the pictures as they were decoded.",
            )
        if not len(images):
            return {name: np.zeros((0, *np.maximum(out.dims, 0)), out.dtype) for name, out in spec.outputs.items()}
        answers = [self.infer(model_name, {"images": batch}) for batch in _image_batches(images, spec.max_batch_size)]
        return {name: np.concatenate([answer[name] for answer in answers]) for name in answers[0]}

    def infer_phase_segmentation(
        self, features: "NDArray[np.floating[Any]]", model_name: str = "phase_segmenter"
    ) -> "NDArray[np.float32]":
        """Phase probabilities of a whole sequence (NV-108; the batch dimension of trap T09 is added here).

        Args:
            features: [sequence, width].
            model_name: a model with input ``features`` and output ``predictions``.

        Returns:
            float32 [sequence, phases].
        """
        self._require_outputs(model_name, "predictions")
        batch = np.ascontiguousarray(features, dtype=np.float32)[np.newaxis]
        predictions: NDArray[np.float32] = self.infer(model_name, {"features": batch})["predictions"][0]
        if len(predictions) != len(features):
            raise PermanentFailure(
                f"{len(features)} rows went in and {len(predictions)} came out.",
                subject=self.pin(model_name).identity.label,
                remedy="Install a segmenter that keeps the sequence's length.",
            )
        return predictions

    def infer_instrument_detection(
        self, images: "NDArray[np.uint8]", model_name: str = "instrument_detector", threshold: float = 0.5
    ) -> list[list[dict[str, Any]]]:
        """Detections of each picture (NV-109, NV-110; a list a picture, as trap T10 wants).

        Args:
            images: uint8 [N, H, W, 3], RGB, of the model's size.
            model_name: a model with outputs ``boxes``, ``scores`` and ``classes``.
            threshold: detections with a score strictly above it are kept.

        Returns:
            For each picture, dicts with ``bbox`` [x_min, y_min, x_max, y_max] in input pixels, ``score``, ``class_id``.
        """
        self._require_outputs(model_name, "boxes", "scores", "classes")
        answer = self.infer_images(model_name, images)
        return [
            [
                {"bbox": boxes[i].tolist(), "score": float(scores[i]), "class_id": int(classes[i])}
                for i in np.flatnonzero(scores > threshold)
            ]
            for boxes, scores, classes in zip(answer["boxes"], answer["scores"], answer["classes"], strict=True)
        ]

    def _require_outputs(self, model_name: str, *names: str) -> None:
        spec = self.pin(model_name)
        missing = [name for name in names if name not in spec.outputs]
        if missing:
            raise PermanentFailure(
                f"The model has no output '{missing[0]}' (it has {sorted(spec.outputs)}).",
                subject=spec.identity.label,
                remedy="Name a model of the right kind in the profile.",
            )


def _image_batches(images: "NDArray[np.uint8]", limit: int) -> "Iterator[NDArray[np.float32]]":
    """NCHW float32 batches in 0..1 from NHWC bytes."""
    step = max(limit, 1)
    for start in range(0, len(images), step):
        part = images[start : start + step].transpose(0, 3, 1, 2)
        batch = np.empty(part.shape, np.float32)
        np.divide(part, MAX_PIXEL_VALUE, out=batch)  # converts, scales and reorders in one pass over the memory
        yield batch
