"""What each default model promises: names, types and shapes, as every engine and every client sees them.

Belongs here: the table of contracts. Does not belong here: its spelling for Triton (`triton_config.py`), weights.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from models.labels import ANATOMY, INSTRUMENTS, PHASES

DataType = Literal["FP32", "INT32"]

VERSION: Final = "1.0.0"
TAXONOMY: Final = "default"
FEATURE_WIDTH: Final = 2048
DETECTIONS: Final = 32
DETECTOR_SIDE_PX: Final = 640
EXTRACTOR: Final = "feature_extractor"
SEGMENTER: Final = "phase_segmenter"
DETECTOR: Final = "instrument_detector"
ANATOMIST: Final = "anatomy_segmenter"
NAMES: Final = (EXTRACTOR, SEGMENTER, DETECTOR, ANATOMIST)


@dataclass(frozen=True)
class TensorContract:
    """One input or output; `dims` leaves out the batch, -1 is any length."""

    name: str
    data_type: DataType
    dims: tuple[int, ...]


@dataclass(frozen=True)
class ModelContract:
    """One model of the repository: what goes in, what comes out, what its channels mean."""

    name: str
    max_batch_size: int
    inputs: tuple[TensorContract, ...]
    outputs: tuple[TensorContract, ...]
    labels: tuple[str, ...]

    @property
    def picture_px(self) -> tuple[int, int]:
        """Height and width of the pictures that an image model takes."""
        _, height_px, width_px = self.inputs[0].dims
        return height_px, width_px


CONTRACTS: Final = {
    contract.name: contract
    for contract in (
        ModelContract(
            name=EXTRACTOR,
            max_batch_size=32,
            inputs=(TensorContract("images", "FP32", (3, 192, 256)),),
            outputs=(
                TensorContract("features", "FP32", (FEATURE_WIDTH,)),
                TensorContract("novelty", "FP32", (1,)),
            ),
            labels=(),
        ),
        ModelContract(
            name=SEGMENTER,
            max_batch_size=8,
            inputs=(TensorContract("features", "FP32", (-1, FEATURE_WIDTH)),),
            outputs=(TensorContract("predictions", "FP32", (-1, len(PHASES))),),
            labels=PHASES,
        ),
        ModelContract(
            name=DETECTOR,
            max_batch_size=8,
            inputs=(TensorContract("images", "FP32", (3, DETECTOR_SIDE_PX, DETECTOR_SIDE_PX)),),
            outputs=(
                TensorContract("boxes", "FP32", (DETECTIONS, 4)),
                TensorContract("scores", "FP32", (DETECTIONS,)),
                TensorContract("classes", "INT32", (DETECTIONS,)),
            ),
            labels=INSTRUMENTS,
        ),
        ModelContract(
            name=ANATOMIST,
            max_batch_size=8,
            inputs=(TensorContract("images", "FP32", (3, 240, 320)),),
            outputs=(TensorContract("probabilities", "FP32", (len(ANATOMY), 120, 160)),),
            labels=ANATOMY,
        ),
    )
}
