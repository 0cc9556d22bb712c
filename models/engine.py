"""Runs an exported model on arrays, for building and scoring only.

Belongs here: a session and its batches. Does not belong here: serving (the inference resource checks and pins).
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from models.contracts import CONTRACTS, EXTRACTOR, SEGMENTER
from models.letterbox import as_batch

if TYPE_CHECKING:
    from numpy.typing import NDArray


class ExportedModel:
    """One `model.onnx` of the repository.

    Args:
        repository: folder in Triton's layout.
        name: the model's name in the table of contracts.
    """

    def __init__(self, repository: Path, name: str) -> None:
        import onnxruntime

        self.contract = CONTRACTS[name]
        path = repository / name / "1" / "model.onnx"
        self._session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])

    def run(self, given: NDArray[np.float32]) -> dict[str, NDArray[Any]]:
        """Answer one batch [N,…]; every output under its name."""
        names = [tensor.name for tensor in self.contract.outputs]
        answer = self._session.run(names, {self.contract.inputs[0].name: given})
        return dict(zip(names, answer, strict=True))

    def run_images(self, images: NDArray[np.uint8]) -> dict[str, NDArray[Any]]:
        """Answer any number of RGB pictures [N,H,W,3], in batches that the contract allows."""
        step = self.contract.max_batch_size
        parts = [self.run(as_batch(images[start : start + step])) for start in range(0, len(images), step)]
        return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def extract_features(repository: Path, images: NDArray[np.uint8]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Give features [N,2048] and novelty [N] of pictures [N,192,256,3]."""
    answer = ExportedModel(repository, EXTRACTOR).run_images(images)
    return answer["features"], answer["novelty"][:, 0]


def segment_phases(repository: Path, features: NDArray[np.float32]) -> NDArray[np.float32]:
    """Give phase probabilities [T,11] of one operation's features [T,2048]."""
    answer = ExportedModel(repository, SEGMENTER).run(features[np.newaxis])
    return np.asarray(answer["predictions"][0], dtype=np.float32)
