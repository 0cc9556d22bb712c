"""Trains the backbone on the phase of the frame and the instruments in it, then fits its novelty.

Belongs here: the training step, as the retraining loop calls it too. Does not belong here: where frames come from.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from models.augment import coin, recolour
from models.feature_extractor.network import NOVELTY_DIRECTIONS, FeatureExtractor, TrainingHeads
from models.letterbox import as_batch
from models.loop import FrameTraining, mixed_precision, run_epochs

if TYPE_CHECKING:
    from numpy.typing import NDArray

_SHRINKAGE = 0.02
"""Share of the mean variance added to every direction: directions that training frames hardly use stay finite."""
_CALIBRATION_PERCENTILE = 99.0


class ExtractorTraining(FrameTraining):
    """Settings of one training."""

    batch_size: int = 32
    label_smoothing: float = 0.1


def train(
    images: NDArray[np.uint8],
    phases: NDArray[np.int64],
    presence: NDArray[np.float32],
    config: ExtractorTraining,
    report: Callable[[str], None],
) -> FeatureExtractor:
    """Train a backbone from random weights.

    Args:
        images: RGB [N,192,256,3].
        phases: [N], index of the phase.
        presence: [N,7], 1 where the instrument is seen.
        config: settings; the seed decides weights, order and augmentation.
        report: receives one line an epoch.

    Returns:
        The network in evaluation mode; its novelty is not fitted yet.
    """
    torch.manual_seed(config.seed)
    rng = np.random.default_rng(config.seed)
    network = FeatureExtractor()
    heads = TrainingHeads()
    network.standardise.fit(*_channel_statistics(images))
    network.to(memory_format=torch.channels_last).train()

    def loss_of(chosen: NDArray[np.int64]) -> Tensor:
        with mixed_precision():
            features, _ = network.describe(_augmented(images[chosen], rng))
        phase_logits, presence_logits = heads(F.normalize(features.float(), dim=1, eps=1e-6))
        named = F.cross_entropy(phase_logits, torch.from_numpy(phases[chosen]), label_smoothing=config.label_smoothing)
        return named + F.binary_cross_entropy_with_logits(presence_logits, torch.from_numpy(presence[chosen]))

    run_epochs([*network.parameters(), *heads.parameters()], len(images), loss_of, config, report)
    network.to(memory_format=torch.contiguous_format).eval()
    return network


def fit_novelty(
    network: FeatureExtractor, training: NDArray[np.uint8], unseen: NDArray[np.uint8], *, batch_size: int = 64
) -> None:
    """Fit the Gaussian on training pictures and its scale on unseen ones, both RGB [N,192,256,3]."""
    known = _descriptors(network, training, batch_size)
    mean = known.mean(dim=0)
    values, directions = torch.linalg.eigh(torch.cov(known.T))
    widest = slice(len(values) - NOVELTY_DIRECTIONS, None)
    spread = torch.sqrt(values[widest].clamp_min(0) + _SHRINKAGE * values.mean().clamp_min(1e-8))
    novelty = network.novelty
    novelty.mean.copy_(mean)
    novelty.whitening.copy_(directions[:, widest] / spread)
    novelty.scale.fill_(1.0)
    distances = novelty(_descriptors(network, unseen, batch_size).to(torch.float32)).numpy()
    novelty.scale.fill_(float(np.percentile(distances, _CALIBRATION_PERCENTILE)))


def _descriptors(network: FeatureExtractor, images: NDArray[np.uint8], batch_size: int) -> Tensor:
    network.eval()
    parts = []
    with torch.no_grad():
        for start in range(0, len(images), batch_size):
            batch = torch.from_numpy(as_batch(images[start : start + batch_size]))
            parts.append(network.describe(batch)[1])
    return torch.cat(parts).to(torch.float64)


def _channel_statistics(images: NDArray[np.uint8]) -> tuple[Tensor, Tensor]:
    sample = images[:: max(1, len(images) // 500)].astype(np.float32) / 255.0
    return torch.from_numpy(sample.mean(axis=(0, 1, 2))), torch.from_numpy(sample.std(axis=(0, 1, 2)))


def _augmented(images: NDArray[np.uint8], rng: np.random.Generator) -> Tensor:
    changed = [recolour(image[:, ::-1] if coin(rng) else image, rng) for image in images]
    batch = torch.from_numpy(as_batch(np.stack(changed)))
    return batch.contiguous(memory_format=torch.channels_last)
