"""Trains MS-TCN on sequences of features, then fits the temperature of its probabilities.

The loss is the paper's (Farha & Gall 2019, eq. 4-6): cross-entropy of every stage plus 0.15 times the truncated mean
squared difference of neighbouring log-probabilities. The temperature is Guo et al. 2017.
Belongs here: the training step, as the retraining loop calls it too. Does not belong here: where features come from.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from models.labels import PHASES
from models.loop import Epoch, Lesson, Training, Watch, best_device, learn, mixed_precision
from models.phase_segmenter.network import LAYERS, STAGES, PhaseSegmenter
from models.scoring.headline import mean_headline, phase_headline
from models.temperature import best_temperature

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Sequences = tuple[Sequence[NDArray[np.float32]], Sequence[NDArray[np.int64]]]

_IGNORED = -100
_STRIDES = (0.5, 1.0, 1.0, 2.0, 4.0)
"""Steps between training frames, in frames: the network meets sampling from a quarter to twice the given rate."""


class SegmenterTraining(Training):
    """Settings of one training; the defaults are the project's for `training.phase_segmentation`."""

    epochs: int = 100
    batch_size: int = 8
    learning_rate: float = 1e-3
    weight_decay: float = 1e-4
    warm_up_share: float = 0.1
    num_stages: int = STAGES
    num_layers: int = LAYERS
    dropout: float = 0.5
    feature_noise: float = 0.01
    smoothing_weight: float = 0.15
    smoothing_limit: float = 4.0


def train(
    known: Sequences, unseen: Sequences | None, config: SegmenterTraining, watch: Watch
) -> tuple[PhaseSegmenter, tuple[Epoch, ...]]:
    """Train a segmenter from random weights.

    Args:
        known: a [T,2048] array of features and a [T] array of phase indices an operation.
        unseen: the same of other operations, which decide the best epoch; None keeps the last one.
        config: settings; the seed decides weights, order and augmentation.
        watch: who follows.

    Returns:
        The network in evaluation mode, its temperature still 1; and its epochs.
    """
    torch.manual_seed(config.seed)
    network = PhaseSegmenter(stages=config.num_stages, layers=config.num_layers, dropout=config.dropout)
    features, phases = known
    place = best_device()

    def loss_of(chosen: NDArray[np.int64], rng: np.random.Generator) -> Tensor:
        batch = _padded([_resampled(features[i], phases[i], rng) for i in chosen])
        given, wanted, mask = (one.to(place) for one in batch)
        given = given + config.feature_noise * torch.randn_like(given)
        with mixed_precision(on_processor=False):
            answers = network.logits(given, mask)
        return torch.stack([stage_loss(logits.float(), wanted, mask, config) for logits in answers]).sum()

    validate = partial(figures_of, network, unseen) if unseen else None
    epochs = learn(Lesson(network, len(features), loss_of, validate), config, watch)
    return network, epochs


def figures_of(network: PhaseSegmenter, unseen: Sequences) -> dict[str, float]:
    """Give `val_accuracy`, `val_f1` and `val_temporal_iou`, means over operations (NV-050)."""
    place = next(network.parameters()).device
    rows = []
    for features, phases in zip(*unseen, strict=True):
        answer = network.logits(torch.from_numpy(features)[None].to(place))[-1][0].argmax(dim=0)
        rows.append(phase_headline(answer.cpu().numpy(), phases, phases=len(PHASES)))
    mean = mean_headline(rows)
    return {"val_accuracy": mean["accuracy"], "val_f1": mean["f1"], "val_temporal_iou": mean["overlap"]}


def stage_loss(logits: Tensor, wanted: Tensor, mask: Tensor, config: SegmenterTraining) -> Tensor:
    """Loss of one stage: logits [N,C,T], wanted [N,T] (-100 is padding), mask [N,1,T]."""
    classified = F.cross_entropy(logits, wanted, ignore_index=_IGNORED)
    logarithms = F.log_softmax(logits, dim=1)
    steps = (logarithms[:, :, 1:] - logarithms[:, :, :-1].detach()).square()
    truncated = steps.clamp(max=config.smoothing_limit**2) * mask[:, :, 1:]
    return classified + config.smoothing_weight * truncated.sum() / (mask[:, :, 1:].sum() * logits.shape[1])


def fit_temperature(
    network: PhaseSegmenter, features: Sequence[NDArray[np.float32]], phases: Sequence[NDArray[np.int64]]
) -> float:
    """Choose the temperature with the least negative log-likelihood on unseen operations; the network keeps it."""
    with torch.no_grad():
        logits = torch.cat([network.logits(torch.from_numpy(one)[None])[-1][0].T for one in features])
    best = best_temperature(logits, torch.from_numpy(np.concatenate(phases)))
    network.temperature.fill_(best)
    return best


def _resampled(
    features: NDArray[np.float32], phases: NDArray[np.int64], rng: np.random.Generator
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    stride = float(rng.choice(_STRIDES))
    places = np.arange(rng.uniform(0, stride), len(features), stride).astype(np.int64)
    return features[places], phases[places]


def _padded(pairs: Sequence[tuple[NDArray[np.float32], NDArray[np.int64]]]) -> tuple[Tensor, Tensor, Tensor]:
    longest = max(len(phases) for _, phases in pairs)
    given = torch.zeros(len(pairs), longest, pairs[0][0].shape[1])
    wanted = torch.full((len(pairs), longest), _IGNORED, dtype=torch.int64)
    mask = torch.zeros(len(pairs), 1, longest)
    for place, (features, phases) in enumerate(pairs):
        given[place, : len(phases)] = torch.from_numpy(features)
        wanted[place, : len(phases)] = torch.from_numpy(phases)
        mask[place, 0, : len(phases)] = 1.0
    return given, wanted, mask
