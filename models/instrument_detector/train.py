"""Trains the detector: heat maps by the focal loss of CenterNet, sides by generalised IoU around each centre (TTFNet).

Belongs here: targets, losses, the training step, as the retraining loop calls it too. Does not belong here: where
frames come from.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict
from torch import Tensor

from models.augment import coin, recolour
from models.contracts import DETECTOR_SIDE_PX
from models.instrument_detector.network import STRIDE_PX, InstrumentDetector
from models.labels import INSTRUMENTS
from models.letterbox import Fit, as_batch, letterbox

if TYPE_CHECKING:
    from numpy.typing import NDArray

_CELLS = DETECTOR_SIDE_PX // STRIDE_PX
_KERNEL_SHARE = 0.54
"""Share of the box that its Gaussian covers (TTFNet's alpha); three sigma reach the border of that share."""
_SMALLEST_SIGMA = 0.6
_FOCAL_POWER = 2.0
_NEAR_CENTRE_POWER = 4.0


class DetectorTraining(BaseModel):
    """Settings of one training."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    epochs: int = 10
    batch_size: int = 16
    learning_rate: float = 3e-3
    weight_decay: float = 1e-2
    box_weight: float = 2.0
    seed: int = 0


@dataclass(frozen=True)
class Example:
    """A frame with its boxes: how to get the RGB picture, boxes_px [M,4] in it, classes [M]."""

    read: Callable[[], NDArray[np.uint8]]
    boxes_px: NDArray[np.float32]
    classes: NDArray[np.int64]


@dataclass(frozen=True)
class Targets:
    """Heat [N,7,80,80], boxes [N,4,80,80] in input pixels, weight [N,80,80] of each cell's box, number of objects."""

    heat: Tensor
    boxes_px: Tensor
    weight: Tensor
    objects: int


def train(examples: list[Example], config: DetectorTraining, report: Callable[[str], None]) -> InstrumentDetector:
    """Train a detector from random weights.

    Args:
        examples: frames with boxes; frames without any are as useful.
        config: settings; the seed decides weights, order and augmentation.
        report: receives one line an epoch.

    Returns:
        The network in evaluation mode.
    """
    torch.manual_seed(config.seed)
    rng = np.random.default_rng(config.seed)
    network = InstrumentDetector().to(memory_format=torch.channels_last)
    optimiser = torch.optim.AdamW(network.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay)
    steps = len(examples) // config.batch_size
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, config.learning_rate, total_steps=max(1, steps) * config.epochs, pct_start=0.15
    )
    network.train()
    for epoch in range(config.epochs):
        order = rng.permutation(len(examples))
        total = 0.0
        for step in range(steps):
            chosen = order[step * config.batch_size : (step + 1) * config.batch_size]
            images, targets = _batch([examples[i] for i in chosen], rng)
            heat, sides_px = network.maps(images)
            loss = heat_loss(heat, targets) + config.box_weight * box_loss(sides_px, targets)
            optimiser.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(network.parameters(), 10.0)
            optimiser.step()
            schedule.step()
            total += loss.item()
        report(f"epoch {epoch + 1}/{config.epochs}: loss {total / max(1, steps):.3f}")
    network.to(memory_format=torch.contiguous_format).eval()
    return network


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
    centres = (torch.arange(_CELLS, dtype=torch.float32) + 0.5) * STRIDE_PX
    x_px, y_px = centres.view(1, 1, -1), centres.view(1, -1, 1)
    left, top, right, bottom = sides_px.unbind(dim=1)
    return torch.stack([x_px - left, y_px - top, x_px + right, y_px + bottom], dim=1)


def _area(boxes: Tensor) -> Tensor:
    return (boxes[:, 2:] - boxes[:, :2]).prod(dim=1)


def _batch(examples: list[Example], rng: np.random.Generator) -> tuple[Tensor, Targets]:
    pictures, targets = [], []
    for example in examples:
        image, boxes_px = example.read(), example.boxes_px
        if coin(rng):
            image, boxes_px = image[:, ::-1], _mirrored(boxes_px, image.shape[1])
        fit = Fit.of(image.shape[1], image.shape[0], into_width_px=DETECTOR_SIDE_PX, into_height_px=DETECTOR_SIDE_PX)
        boxed = letterbox(np.ascontiguousarray(image), height_px=DETECTOR_SIDE_PX, width_px=DETECTOR_SIDE_PX)
        pictures.append(recolour(boxed, rng))
        targets.append(targets_of(fit.boxes_inside(boxes_px), example.classes))
    heat, boxes, weight = (torch.from_numpy(np.stack(parts)) for parts in zip(*targets, strict=True))
    images = torch.from_numpy(as_batch(np.stack(pictures))).contiguous(memory_format=torch.channels_last)
    return images, Targets(heat, boxes, weight, sum(len(example.classes) for example in examples))


def _mirrored(boxes_px: NDArray[np.float32], width_px: int) -> NDArray[np.float32]:
    mirrored = boxes_px.copy()
    mirrored[:, 0] = width_px - boxes_px[:, 2]
    mirrored[:, 2] = width_px - boxes_px[:, 0]
    return mirrored


def targets_of(
    boxes_px: NDArray[np.float32], classes: NDArray[np.int64]
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
    """Draw what the network should answer for one picture.

    Args:
        boxes_px: [M,4] in input pixels.
        classes: [M].

    Returns:
        heat [7,80,80], box [4,80,80] that each cell belongs to, weight [80,80] of that box (0 outside all). Where
        objects overlap, the smaller one owns the cell.
    """
    heat = np.zeros((len(INSTRUMENTS), _CELLS, _CELLS), dtype=np.float32)
    boxes = np.zeros((4, _CELLS, _CELLS), dtype=np.float32)
    weight = np.zeros((_CELLS, _CELLS), dtype=np.float32)
    sizes = (boxes_px[:, 2:] - boxes_px[:, :2]).prod(axis=1)
    for place in np.argsort(-sizes):
        kernel = _gaussian(boxes_px[place])
        channel = heat[classes[place]]
        np.maximum(channel, kernel, out=channel)
        covered = kernel > np.exp(-4.5)
        boxes[:, covered] = boxes_px[place][:, np.newaxis]
        weight[covered] = kernel[covered] / kernel[covered].sum()
    return heat, boxes, weight


def _gaussian(box_px: NDArray[np.float32]) -> NDArray[np.float32]:
    x_min, y_min, x_max, y_max = (float(value) / STRIDE_PX for value in box_px)
    column = min(_CELLS - 1, int((x_min + x_max) / 2))
    row = min(_CELLS - 1, int((y_min + y_max) / 2))
    sigma_x = max(_SMALLEST_SIGMA, _KERNEL_SHARE * (x_max - x_min) / 6)
    sigma_y = max(_SMALLEST_SIGMA, _KERNEL_SHARE * (y_max - y_min) / 6)
    places = np.arange(_CELLS, dtype=np.float32)
    across = np.exp(-((places - column) ** 2) / (2 * sigma_x**2))
    down = np.exp(-((places - row) ** 2) / (2 * sigma_y**2))
    return np.asarray(down[:, np.newaxis] * across, dtype=np.float32)
