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
_GRAM_CHANNELS: Final = _CHANNELS[1]
DESCRIPTOR_WIDTH: Final = 2 * sum(_CHANNELS[1:]) + _GRAM_CHANNELS**2
_JUDGE_WIDTH: Final = 64
_BLACK: Final = 0.04
"""Mean of R, G, B below which a pixel is outside of the round view, or a bar."""
_LARGEST_DEVIATION: Final = 8.0


class Novelty(nn.Module):
    """How unlike the training frames a frame is, judged by the statistics of the stages' channels.

    A descriptor holds the mean and the logarithm of the variance of every stage's channels and the correlations of the
    first stage's (the style of a picture: Gatys et al. 2016), over what is visible, so that bars and the dark around
    the view do not count. A small classifier that was trained on simulated frames against distorted ones gives a
    logit; its softplus is divided by a scale, so that 1.0 stands at the 99th percentile of unseen simulated frames.
    """

    mean: Tensor
    deviation: Tensor
    scale: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(DESCRIPTOR_WIDTH))
        self.register_buffer("deviation", torch.ones(DESCRIPTOR_WIDTH))
        self.register_buffer("scale", torch.ones(1))
        self.judge = nn.Sequential(
            nn.Linear(DESCRIPTOR_WIDTH, _JUDGE_WIDTH), nn.ReLU(), nn.Dropout(0.2), nn.Linear(_JUDGE_WIDTH, 1)
        )

    @staticmethod
    def describe(images: Tensor, maps: list[Tensor]) -> Tensor:
        """Give descriptors [N,D] of images [N,3,H,W] and their stages' maps."""
        visible = (images.mean(dim=1, keepdim=True) > _BLACK).to(images.dtype)
        visible = F.avg_pool2d(visible, 2)
        parts = []
        for level, channels in enumerate(maps):
            visible = F.avg_pool2d(visible, 2)
            weight = (visible > 0.99).to(images.dtype)
            count = weight.sum(dim=(2, 3)).clamp_min(1.0)
            mean = (channels * weight).sum(dim=(2, 3)) / count
            centred = (channels - mean[:, :, None, None]) * weight
            variance = centred.square().sum(dim=(2, 3)) / count
            parts += [mean, torch.log(variance + 1e-3)]
            if level == 0:
                alike = (centred / torch.sqrt(variance + 1e-4)[:, :, None, None]).flatten(2)
                parts.append((alike @ alike.transpose(1, 2)).flatten(1) / count)
        return torch.cat(parts, dim=1)

    def logit(self, descriptors: Tensor) -> Tensor:
        """Give the classifier's answer [N,1], above 0 where a frame looks more like a distorted one."""
        standard = (descriptors - self.mean) / self.deviation
        return self.judge(standard.clamp(-_LARGEST_DEVIATION, _LARGEST_DEVIATION))

    def forward(self, images: Tensor, maps: list[Tensor]) -> Tensor:
        """Give novelty [N,1], 0 or more."""
        return F.softplus(self.logit(self.describe(images, maps))) / self.scale


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

    def maps(self, images: Tensor) -> list[Tensor]:
        """Give every stage's channels, from [N,32,48,64] to [N,160,6,8]."""
        current = self.stem(self.standardise(images))
        answers = []
        for stage in self.stages:
            current = stage(current)
            answers.append(current)
        return answers

    def features(self, last: Tensor) -> Tensor:
        """Give features [N,2048] before normalisation, from the last stage's channels."""
        pooled = torch.cat([last.mean(dim=(2, 3)), last.amax(dim=(2, 3))], dim=1)
        return torch.relu(self.project(pooled))

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Give (features [N,2048] of unit length, novelty [N,1])."""
        maps = self.maps(images)
        return F.normalize(self.features(maps[-1]), dim=1, eps=1e-6), self.novelty(images, maps)


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
