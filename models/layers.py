"""Blocks that the convolutional networks share.

Belongs here: layers without knowledge of a task. Does not belong here: whole networks (`<name>/network.py`).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


class ConvUnit(nn.Sequential):
    """Convolution, batch normalisation, ReLU; size is kept at stride 1 and halved at stride 2."""

    def __init__(self, inputs: int, outputs: int, *, kernel: int = 3, stride: int = 1) -> None:
        super().__init__(
            nn.Conv2d(inputs, outputs, kernel, stride, padding=kernel // 2, bias=False),
            nn.BatchNorm2d(outputs),
            nn.ReLU(inplace=True),
        )


class ResidualUnit(nn.Module):
    """Two 3x3 convolutions beside an identity (He et al. 2016, basic block); channels and size are kept."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = ConvUnit(channels, channels)
        self.second = nn.Sequential(nn.Conv2d(channels, channels, 3, padding=1, bias=False), nn.BatchNorm2d(channels))

    def forward(self, images: Tensor) -> Tensor:
        """Map [N,C,H,W] to the same shape."""
        return torch.relu(images + self.second(self.first(images)))


class Stage(nn.Sequential):
    """A convolution that halves the size, then residual units."""

    def __init__(self, inputs: int, outputs: int, *, units: int) -> None:
        super().__init__(ConvUnit(inputs, outputs, stride=2), *(ResidualUnit(outputs) for _ in range(units)))


class Standardise(nn.Module):
    """Subtract the training pictures' mean and divide by their deviation, inside the network."""

    mean: Tensor
    deviation: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mean", torch.full((1, 3, 1, 1), 0.4))
        self.register_buffer("deviation", torch.full((1, 3, 1, 1), 0.25))

    def fit(self, mean: Tensor, deviation: Tensor) -> None:
        """Take the mean and deviation, each [3] in 0..1, of the training pictures."""
        self.mean.copy_(mean.reshape(1, 3, 1, 1))
        self.deviation.copy_(deviation.reshape(1, 3, 1, 1))

    def forward(self, images: Tensor) -> Tensor:
        """Map RGB [N,3,H,W] in 0..1 to about zero mean and unit deviation."""
        return (images - self.mean) / self.deviation
