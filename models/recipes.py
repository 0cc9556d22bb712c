"""How each default model is made from simulated operations: its data, its training, its file.

Belongs here: what one model is trained and calibrated on. Does not belong here: the order of the models, the command
line (`build.py`), losses (`<name>/train.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

from models.contracts import ANATOMIST, CONTRACTS, DETECTOR, EXTRACTOR, SEGMENTER
from models.data import Operation, frames_of, resized_frames
from models.engine import extract_features
from models.export import export_model
from models.letterbox import as_batch, letterbox
from models.triton_config import write_model_files

Report = Callable[[str], None]
_EXAMPLES: Final = 4
_PICTURE_STEP: Final = 2
"""Networks for single frames learn from a frame a second: the ones between add little."""

_SEGMENTER_EPOCHS: Final = 60
"""The loss on simulated operations stands still from here on."""


@dataclass(frozen=True)
class Material:
    """Operations with disjoint seeds, and the repository that the models are written to."""

    repository: Path
    training: Sequence[Operation]
    validation: Sequence[Operation]
    seed: int
    report: Report


def make_extractor(material: Material) -> None:
    """Train the backbone, fit its novelty, and write it."""
    import numpy as np

    from models.feature_extractor.train import ExtractorTraining, NoveltyTraining, fit_novelty, train

    resize = partial(_pictures, EXTRACTOR)
    images = resize(material.training, every=_PICTURE_STEP)
    phases = np.concatenate([operation.phase_labels()[::_PICTURE_STEP] for operation in material.training])
    presence = np.concatenate([operation.presence()[::_PICTURE_STEP] for operation in material.training])
    network = train(images, phases, presence, ExtractorTraining(seed=material.seed), material.report)
    unseen = resize(material.validation)
    fit_novelty(network, images, unseen, NoveltyTraining(seed=material.seed), material.report)
    _write(network, EXTRACTOR, material, as_batch(unseen[:_EXAMPLES]))


def make_segmenter(material: Material) -> None:
    """Train MS-TCN on features of the written backbone, fit its temperature, and write it."""
    from models.phase_segmenter.train import SegmenterTraining, fit_temperature, train

    def features_of(operations: Sequence[Operation]) -> list[Any]:
        return [extract_features(material.repository, _pictures(EXTRACTOR, [one]))[0] for one in operations]

    given = features_of(material.training)
    wanted = [operation.phase_labels() for operation in material.training]
    network = train(given, wanted, SegmenterTraining(epochs=_SEGMENTER_EPOCHS, seed=material.seed), material.report)
    unseen = features_of(material.validation)
    temperature = fit_temperature(network, unseen, [operation.phase_labels() for operation in material.validation])
    material.report(f"temperature {temperature:.2f}")
    _write(network, SEGMENTER, material, unseen[0][None])


def make_detector(material: Material) -> None:
    """Train the detector and write it."""
    from models.instrument_detector.train import DetectorTraining, Example, train

    examples = []
    for operation, index in frames_of(material.training, every=_PICTURE_STEP):
        examples.append(Example(partial(operation.frame, index), *operation.boxes_at(index)))
    network = train(examples, DetectorTraining(seed=material.seed), material.report)
    height_px, width_px = CONTRACTS[DETECTOR].picture_px
    picture = letterbox(material.validation[0].frame(0), height_px=height_px, width_px=width_px)
    _write(network, DETECTOR, material, as_batch(picture[None]))


def make_anatomist(material: Material) -> None:
    """Train the tissue segmenter and write it."""
    import numpy as np

    from models.anatomy_segmenter.train import AnatomyTraining, train

    images = _pictures(ANATOMIST, material.training, every=_PICTURE_STEP)
    masks = np.concatenate([operation.anatomy_masks()[::_PICTURE_STEP] for operation in material.training])
    network = train(images, masks, AnatomyTraining(seed=material.seed), material.report)
    _write(network, ANATOMIST, material, as_batch(images[:_EXAMPLES]))


RECIPES: Final[dict[str, Callable[[Material], None]]] = {
    EXTRACTOR: make_extractor,
    SEGMENTER: make_segmenter,
    DETECTOR: make_detector,
    ANATOMIST: make_anatomist,
}
"""In the order of building: the segmenter's configuration names the digest of the extractor's file."""


def _pictures(name: str, operations: Sequence[Operation], *, every: int = 1) -> Any:
    height_px, width_px = CONTRACTS[name].picture_px
    return resized_frames(operations, height_px=height_px, width_px=width_px, every=every)


def _write(network: Any, name: str, material: Material, example: Any) -> None:
    import torch

    difference = export_model(network, name, material.repository, example=torch.from_numpy(example))
    write_model_files(material.repository, CONTRACTS[name])
    material.report(f"{name}: written, ONNX Runtime differs from torch by {difference:.1e}")
