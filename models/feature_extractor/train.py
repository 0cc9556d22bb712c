"""Trains the backbone on the phase of the frame and the instruments in it, then fits its novelty.

Belongs here: the training step, as the retraining loop calls it too. Does not belong here: where frames come from.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from models.augment import coin, recolour
from models.feature_extractor.network import FeatureExtractor, TrainingHeads
from models.letterbox import as_batch
from models.loop import Epoch, Lesson, Training, Watch, best_device, learn, mixed_precision
from models.outliers import outlier_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

_SMALLEST_DEVIATION = 1e-2
"""A channel statistic that hardly varies would be blown up until two engines disagree about novelty."""
_DOUBT = 0.02
"""Share of wrong labels that the judge must reckon with: its logits stay small, for the same reason."""
_CALIBRATION_PERCENTILE = 99.0


class ExtractorTraining(Training):
    """Settings of one training."""

    batch_size: int = 32
    label_smoothing: float = 0.1


class NoveltyTraining(Training):
    """Settings of the judge's training."""

    epochs: int = 20
    batch_size: int = 64
    learning_rate: float = 1e-3
    weight_decay: float = 5e-2


def train(
    images: NDArray[np.uint8],
    phases: NDArray[np.int64],
    presence: NDArray[np.float32],
    config: ExtractorTraining,
    watch: Watch,
) -> tuple[FeatureExtractor, tuple[Epoch, ...]]:
    """Train a backbone from random weights.

    Args:
        images: RGB [N,192,256,3].
        phases: [N], index of the phase.
        presence: [N,7], 1 where the instrument is seen.
        config: settings; the seed decides weights, order and augmentation.
        watch: who follows.

    Returns:
        The network in evaluation mode, its novelty not fitted yet; and its epochs.
    """
    torch.manual_seed(config.seed)
    network = FeatureExtractor()
    heads = TrainingHeads()
    network.standardise.fit(*_channel_statistics(images))
    network.to(memory_format=torch.channels_last)
    place = best_device()

    def loss_of(chosen: NDArray[np.int64], rng: np.random.Generator) -> Tensor:
        batch = _augmented(images[chosen], rng).to(place)
        with mixed_precision():
            features = network.features(network.maps(batch)[-1])
        phase_logits, presence_logits = heads(F.normalize(features.float(), dim=1, eps=1e-6))
        wanted, seen = (torch.from_numpy(one[chosen]).to(place) for one in (phases, presence))
        named = F.cross_entropy(phase_logits, wanted, label_smoothing=config.label_smoothing)
        return named + F.binary_cross_entropy_with_logits(presence_logits, seen)

    epochs = learn(Lesson(nn.ModuleList([network, heads]), len(images), loss_of), config, watch)
    network.to(memory_format=torch.contiguous_format)
    return network, epochs


def fit_novelty(
    network: FeatureExtractor,
    training: NDArray[np.uint8],
    unseen: NDArray[np.uint8],
    config: NoveltyTraining,
    watch: Watch,
) -> None:
    """Train the judge of novelty and set its scale.

    Args:
        network: trained; its judge and its scale are changed in place.
        training: RGB [N,192,256,3], familiar as they are and strange when distorted.
        unseen: RGB [M,192,256,3] of other operations; their 99th percentile becomes 1.0.
        config: settings; the seed decides distortions, weights and order.
        watch: who follows.
    """
    torch.manual_seed(config.seed)
    rng = np.random.default_rng(config.seed)
    novelty = network.novelty
    recoloured = np.stack([recolour(image, rng) if coin(rng) else image for image in training])
    others = training[rng.permutation(len(training))]
    distorted = np.stack([outlier_of(image, other, rng) for image, other in zip(training, others, strict=True)])
    familiar, strange = descriptors_of(network, recoloured), descriptors_of(network, distorted)
    novelty.mean.copy_(familiar.mean(dim=0))
    novelty.deviation.copy_(familiar.std(dim=0).clamp_min(_SMALLEST_DEVIATION))
    examples = torch.cat([familiar, strange])
    wanted = torch.cat([torch.full((len(familiar), 1), _DOUBT), torch.full((len(strange), 1), 1 - _DOUBT)])
    place = best_device()

    def loss_of(chosen: NDArray[np.int64], _: np.random.Generator) -> Tensor:
        return F.binary_cross_entropy_with_logits(novelty.logit(examples[chosen].to(place)), wanted[chosen].to(place))

    learn(Lesson(novelty, len(examples), loss_of), config, watch)
    with torch.no_grad():
        distances = F.softplus(novelty.logit(descriptors_of(network, unseen))).numpy()
    novelty.scale.fill_(float(np.percentile(distances, _CALIBRATION_PERCENTILE)))


def descriptors_of(network: FeatureExtractor, images: NDArray[np.uint8], *, batch_size: int = 64) -> Tensor:
    """Give what novelty is judged by: [N,D] of pictures [N,192,256,3]."""
    network.eval()
    parts = []
    with torch.no_grad():
        for start in range(0, len(images), batch_size):
            batch = torch.from_numpy(as_batch(images[start : start + batch_size]))
            parts.append(network.novelty.describe(batch, network.maps(batch)))
    return torch.cat(parts)


def _channel_statistics(images: NDArray[np.uint8]) -> tuple[Tensor, Tensor]:
    sample = images[:: max(1, len(images) // 500)].astype(np.float32) / 255.0
    return torch.from_numpy(sample.mean(axis=(0, 1, 2))), torch.from_numpy(sample.std(axis=(0, 1, 2)))


def _augmented(images: NDArray[np.uint8], rng: np.random.Generator) -> Tensor:
    changed = [recolour(image[:, ::-1] if coin(rng) else image, rng) for image in images]
    batch = torch.from_numpy(as_batch(np.stack(changed)))
    return batch.contiguous(memory_format=torch.channels_last)
