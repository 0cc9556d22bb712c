"""Trains the tissue segmenter: cross-entropy with softened class weights, and Dice for the small classes.

Belongs here: losses and the training step, as the retraining loop calls it too. Does not belong here: where frames come
from.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict
from torch import Tensor
from torch.nn import functional as F

from models.anatomy_segmenter.network import AnatomySegmenter
from models.augment import coin, recolour
from models.labels import ANATOMY
from models.letterbox import as_batch

if TYPE_CHECKING:
    from numpy.typing import NDArray

_WEIGHT_POWER = 0.25
"""Class weights are frequencies to the power of minus this: rare classes count more, common ones are not drowned."""


class AnatomyTraining(BaseModel):
    """Settings of one training."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    epochs: int = 10
    batch_size: int = 16
    learning_rate: float = 3e-3
    weight_decay: float = 1e-2
    dice_weight: float = 0.5
    seed: int = 0


def train(
    images: NDArray[np.uint8],
    masks: NDArray[np.uint8],
    config: AnatomyTraining,
    report: Callable[[str], None],
) -> AnatomySegmenter:
    """Train a segmenter from random weights.

    Args:
        images: RGB [N,240,320,3].
        masks: class of every pixel at half the size, [N,120,160].
        config: settings; the seed decides weights, order and augmentation.
        report: receives one line an epoch.

    Returns:
        The network in evaluation mode.
    """
    torch.manual_seed(config.seed)
    rng = np.random.default_rng(config.seed)
    network = AnatomySegmenter().to(memory_format=torch.channels_last)
    weights = class_weights(masks)
    optimiser = torch.optim.AdamW(network.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay)
    steps = len(images) // config.batch_size
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, config.learning_rate, total_steps=max(1, steps) * config.epochs, pct_start=0.15
    )
    network.train()
    for epoch in range(config.epochs):
        order = rng.permutation(len(images))
        total = 0.0
        for step in range(steps):
            chosen = np.sort(order[step * config.batch_size : (step + 1) * config.batch_size])
            batch, wanted = _augmented(images[chosen], masks[chosen], rng)
            logits = network.logits(batch)
            loss = F.cross_entropy(logits, wanted, weight=weights) + config.dice_weight * dice_loss(logits, wanted)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
            total += loss.item()
        report(f"epoch {epoch + 1}/{config.epochs}: loss {total / max(1, steps):.3f}")
    network.to(memory_format=torch.contiguous_format).eval()
    return network


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
    for image, mask in zip(images, masks, strict=True):
        mirrored = coin(rng)
        pictures.append(recolour(image[:, ::-1] if mirrored else image, rng))
        truths.append(mask[:, ::-1] if mirrored else mask)
    batch = torch.from_numpy(as_batch(np.stack(pictures)))
    wanted = torch.from_numpy(np.stack(truths).astype(np.int64))
    return batch.contiguous(memory_format=torch.channels_last), wanted
