"""Trains the tissue segmenter: cross-entropy with softened class weights, and Dice for the small classes.

Belongs here: losses and the training step, as the retraining loop calls it too. Does not belong here: where frames come
from.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from models.anatomy_segmenter.network import AnatomySegmenter
from models.augment import coin, recolour
from models.labels import ANATOMY
from models.letterbox import as_batch
from models.loop import Epoch, Lesson, Training, Watch, best_device, learn, mixed_precision
from models.scoring.headline import area_headline
from models.temperature import best_temperature

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Pictures = tuple[NDArray[np.uint8], NDArray[np.uint8]]

_CROP_PX = (176, 240)
"""Height and width of the random cut-outs that are trained on: half of the pixels, half of the time."""
_MASK_CROP = (_CROP_PX[0] // 2, _CROP_PX[1] // 2)
_MASK_MARGIN = np.array([120 - _MASK_CROP[0], 160 - _MASK_CROP[1]])
_BATCH = 16
_CALIBRATION_STEP_PX = 8
_WEIGHT_POWER = 0.25
"""Class weights are frequencies to the power of minus this: rare classes count more, common ones are not drowned."""


class AnatomyTraining(Training):
    """Settings of one training; `dice_weight` is that of the Dice loss beside cross-entropy."""

    dice_weight: float = 0.5


def train(
    known: Pictures, unseen: Pictures | None, config: AnatomyTraining, watch: Watch
) -> tuple[AnatomySegmenter, tuple[Epoch, ...]]:
    """Train a segmenter from random weights.

    Args:
        known: RGB pictures [N,240,320,3], and the class of every pixel at half the size, [N,120,160].
        unseen: the same of other operations, which decide the best epoch; None keeps the last one.
        config: settings; the seed decides weights, order and augmentation.
        watch: who follows.

    Returns:
        The network in evaluation mode, and its epochs.
    """
    torch.manual_seed(config.seed)
    images, masks = known
    network = AnatomySegmenter()
    network.to(memory_format=torch.channels_last)
    place = best_device()
    weights = class_weights(masks).to(place)

    def loss_of(chosen: NDArray[np.int64], rng: np.random.Generator) -> Tensor:
        batch, wanted = (one.to(place) for one in _augmented(images[chosen], masks[chosen], rng))
        with mixed_precision():
            logits = network.logits(batch)
        logits = logits.float()
        return F.cross_entropy(logits, wanted, weight=weights) + config.dice_weight * dice_loss(logits, wanted)

    validate = partial(figures_of, network, unseen) if unseen else None
    epochs = learn(Lesson(network, len(images), loss_of, validate), config, watch)
    network.to(memory_format=torch.contiguous_format)
    return network, epochs


def figures_of(network: AnatomySegmenter, unseen: Pictures) -> dict[str, float]:
    """Give `val_accuracy` of pixels, `val_f1` (Dice) and `val_iou`, over all pictures together."""
    place = next(network.parameters()).device

    def answers() -> Iterator[tuple[NDArray[np.uint8], NDArray[np.int64]]]:
        for start in range(0, len(unseen[0]), _BATCH):
            images, masks = (part[start : start + _BATCH] for part in unseen)
            yield masks, network.logits(torch.from_numpy(as_batch(images)).to(place)).argmax(dim=1).cpu().numpy()

    figures = area_headline(answers(), classes=len(ANATOMY))
    return {"val_accuracy": figures["accuracy"], "val_f1": figures["f1"], "val_iou": figures["overlap"]}


def fit_temperature(network: AnatomySegmenter, unseen: Pictures) -> float:
    """Choose the temperature with the least negative log-likelihood on unseen pixels; the network keeps it.

    Class weights and Dice make a network surer of rare classes than it is right. Every eighth pixel of every eighth row
    is asked: neighbours say the same.
    """
    step = _CALIBRATION_STEP_PX
    logits, wanted = [], []
    with torch.no_grad():
        for start in range(0, len(unseen[0]), _BATCH):
            images, masks = (part[start : start + _BATCH] for part in unseen)
            answer = network.logits(torch.from_numpy(as_batch(images)))[:, :, ::step, ::step]
            logits.append(answer.permute(0, 2, 3, 1).reshape(-1, len(ANATOMY)))
            wanted.append(torch.from_numpy(masks[:, ::step, ::step].astype(np.int64)).reshape(-1))
    best = best_temperature(torch.cat(logits), torch.cat(wanted))
    network.temperature.fill_(best)
    return best


def class_weights(masks: NDArray[np.uint8]) -> Tensor:
    """Give a weight a class, with mean 1, higher for rare ones."""
    frequency = np.bincount(masks.ravel(), minlength=len(ANATOMY)) / masks.size
    weights = np.maximum(frequency, 1e-4) ** -_WEIGHT_POWER
    return torch.from_numpy((weights / weights.mean()).astype(np.float32))


def dice_loss(logits: Tensor, wanted: Tensor) -> Tensor:
    """1 - soft Dice over the batch, a mean over the classes that are in it (Milletari et al. 2016)."""
    probabilities = F.softmax(logits, dim=1)
    truth = F.one_hot(wanted, len(ANATOMY)).permute(0, 3, 1, 2).to(probabilities.dtype)
    both = (probabilities * truth).sum(dim=(0, 2, 3))
    sizes = probabilities.sum(dim=(0, 2, 3)) + truth.sum(dim=(0, 2, 3))
    present = truth.sum(dim=(0, 2, 3)) > 0
    return 1 - (2 * both / sizes.clamp_min(1.0))[present].mean()


def _augmented(images: NDArray[np.uint8], masks: NDArray[np.uint8], rng: np.random.Generator) -> tuple[Tensor, Tensor]:
    pictures, truths = [], []
    for whole, whole_mask in zip(images, masks, strict=True):
        top, left = (int(place) for place in rng.integers(0, _MASK_MARGIN + 1))
        image, mask = _cut(whole, 2 * top, 2 * left, _CROP_PX), _cut(whole_mask, top, left, _MASK_CROP)
        mirrored = coin(rng)
        pictures.append(recolour(image[:, ::-1] if mirrored else image, rng))
        truths.append(mask[:, ::-1] if mirrored else mask)
    batch = torch.from_numpy(as_batch(np.stack(pictures)))
    wanted = torch.from_numpy(np.stack(truths).astype(np.int64))
    return batch.contiguous(memory_format=torch.channels_last), wanted


def _cut(picture: NDArray[np.uint8], top: int, left: int, size: tuple[int, int]) -> NDArray[np.uint8]:
    return picture[top : top + size[0], left : left + size[1]]
