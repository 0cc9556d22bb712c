"""How each default model is made from annotated operations: its data, its training, its file.

Belongs here: what one model is trained, validated and calibrated on. Does not belong here: the order of the models, the
command line (`build.py`), losses (`<name>/train.py`), where operations come from.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from models.contracts import ANATOMIST, CONTRACTS, DETECTOR, EXTRACTOR, SEGMENTER
from models.data import Operation, frames_of, resized_frames
from models.engine import extract_features
from models.export import export_model
from models.letterbox import as_batch, letterbox
from models.loop import Epoch, Watch
from models.triton_config import write_model_files

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from models.checkpoints import Tensors
    from models.instrument_detector.train import Example
    from models.loop import Training

Report = Callable[[str], None]
_EXAMPLES: Final = 4
_EXAMPLE_FRAMES: Final = 240
_PICTURE_STEP: Final = 4
"""Networks for single frames learn from a frame every two seconds: the ones between add little."""
_VALIDATION_STEP: Final = 16
"""The best epoch is chosen by a frame every eight seconds: its neighbours would say the same."""

_SEGMENTER_EPOCHS: Final = 60
"""The loss on simulated operations stands still from here on."""


@dataclass(frozen=True)
class Material:
    """What a model is made of.

    Attributes:
        repository: where it is written to; the segmenter finds its extractor there.
        training: operations to learn from.
        validation: others, which choose the best epoch and calibrate.
        seed: decides everything random.
        report: receives a line now and then.
        settings: of the training, where they are not the recipe's own.
        watch: who follows the training.
    """

    repository: Path
    training: Sequence[Operation]
    validation: Sequence[Operation]
    seed: int
    report: Report
    settings: Mapping[str, Any] = field(default_factory=dict)
    watch: Watch = field(default_factory=Watch)


@dataclass(frozen=True)
class Made:
    """A written model.

    Attributes:
        config: the settings that it was trained with.
        epochs: of the training.
        weights: every weight and buffer of the network, as torch names them.
        difference: largest one between torch and ONNX Runtime.
        golden: an input under `input`, and torch's answers to it under the outputs' names.
    """

    config: Training
    epochs: tuple[Epoch, ...]
    weights: Tensors
    difference: float
    golden: dict[str, NDArray[Any]]


def make_extractor(material: Material) -> Made:
    """Train the backbone, fit its novelty, and write it."""
    import numpy as np

    from models.feature_extractor.train import ExtractorTraining, NoveltyTraining, fit_novelty, train

    resize = partial(_pictures, EXTRACTOR)
    images = resize(material.training, every=_PICTURE_STEP)
    phases = np.concatenate([operation.phase_labels()[::_PICTURE_STEP] for operation in material.training])
    presence = np.concatenate([operation.presence()[::_PICTURE_STEP] for operation in material.training])
    config = ExtractorTraining(**{"seed": material.seed, **material.settings})
    network, epochs = train(images, phases, presence, config, material.watch)
    unseen = resize(material.validation)
    fit_novelty(network, images, unseen, NoveltyTraining(seed=material.seed), Watch(told=material.watch.told))
    return _written(network, EXTRACTOR, material, as_batch(_spread(unseen)), config, epochs)


def make_segmenter(material: Material) -> Made:
    """Train MS-TCN on features of the written backbone, fit its temperature, and write it."""
    from models.phase_segmenter.train import SegmenterTraining, fit_temperature, train

    def sequences(operations: Sequence[Operation]) -> tuple[list[Any], list[Any]]:
        given = [extract_features(material.repository, _pictures(EXTRACTOR, [one]))[0] for one in operations]
        return given, [operation.phase_labels() for operation in operations]

    known, unseen = sequences(material.training), sequences(material.validation)
    config = SegmenterTraining(**{"epochs": _SEGMENTER_EPOCHS, "seed": material.seed, **material.settings})
    network, epochs = train(known, unseen, config, material.watch)
    material.report(f"temperature {fit_temperature(network, *unseen):.2f}")
    return _written(network, SEGMENTER, material, unseen[0][0][None, :_EXAMPLE_FRAMES], config, epochs)


def make_detector(material: Material) -> Made:
    """Train the detector, calibrate its scores, and write it."""
    from models.instrument_detector.train import DetectorTraining, fit_calibration, train

    config = DetectorTraining(**{"seed": material.seed, **material.settings})
    known = _examples(material.training, every=_PICTURE_STEP)
    unseen = _examples(material.validation, every=_VALIDATION_STEP)
    network, epochs = train(known, unseen, config, material.watch)
    scale, offset = fit_calibration(network, unseen)
    material.report(f"scores: scale {scale:.2f}, offset {offset:.2f}")
    return _written(network, DETECTOR, material, as_batch(_fullest(material.validation)), config, epochs)


def make_anatomist(material: Material) -> Made:
    """Train the tissue segmenter, fit its temperature, and write it."""
    import numpy as np

    from models.anatomy_segmenter.train import AnatomyTraining, fit_temperature, train

    def pictures(operations: Sequence[Operation], every: int) -> tuple[Any, Any]:
        masks = np.concatenate([operation.anatomy_masks()[::every] for operation in operations])
        return _pictures(ANATOMIST, operations, every=every), masks

    config = AnatomyTraining(**{"seed": material.seed, **material.settings})
    known, unseen = pictures(material.training, _PICTURE_STEP), pictures(material.validation, _VALIDATION_STEP)
    network, epochs = train(known, unseen, config, material.watch)
    material.report(f"temperature {fit_temperature(network, unseen):.2f}")
    return _written(network, ANATOMIST, material, as_batch(_spread(known[0])), config, epochs)


RECIPES: Final[dict[str, Callable[[Material], Made]]] = {
    EXTRACTOR: make_extractor,
    SEGMENTER: make_segmenter,
    DETECTOR: make_detector,
    ANATOMIST: make_anatomist,
}
"""In the order of building: the segmenter's configuration names the digest of the extractor's file."""


def _pictures(name: str, operations: Sequence[Operation], *, every: int = 1) -> Any:
    height_px, width_px = CONTRACTS[name].picture_px
    return resized_frames(operations, height_px=height_px, width_px=width_px, every=every)


def _examples(operations: Sequence[Operation], *, every: int) -> list[Example]:
    from models.instrument_detector.train import Example

    return [
        Example(partial(operation.frame, index), *operation.boxes_at(index))
        for operation, index in frames_of(operations, every=every)
    ]


def _fullest(operations: Sequence[Operation]) -> Any:
    """Give the pictures with the most instruments, letterboxed [N,640,640,3]: the first ones of operations show none.

    Boxes without a score are not compared with torch's, so a picture of nothing would prove nothing.
    """
    import numpy as np

    height_px, width_px = CONTRACTS[DETECTOR].picture_px
    chosen = sorted(_examples(operations, every=1), key=lambda one: len(one.classes), reverse=True)[:_EXAMPLES]
    return np.stack([letterbox(one.read(), width_px, height_px)[0] for one in chosen])


def _spread(pictures: Any) -> Any:
    """Give a few pictures from all over the operations: neighbours show the same."""
    return pictures[:: max(1, len(pictures) // _EXAMPLES)][:_EXAMPLES]


def _written(
    network: Any, name: str, material: Material, example: Any, config: Training, epochs: tuple[Epoch, ...]
) -> Made:
    import torch

    difference = export_model(network, name, material.repository, example=torch.from_numpy(example))
    write_model_files(material.repository, CONTRACTS[name])
    material.report(f"{name}: written, ONNX Runtime differs from torch by {difference:.1e}")
    with torch.no_grad():
        answer = network(torch.from_numpy(example))
    answers = answer if isinstance(answer, tuple) else (answer,)
    names = [tensor.name for tensor in CONTRACTS[name].outputs]
    golden = {"input": example, **{key: one.numpy() for key, one in zip(names, answers, strict=True)}}
    return Made(config, epochs, dict(network.state_dict()), difference, golden)
