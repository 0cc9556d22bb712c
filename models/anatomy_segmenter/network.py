"""A small encoder and decoder: the tissue class of every pixel (after U-Net, Ronneberger et al. 2015).

Skips are added, not concatenated, and the answer stands at half the input's size: both for speed on a processor.
Belongs here: layers. Does not belong here: data and losses (`train.py`).
"""

from __future__ import annotations

from typing import Final

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from models.labels import ANATOMY
from models.layers import ConvUnit, Stage, Standardise

_WIDTHS: Final = (16, 32, 64, 96)
_DECODER: Final = 32


class AnatomySegmenter(nn.Module):
    """Frames [N,3,240,320] (RGB, 0..1) to calibrated class probabilities [N,9,120,160]."""

    temperature: Tensor

    def __init__(self) -> None:
        super().__init__()
        first, second, third, fourth = _WIDTHS
        self.standardise = Standardise()
        self.stem = ConvUnit(3, first, kernel=5, stride=2)
        self.down4 = Stage(first, second, units=1)
        self.down8 = Stage(second, third, units=2)
        self.down16 = Stage(third, fourth, units=2)
        self.lateral = nn.ModuleList(nn.Conv2d(width, _DECODER, 1) for width in (second, third, fourth))
        self.smooth = nn.ModuleList(ConvUnit(_DECODER, _DECODER) for _ in range(2))
        self.narrow = nn.Conv2d(_DECODER, first, 1)
        self.finish = ConvUnit(first, first)
        self.classify = nn.Conv2d(first, len(ANATOMY), 1)
        self.register_buffer("temperature", torch.ones(1))

    def logits(self, images: Tensor) -> Tensor:
        """Give class logits [N,9,120,160]."""
        at2 = self.stem(self.standardise(images))
        at4 = self.down4(at2)
        at8 = self.down8(at4)
        current = self.lateral[2](self.down16(at8))
        for level, finer in ((1, at8), (0, at4)):
            grown = F.interpolate(current, scale_factor=2.0, mode="nearest")
            current = self.smooth[level](grown + self.lateral[level](finer))
        grown = F.interpolate(self.narrow(current), scale_factor=2.0, mode="bilinear", align_corners=False)
        return self.classify(self.finish(grown + at2))

    def forward(self, images: Tensor) -> Tensor:
        """Give class probabilities [N,9,120,160]."""
        return F.softmax(self.logits(images) / self.temperature, dim=1)
