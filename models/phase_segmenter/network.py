"""MS-TCN: phases of every frame from the features of the whole operation (Farha & Gall, CVPR 2019).

Belongs here: layers. Does not belong here: the loss, data, temperature fitting (`train.py`).
"""

from __future__ import annotations

from typing import Final

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from models.contracts import FEATURE_WIDTH
from models.labels import PHASES

STAGES: Final = 4
LAYERS: Final = 10
MAPS: Final = 64


class DilatedResidual(nn.Module):
    """A dilated 3-tap convolution, ReLU and a 1x1 convolution beside an identity."""

    def __init__(self, *, dilation: int, maps: int, dropout: float) -> None:
        super().__init__()
        self.dilated = nn.Conv1d(maps, maps, 3, padding=dilation, dilation=dilation)
        self.mix = nn.Conv1d(maps, maps, 1)
        self.dropout = nn.Dropout(dropout)

    def forward(self, sequence: Tensor) -> Tensor:
        """Map [N,C,T] to the same shape."""
        return sequence + self.dropout(self.mix(torch.relu(self.dilated(sequence))))


class SingleStage(nn.Module):
    """Layers with dilations 1, 2, 4, … 2^(layers-1), between two 1x1 convolutions."""

    def __init__(self, inputs: int, *, classes: int, layers: int, maps: int, dropout: float) -> None:
        super().__init__()
        self.enter = nn.Conv1d(inputs, maps, 1)
        self.layers = nn.ModuleList(
            DilatedResidual(dilation=2**depth, maps=maps, dropout=dropout) for depth in range(layers)
        )
        self.leave = nn.Conv1d(maps, classes, 1)

    def forward(self, sequence: Tensor, mask: Tensor | None) -> Tensor:
        """Map [N,T,inputs] to logits [N,classes,T]; `mask` [N,1,T] keeps padding at zero as silence would be.

        The first convolution is one picture wide: as a matrix product it needs no turned copy of the features, which
        are by far the largest thing in a long video.
        """
        current = F.linear(sequence, self.enter.weight[:, :, 0], self.enter.bias).transpose(1, 2)
        for layer in self.layers:
            current = current if mask is None else current * mask
            current = layer(current)
        return self.leave(current)


class PhaseSegmenter(nn.Module):
    """Features [N,T,2048] to calibrated probabilities [N,T,classes]."""

    temperature: Tensor

    def __init__(self, *, stages: int = STAGES, layers: int = LAYERS, maps: int = MAPS, dropout: float = 0.5) -> None:
        super().__init__()
        classes = len(PHASES)
        widths = [FEATURE_WIDTH] + [classes] * (stages - 1)
        self.stages = nn.ModuleList(
            SingleStage(width, classes=classes, layers=layers, maps=maps, dropout=dropout) for width in widths
        )
        self.register_buffer("temperature", torch.ones(1))

    def logits(self, features: Tensor, mask: Tensor | None = None) -> list[Tensor]:
        """Give every stage's logits [N,classes,T]; a stage reads the softmax of the one before it."""
        given = features
        answers: list[Tensor] = []
        for stage in self.stages:
            answers.append(stage(given, mask))
            given = F.softmax(answers[-1], dim=1)
            given = (given if mask is None else given * mask).transpose(1, 2)
        return answers

    def forward(self, features: Tensor) -> Tensor:
        """Give the last stage's probabilities [N,T,classes], its logits divided by the fitted temperature."""
        final = self.logits(features)[-1].transpose(1, 2)
        return F.softmax(final / self.temperature, dim=2)
