"""Trains MS-TCN on sequences of features, then fits the temperature of its probabilities.

The loss is the paper's (Farha & Gall 2019, eq. 4-6): cross-entropy of every stage plus 0.15 times the truncated mean
squared difference of neighbouring log-probabilities. The temperature is Guo et al. 2017.
Belongs here: the training step, as the retraining loop calls it too. Does not belong here: where features come from.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict
from torch import Tensor
from torch.nn import functional as F

from models.phase_segmenter.network import LAYERS, STAGES, PhaseSegmenter

if TYPE_CHECKING:
    from numpy.typing import NDArray

_IGNORED = -100
_STRIDES = (0.5, 1.0, 1.0, 2.0, 4.0)
"""Steps between training frames, in frames: the network meets sampling from a quarter to twice the given rate."""
_TEMPERATURES = np.geomspace(0.25, 8.0, 141)


class SegmenterTraining(BaseModel):
    """Settings of one training; the defaults are the project's for `training.phase_segmentation`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    epochs: int = 100
    batch_size: int = 8
    learning_rate: float = 1e-3
    weight_decay: float = 1e-4
    num_stages: int = STAGES
    num_layers: int = LAYERS
    dropout: float = 0.5
    feature_noise: float = 0.01
    smoothing_weight: float = 0.15
    smoothing_limit: float = 4.0
    seed: int = 0


def train(
    features: Sequence[NDArray[np.float32]],
    phases: Sequence[NDArray[np.int64]],
    config: SegmenterTraining,
    report: Callable[[str], None],
) -> PhaseSegmenter:
    """Train a segmenter from random weights.

    Args:
        features: a [T,2048] array an operation.
        phases: a [T] array of phase indices an operation.
        config: settings; the seed decides weights, order and augmentation.
        report: receives a line every ten epochs.

    Returns:
        The network in evaluation mode, its temperature still 1.
    """
    torch.manual_seed(config.seed)
    rng = np.random.default_rng(config.seed)
    network = PhaseSegmenter(stages=config.num_stages, layers=config.num_layers, dropout=config.dropout)
    optimiser = torch.optim.AdamW(network.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay)
    steps = -(-len(features) // config.batch_size)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, config.learning_rate, total_steps=steps * config.epochs, pct_start=0.1
    )
    network.train()
    for epoch in range(config.epochs):
        order = rng.permutation(len(features))
        total = 0.0
        for step in range(steps):
            chosen = order[step * config.batch_size : (step + 1) * config.batch_size]
            given, wanted, mask = _padded([_resampled(features[i], phases[i], rng) for i in chosen])
            given = given + config.feature_noise * torch.randn_like(given)
            loss = torch.stack(
                [stage_loss(logits, wanted, mask, config) for logits in network.logits(given, mask)]
            ).sum()
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
            total += loss.item()
        if (epoch + 1) % 10 == 0:
            report(f"epoch {epoch + 1}/{config.epochs}: loss {total / steps:.3f}")
    network.eval()
    return network


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
    wanted = torch.from_numpy(np.concatenate(phases))
    losses = [F.cross_entropy(logits / float(temperature), wanted).item() for temperature in _TEMPERATURES]
    best = float(_TEMPERATURES[int(np.argmin(losses))])
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
