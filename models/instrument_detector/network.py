"""A centre-point detector: instruments as peaks of heat maps, with the distances to the sides of their boxes.

Peaks after CenterNet ("Objects as Points", Zhou et al. 2019); four distances to the sides instead of a size and an
offset after TTFNet (Liu et al. 2020), because boxes from 20 to 400 pixels come from one map.
Belongs here: layers and the decoding inside the graph. Does not belong here: targets and losses (`train.py`).
"""

from __future__ import annotations

import math
from typing import Final, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from models.contracts import DETECTIONS, DETECTOR_SIDE_PX
from models.labels import INSTRUMENTS
from models.layers import ConvUnit, Stage, Standardise

STRIDE_PX: Final = 8
_PEAK_WINDOW: Final = 5
_PRIOR: Final = 0.02
"""Heat that an untrained cell shows (Lin et al. 2017): without it the first steps drown in background."""
_NECK: Final = 48
_LEAST_HEAT: Final = 1e-6
"""Scores that a picture without as many peaks is filled up with have a logit too."""


class InstrumentDetector(nn.Module):
    """Frames [N,3,640,640] (RGB, 0..1) to boxes [N,K,4] in input pixels, calibrated scores [N,K] and classes [N,K]."""

    scale: Tensor
    offset: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.standardise = Standardise()
        self.stem = nn.Sequential(nn.Conv2d(3, 24, 4, stride=4, bias=False), nn.BatchNorm2d(24), nn.ReLU(inplace=True))
        self.down8 = Stage(24, 32, units=1)
        self.down16 = Stage(32, 64, units=2)
        self.down32 = Stage(64, 96, units=2)
        self.down64 = Stage(96, 128, units=1)
        self.lateral = nn.ModuleList(nn.Conv2d(width, _NECK, 1) for width in (32, 64, 96, 128))
        self.smooth = nn.ModuleList(ConvUnit(_NECK, _NECK) for _ in range(3))
        self.heat = nn.Conv2d(_NECK, len(INSTRUMENTS), 1)
        self.sides = nn.Conv2d(_NECK, 4, 1)
        self.register_buffer("scale", torch.tensor(1.0))
        self.register_buffer("offset", torch.tensor(0.0))
        nn.init.constant_(cast("Tensor", self.heat.bias), -math.log((1 - _PRIOR) / _PRIOR))

    def calibrate(self, scale: float, offset: float) -> None:
        """Set what the scores' logits are multiplied by, and what is added then."""
        self.scale.fill_(scale)
        self.offset.fill_(offset)

    def maps(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Give heat logits [N,7,80,80] and distances [N,4,80,80] from cell centres to left, top, right, bottom, px."""
        at8 = self.down8(self.stem(self.standardise(images)))
        at16 = self.down16(at8)
        at32 = self.down32(at16)
        at64 = self.down64(at32)
        current = self.lateral[3](at64)
        for level, finer in ((2, at32), (1, at16), (0, at8)):
            grown = F.interpolate(current, scale_factor=2.0, mode="nearest")
            current = self.smooth[level](grown + self.lateral[level](finer))
        sides_px = F.softplus(self.sides(current)) * (4 * STRIDE_PX)
        return self.heat(current), sides_px

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Give the K strongest peaks: boxes (x_min, y_min, x_max, y_max), scores, classes (int32)."""
        logits, sides_px = self.maps(images)
        boxes, heat, classes = decode(torch.sigmoid(logits), sides_px)
        return boxes, torch.sigmoid(self.scale * torch.logit(heat, _LEAST_HEAT) + self.offset), classes


def decode(heat: Tensor, sides_px: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Pick local maxima of the heat and the boxes around them, clipped to the picture.

    Args:
        heat: [N,C,h,w] in 0..1.
        sides_px: [N,4,h,w], distances to left, top, right, bottom.

    Returns:
        boxes [N,K,4] in input pixels, scores [N,K] in falling order, classes [N,K] int32.
    """
    height, width = heat.shape[2], heat.shape[3]
    cells = height * width
    highest = F.max_pool2d(heat, _PEAK_WINDOW, stride=1, padding=_PEAK_WINDOW // 2)
    peaks = torch.where(heat >= highest, heat, torch.zeros_like(heat))
    scores, places = torch.topk(peaks.flatten(1), DETECTIONS, dim=1)
    classes = torch.div(places, cells, rounding_mode="floor")
    cell = places - classes * cells
    row = torch.div(cell, width, rounding_mode="floor")
    x_px = ((cell - row * width).float() + 0.5) * STRIDE_PX
    y_px = (row.float() + 0.5) * STRIDE_PX
    picked = torch.gather(sides_px.flatten(2), 2, cell.unsqueeze(1).expand(-1, 4, -1))
    left, top, right, bottom = picked.unbind(dim=1)
    corners = torch.stack([x_px - left, y_px - top, x_px + right, y_px + bottom], dim=2)
    return corners.clamp(0.0, float(DETECTOR_SIDE_PX)), scores, classes.to(torch.int32)
