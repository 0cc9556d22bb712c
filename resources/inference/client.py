"""The calls that stages make, whatever engine computes them (NV-104…111).

Belongs here: batches within the model's limits, the three named calls with their shapes, pinning. Does not belong here:
pictures' geometry and thresholds of a stage, engines (``onnx_engine``, ``triton``; ``engines`` chooses).
"""

import asyncio
from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dagster as dg
import numpy as np

from resources.errors import ConfigurationError, NeuroVisionError, PermanentFailure
from resources.inference.engine import LoadedModel
from resources.inference.engines import Engine, open_engine
from resources.inference.onnx_engine import ENGINE_NAME, PRECISION_NAMES
from resources.inference.repository import ModelRepository
from resources.inference.spec import ModelIdentity, ModelSpec
from resources.settings import REPOSITORY_ROOT, Settings

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from resources.inference.triton.metrics import ClientFigures

SEED_REPOSITORY = REPOSITORY_ROOT / "models"
MAX_PIXEL_VALUE = np.float32(255)
IMAGE_AXES = 4
COLOURS = 3


class InferenceResource(dg.ConfigurableResource):  # type: ignore[type-arg]
    """Models by name; the version is pinned when a run first asks, so that no run mixes two.

    Args:
        repository: folder of the runtime model repository.
        engine: ``onnxruntime`` computes in this process, ``triton`` on a server.
        threads: threads of one call in this process, 0 for one a core.
        repository_url: bucket that the repository is mirrored from, ``s3://bucket/prefix``; empty for none.
        triton_url: the server, ``grpc://host:8001``, ``grpcs://`` with TLS, or ``http://host:8000``.
        triton_ca_file: certificates that the server's is checked with, empty for the usual ones.
        triton_shared_memory: ``on`` or ``off``; ``auto`` uses it where the server can map it.
        triton_deadline_s: longest wait for one answer.
    """

    repository: str
    engine: str = ENGINE_NAME
    threads: int = 0
    repository_url: str = ""
    triton_url: str = ""
    triton_ca_file: str = ""
    triton_shared_memory: str = "auto"
    triton_deadline_s: float = 30.0

    @classmethod
    def of(cls, settings: Settings) -> "InferenceResource":
        """The one of a deployment."""
        return cls(
            repository=str(settings.model_repository),
            engine=settings.inference_engine,
            threads=settings.inference_threads,
            repository_url=settings.model_repository_url,
            triton_url=settings.triton_url,
            triton_ca_file=settings.triton_ca_file,
            triton_shared_memory=settings.triton_shared_memory,
            triton_deadline_s=settings.triton_deadline_s,
        )

    @cached_property
    def models(self) -> ModelRepository:
        """The repository, filled from the seed where it is empty.

        Raises:
            ConfigurationError: the engine is not known, or its settings cannot be used.
            TransientFailure: the bucket that it is mirrored from does not answer.
        """
        root = Path(self.repository)
        repository = ModelRepository(root, self._engine.publication)
        if self._engine.bucket is not None:
            self._engine.bucket.fetch(root)
        repository.install_seed(SEED_REPOSITORY)
        if self._engine.bucket is not None:
            self._engine.bucket.add_missing(root, repository.names())
        return repository

    @cached_property
    def _engine(self) -> Engine:
        return open_engine(
            self.engine,
            threads=self.threads,
            repository_url=self.repository_url,
            triton_url=self.triton_url,
            triton_ca_file=self.triton_ca_file,
            triton_shared_memory=self.triton_shared_memory,
            triton_deadline_s=self.triton_deadline_s,
        )

    @cached_property
    def _pinned(self) -> dict[str, ModelSpec]:
        return {}

    @cached_property
    def _loaded(self) -> dict[str, LoadedModel]:
        return {}

    def pin(self, name: str) -> ModelSpec:
        """The version that this run uses, decided at the first call and kept.

        Raises:
            ConfigurationError: the model is not installed or broken.
        """
        if name not in self._pinned:
            self._pinned.setdefault(name, self.models.describe(name))  # of two threads, the first decides
        return self._pinned[name]

    def model(self, name: str) -> LoadedModel:
        """The pinned version, loaded.

        Raises:
            ConfigurationError: it cannot be loaded, its file changed after it was pinned, or the server has another.
            TransientFailure: the server does not answer.
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
            self._loaded.setdefault(name, self._engine.load(self.models, spec))
        return self._loaded[name]

    def is_server_ready(self) -> bool:
        """Whether the engine can take requests at all."""
        try:
            return bool(self.models.names()) and self._engine.is_ready()
        except NeuroVisionError:
            return False

    def is_model_ready(self, model_name: str) -> bool:
        """Whether the model is installed, loads, and answers a request."""
        try:
            return self.model(model_name).is_alive()
        except NeuroVisionError:
            return False

    def client_figures(self) -> "ClientFigures | None":
        """What the client of a server counted; None where models are computed in this process, or none was asked."""
        return self._engine.figures() if self._loaded else None

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
        requests = ({"images": batch} for batch in _image_batches(images, spec))
        answers = list(self.model(model_name).infer_each(requests))
        if len(answers) == 1:
            return answers[0]
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


def _image_batches(images: "NDArray[np.uint8]", spec: ModelSpec) -> "Iterator[NDArray[Any]]":
    """Batches as the model's configuration promises to take them.

    A model with an input of uint8 normalises itself and gets bytes, a quarter of what floats take on a wire, as
    [H, W, 3] or [3, H, W]. Others get NCHW float32 from 0 to 1.
    """
    import cv2

    step = max(spec.max_batch_size, 1)
    wanted = spec.inputs.get("images")
    takes_bytes = wanted is not None and wanted.dtype is np.uint8
    interleaved = wanted is not None and takes_bytes and wanted.dims[-1:] == (COLOURS,)
    for start in range(0, len(images), step):
        part = images[start : start + step]
        if interleaved:
            yield np.ascontiguousarray(part)
        elif takes_bytes:
            yield np.ascontiguousarray(part.transpose(0, 3, 1, 2))
        else:
            batch = np.empty((len(part), COLOURS, *part.shape[1:3]), np.float32)
            planes = np.empty(batch.shape[1:], np.uint8)
            for image, floats in zip(part, batch, strict=True):
                cv2.split(image, list(planes))  # into these rows; apart, both steps are faster than numpy's one
                np.divide(planes, MAX_PIXEL_VALUE, out=floats)
            yield batch
