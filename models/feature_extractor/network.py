"""The backbone: a small residual network that turns a frame into 2048 numbers and says how unfamiliar it is.

Belongs here: layers and the novelty formula. Does not belong here: data, losses, fitting (`train.py`).
"""

from __future__ import annotations

from typing import Final

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from models.contracts import FEATURE_WIDTH
from models.labels import INSTRUMENTS, PHASES
from models.layers import ConvUnit, Stage, Standardise

_CHANNELS: Final = (16, 32, 64, 96, 160)
DESCRIPTOR_WIDTH: Final = sum(_CHANNELS[1:]) * 2
NOVELTY_DIRECTIONS: Final = 128


class Novelty(nn.Module):
    """Mahalanobis distance from a Gaussian fitted to descriptors of the training frames (Lee et al. 2018).

    It is measured in the Gaussian's widest directions. The distance is divided by a scale, so that 1.0 stands at the
    99th percentile of unseen simulated frames.
    """

    mean: Tensor
    whitening: Tensor
    scale: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(DESCRIPTOR_WIDTH))
        self.register_buffer("whitening", torch.eye(DESCRIPTOR_WIDTH, NOVELTY_DIRECTIONS))
        self.register_buffer("scale", torch.ones(1))

    def forward(self, descriptors: Tensor) -> Tensor:
        """Map descriptors [N,D] to novelty [N,1], 0 at the centre of the training frames."""
        whitened = (descriptors - self.mean) @ self.whitening
        return whitened.square().mean(dim=1, keepdim=True).sqrt() / self.scale


class FeatureExtractor(nn.Module):
    """Frames [N,3,192,256] (RGB, 0..1) to features [N,2048] (unit length) and novelty [N,1]."""

    def __init__(self) -> None:
        super().__init__()
        stem, *widths = _CHANNELS
        self.standardise = Standardise()
        self.stem = ConvUnit(3, stem, kernel=5, stride=2)
        inputs = [stem, *widths[:-1]]
        self.stages = nn.ModuleList(Stage(before, after, units=1) for before, after in zip(inputs, widths, strict=True))
        self.project = nn.Linear(2 * widths[-1], FEATURE_WIDTH)
        self.novelty = Novelty()

    def describe(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Give features before normalisation [N,2048] and the descriptors [N,D] that novelty is measured on.

        A descriptor holds the mean and the deviation of every stage's channels: the early stages see colour and
        grain, the late ones shapes; a picture from another world differs in some of them.
        """
        current = self.stem(self.standardise(images))
        statistics = []
        for stage in self.stages:
            current = stage(current)
            flat = current.flatten(2)
            mean = flat.mean(dim=2)
            variance = (flat - mean.unsqueeze(2)).square().mean(dim=2)
            statistics += [mean, torch.sqrt(variance + 1e-6)]
        pooled = torch.cat([statistics[-2], current.amax(dim=(2, 3))], dim=1)
        return torch.relu(self.project(pooled)), torch.cat(statistics, dim=1)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Give (features [N,2048] of unit length, novelty [N,1])."""
        features, descriptors = self.describe(images)
        return F.normalize(features, dim=1, eps=1e-6), self.novelty(descriptors)


class TrainingHeads(nn.Module):
    """What the features are trained to tell: the phase of the frame and the instruments in it."""

    def __init__(self) -> None:
        super().__init__()
        self.phase = nn.Linear(FEATURE_WIDTH, len(PHASES))
        self.presence = nn.Linear(FEATURE_WIDTH, len(INSTRUMENTS))
        self.gain = nn.Parameter(torch.tensor(20.0))

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """Map unit-length features [N,2048] to phase logits [N,11] and presence logits [N,7]."""
        scaled = features * self.gain
        return self.phase(scaled), self.presence(scaled)
