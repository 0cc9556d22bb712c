"""Trains the detector: heat maps by the focal loss of CenterNet, sides by generalised IoU around each centre (TTFNet).

Belongs here: targets, losses, the training step, as the retraining loop calls it too. Does not belong here: where
frames come from.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from models.augment import coin, recolour
from models.contracts import DETECTOR_SIDE_PX
from models.instrument_detector.network import STRIDE_PX, InstrumentDetector
from models.labels import INSTRUMENTS
from models.letterbox import as_batch, letterbox
from models.loop import Epoch, Lesson, Training, Watch, best_device, learn, mixed_precision
from models.scoring.headline import box_headline, judged_boxes

if TYPE_CHECKING:
    from numpy.typing import NDArray

_DEEPEST_STRIDE_PX = 64
_KERNEL_SHARE = 0.54
"""Share of the box that its Gaussian covers (TTFNet's alpha); three sigma reach the border of that share."""
_SMALLEST_SIGMA = 0.6
_KERNEL_FLOOR = 0.0111
"""A Gaussian's height at three sigma: cells below it are not the object's."""
_FAINT = 0.05
"""Peaks below are background, of which there are thousands."""
_FOCAL_POWER = 2.0
_NEAR_CENTRE_POWER = 4.0


class DetectorTraining(Training):
    """Settings of one training.

    Attributes:
        box_weight: of the loss of boxes beside that of heat maps.
        img_size: side of the random squares that are trained on, in pixels. The tips are small, so pictures are not
            shrunk; a third of the pixels costs a third. 640 takes whole pictures.
        augmentation: whether pictures are mirrored and recoloured; random squares are always cut.
    """

    box_weight: float = 2.0
    img_size: int = Field(default=384, ge=_DEEPEST_STRIDE_PX, le=DETECTOR_SIDE_PX, multiple_of=_DEEPEST_STRIDE_PX)
    augmentation: bool = True


@dataclass(frozen=True)
class Example:
    """A frame with its boxes: how to get the RGB picture, boxes_px [M,4] in it, classes [M]."""

    read: Callable[[], NDArray[np.uint8]]
    boxes_px: NDArray[np.float32]
    classes: NDArray[np.int64]


@dataclass(frozen=True)
class Targets:
    """What a batch should answer; h = w is the square's side in cells.

    Attributes:
        heat: [N,7,h,w].
        boxes_px: [N,4,h,w], the box that each cell belongs to, in pixels of the square.
        weight: [N,h,w] of that box, 0 outside of all.
        objects: how many there are in the batch.
    """

    heat: Tensor
    boxes_px: Tensor
    weight: Tensor
    objects: int

    def to(self, place: torch.device) -> Targets:
        """Give the same on another device."""
        return Targets(self.heat.to(place), self.boxes_px.to(place), self.weight.to(place), self.objects)


def train(
    known: Sequence[Example], unseen: Sequence[Example] | None, config: DetectorTraining, watch: Watch
) -> tuple[InstrumentDetector, tuple[Epoch, ...]]:
    """Train a detector from random weights.

    Args:
        known: frames with boxes; frames without any are as useful.
        unseen: the same of other operations, which decide the best epoch; None keeps the last one.
        config: settings; the seed decides weights, order and augmentation.
        watch: who follows.

    Returns:
        The network in evaluation mode, and its epochs.
    """
    torch.manual_seed(config.seed)
    network = InstrumentDetector()
    network.to(memory_format=torch.channels_last)
    place = best_device()

    def loss_of(chosen: NDArray[np.int64], rng: np.random.Generator) -> Tensor:
        images, targets = _batch([known[number] for number in chosen], rng, config)
        with mixed_precision():
            heat, sides_px = network.maps(images.to(place))
        targets = targets.to(place)
        return heat_loss(heat.float(), targets) + config.box_weight * box_loss(sides_px.float(), targets)

    validate = partial(figures_of, network, unseen) if unseen else None
    epochs = learn(Lesson(network, len(known), loss_of, validate), config, watch)
    network.to(memory_format=torch.contiguous_format)
    return network, epochs


def figures_of(network: InstrumentDetector, unseen: Sequence[Example]) -> dict[str, float]:
    """Give `val_accuracy` of presence, `val_f1` of boxes and their `val_overlap`, over all pictures together."""
    figures = box_headline(_answers(network, unseen), classes=len(INSTRUMENTS))
    return {"val_accuracy": figures["accuracy"], "val_f1": figures["f1"], "val_overlap": figures["overlap"]}


def fit_calibration(network: InstrumentDetector, unseen: Sequence[Example]) -> tuple[float, float]:
    """Choose scale and offset of the scores' logits so that scores say how many boxes are right (Platt 1999).

    The focal loss leaves peaks too modest: without an offset the scale alone would push all found boxes to a score of
    one, and their order would be lost. The network keeps both; they stay 1 and 0 where all boxes are right, or none.
    """
    from sklearn.linear_model import LogisticRegression

    scale, offset = 1.0, 0.0
    network.calibrate(scale, offset)
    with torch.no_grad():
        scores, right = judged_boxes(_answers(network, unseen), above=_FAINT)
    if 0 < right.sum() < len(right):
        odds = np.log(scores / (1 - scores)).astype(np.float64)
        fitted = LogisticRegression(C=np.inf).fit(odds[:, np.newaxis], right)
        if fitted.coef_[0, 0] > 0:
            scale, offset = float(fitted.coef_[0, 0]), float(fitted.intercept_[0])
            network.calibrate(scale, offset)
    return scale, offset


def _answers(network: InstrumentDetector, unseen: Sequence[Example]) -> Iterator[tuple[Any, Any]]:
    """True boxes and classes, found boxes, classes and scores, of one picture after another."""
    place = next(network.parameters()).device
    for example in unseen:
        image = example.read()
        whole, geometry = letterbox(image, DETECTOR_SIDE_PX, DETECTOR_SIDE_PX)
        boxes, scores, classes = network(torch.from_numpy(as_batch(whole[None])).to(place))
        found = tuple(one[0].cpu().numpy() for one in (boxes, classes, scores))
        yield (geometry.to_frame_box(example.boxes_px).astype(np.float32), example.classes), found


def heat_loss(logits: Tensor, targets: Targets) -> Tensor:
    """Focal loss of CenterNet (eq. 1), a mean over objects."""
    heat = torch.sigmoid(logits).clamp(1e-4, 1 - 1e-4)
    centres = targets.heat.eq(1.0)
    at_centres = (1 - heat).pow(_FOCAL_POWER) * heat.log()
    elsewhere = (1 - targets.heat).pow(_NEAR_CENTRE_POWER) * heat.pow(_FOCAL_POWER) * (1 - heat).log()
    return -torch.where(centres, at_centres, elsewhere).sum() / max(1, targets.objects)


def box_loss(sides_px: Tensor, targets: Targets) -> Tensor:
    """1 - generalised IoU (Rezatofighi et al. 2019) of each cell's box, weighted by its nearness to the centre."""
    used = targets.weight > 0
    weight = targets.weight[used]
    if weight.numel() == 0:
        return sides_px.sum() * 0.0
    given = _boxes_px(sides_px).permute(0, 2, 3, 1)[used]
    wanted = targets.boxes_px.permute(0, 2, 3, 1)[used]
    inside = (torch.minimum(given[:, 2:], wanted[:, 2:]) - torch.maximum(given[:, :2], wanted[:, :2])).clamp_min(0)
    around = torch.maximum(given[:, 2:], wanted[:, 2:]) - torch.minimum(given[:, :2], wanted[:, :2])
    both = inside.prod(dim=1)
    union = _area(given) + _area(wanted) - both
    hull = around.prod(dim=1).clamp_min(1e-6)
    giou = both / union.clamp_min(1e-6) - (hull - union) / hull
    return ((1 - giou) * weight).sum() / weight.sum()


def _boxes_px(sides_px: Tensor) -> Tensor:
    cells = torch.arange(sides_px.shape[-1], dtype=torch.float32, device=sides_px.device)
    centres = (cells + 0.5) * STRIDE_PX
    x_px, y_px = centres.view(1, 1, -1), centres.view(1, -1, 1)
    left, top, right, bottom = sides_px.unbind(dim=1)
    return torch.stack([x_px - left, y_px - top, x_px + right, y_px + bottom], dim=1)


def _area(boxes: Tensor) -> Tensor:
    return (boxes[:, 2:] - boxes[:, :2]).prod(dim=1)


def _batch(examples: list[Example], rng: np.random.Generator, config: DetectorTraining) -> tuple[Tensor, Targets]:
    pictures, targets, objects = [], [], 0
    for example in examples:
        mirrored = config.augmentation and coin(rng)
        picture, boxes_px, classes = _square(example, rng, config.img_size, mirrored=mirrored)
        pictures.append(recolour(picture, rng) if config.augmentation else picture)
        targets.append(targets_of(boxes_px, classes, cells=config.img_size // STRIDE_PX))
        objects += len(classes)
    heat, boxes, weight = (torch.from_numpy(np.stack(parts)) for parts in zip(*targets, strict=True))
    images = torch.from_numpy(as_batch(np.stack(pictures))).contiguous(memory_format=torch.channels_last)
    return images, Targets(heat, boxes, weight, objects)


def _square(
    example: Example, rng: np.random.Generator, side_px: int, *, mirrored: bool
) -> tuple[NDArray[np.uint8], NDArray[np.float32], NDArray[np.int64]]:
    """Cut a random square out of the letterboxed, perhaps mirrored frame, with the boxes whose centres are in it."""
    image, boxes_px = example.read(), example.boxes_px
    if mirrored:
        image, boxes_px = np.ascontiguousarray(image[:, ::-1]), _mirrored(boxes_px, image.shape[1])
    whole, geometry = letterbox(image, DETECTOR_SIDE_PX, DETECTOR_SIDE_PX)
    left_px, top_px = (int(place) for place in rng.integers(0, DETECTOR_SIDE_PX - side_px + 1, size=2))
    moved = geometry.to_frame_box(boxes_px).astype(np.float32) - np.array([left_px, top_px] * 2, dtype=np.float32)
    centres = (moved[:, :2] + moved[:, 2:]) / 2
    inside = ((centres >= 0) & (centres < side_px)).all(axis=1)
    square = whole[top_px : top_px + side_px, left_px : left_px + side_px]
    return np.ascontiguousarray(square), moved[inside], example.classes[inside]


def _mirrored(boxes_px: NDArray[np.float32], width_px: int) -> NDArray[np.float32]:
    mirrored = boxes_px.copy()
    mirrored[:, 0] = width_px - boxes_px[:, 2]
    mirrored[:, 2] = width_px - boxes_px[:, 0]
    return mirrored


def targets_of(
    boxes_px: NDArray[np.float32], classes: NDArray[np.int64], *, cells: int
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
    """Draw what the network should answer for one square.

    Args:
        boxes_px: [M,4] in pixels of the square; their centres are in it, their sides may be outside.
        classes: [M].
        cells: side of the square in cells, h and w below.

    Returns:
        heat [7,h,w], box [4,h,w] that each cell belongs to, weight [h,w] of that box (0 outside all). Where objects
        overlap, the smaller one owns the cell.
    """
    heat = np.zeros((len(INSTRUMENTS), cells, cells), dtype=np.float32)
    boxes = np.zeros((4, cells, cells), dtype=np.float32)
    weight = np.zeros((cells, cells), dtype=np.float32)
    sizes = (boxes_px[:, 2:] - boxes_px[:, :2]).prod(axis=1)
    for place in np.argsort(-sizes):
        kernel = _gaussian(boxes_px[place], cells)
        channel = heat[classes[place]]
        np.maximum(channel, kernel, out=channel)
        covered = kernel > _KERNEL_FLOOR
        boxes[:, covered] = boxes_px[place][:, np.newaxis]
        weight[covered] = kernel[covered] / kernel[covered].sum()
    return heat, boxes, weight


def _gaussian(box_px: NDArray[np.float32], cells: int) -> NDArray[np.float32]:
    x_min, y_min, x_max, y_max = (float(value) / STRIDE_PX for value in box_px)
    column = min(cells - 1, int((x_min + x_max) / 2))
    row = min(cells - 1, int((y_min + y_max) / 2))
    sigma_x = max(_SMALLEST_SIGMA, _KERNEL_SHARE * (x_max - x_min) / 6)
    sigma_y = max(_SMALLEST_SIGMA, _KERNEL_SHARE * (y_max - y_min) / 6)
    places = np.arange(cells, dtype=np.float32)
    across = np.exp(-((places - column) ** 2) / (2 * sigma_x**2))
    down = np.exp(-((places - row) ** 2) / (2 * sigma_y**2))
    return np.asarray(down[:, np.newaxis] * across, dtype=np.float32)
