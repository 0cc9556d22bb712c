"""What models marked on a key frame, as shapes in pixels of the picture.

Belongs here: masks to outlines, scaling of boxes. Does not belong here: painting them (`pictures`), SVG markup (the
template).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from neurovision_assets.surgery.report.masks import decode_mask
from neurovision_assets.surgery.report.model import KeyFrame

OUTLINE_TOLERANCE_PX = 1.0
"""Outlines may deviate from the mask by this much; the masks themselves are coarser."""

SMALLEST_OUTLINE_PX = 30.0
"""Specks below this area are noise to a reader; they still count in every figure."""

LABELS_A_WIDTH = 32
"""Label font sizes that make a picture's width."""

LABEL_REACH = 0.45
"""Width of a usual label as a share of the picture's: names differ by language, places do not."""

Polygon = npt.NDArray[np.int32]


@dataclass(frozen=True)
class Outline:
    """A tissue: polygons [n, 2] of (x, y), even-odd rule, so that holes stay holes."""

    structure: str
    polygons: tuple[Polygon, ...]

    @property
    def path(self) -> str:
        """The polygons as the data of an SVG path."""
        rings = ("L".join(f"{x} {y}" for x, y in polygon.tolist()) for polygon in self.polygons)
        return "".join(f"M{ring}Z" for ring in rings)


@dataclass(frozen=True)
class Label:
    """Where a box's text stands: its baseline's start, or its end when it runs to the left."""

    x_px: float
    y_px: float
    ends_here: bool


@dataclass(frozen=True)
class MarkedBox:
    """An instrument: corner and size in pixels of the picture, and the place of its label."""

    instrument: str
    score: float
    x_px: float
    y_px: float
    width_px: float
    height_px: float
    label: Label


@dataclass(frozen=True)
class Overlay:
    """All marks of one picture of this size."""

    width_px: int
    height_px: int
    outlines: tuple[Outline, ...]
    boxes: tuple[MarkedBox, ...]


def overlay(frame: KeyFrame, frame_size_px: tuple[int, int], picture_size_px: tuple[int, int]) -> Overlay:
    """Marks of a key frame on its picture.

    Args:
        frame: the key frame; its boxes and masks are in pixels of the stored frame.
        frame_size_px: width, height of the stored frame.
        picture_size_px: width, height of the picture that is shown.
    """
    scale_x, scale_y = (shown / stored for shown, stored in zip(picture_size_px, frame_size_px, strict=True))
    outlines = tuple(
        Outline(mask.structure, polygons)
        for mask in frame.masks
        if (polygons := _polygons(mask.rle, frame_size_px, (scale_x, scale_y)))
    )
    boxes: list[MarkedBox] = []
    for box in frame.boxes:
        x, y = round(box.x_min_px * scale_x, 1), round(box.y_min_px * scale_y, 1)
        width = round((box.x_max_px - box.x_min_px) * scale_x, 1)
        height = round((box.y_max_px - box.y_min_px) * scale_y, 1)
        label = _label((x, y, width, height), picture_size_px, [other.label for other in boxes])
        boxes.append(MarkedBox(box.instrument, box.score, x, y, width, height, label))
    return Overlay(*picture_size_px, outlines=outlines, boxes=tuple(boxes))


def label_size_px(picture_width_px: int) -> float:
    """Size of the labels' font."""
    return picture_width_px / LABELS_A_WIDTH


def _label(box: tuple[float, float, float, float], picture_px: tuple[int, int], taken: list[Label]) -> Label:
    """Above the box, else below, else inside: the first place in the picture that no other label has."""
    x, y, width, height = box
    size = label_size_px(picture_px[0])
    ends = x + width > picture_px[0] - x
    at = x + width if ends else x
    baselines = (y - 0.4 * size, y + height + 1.15 * size, y + 1.15 * size)
    inside = [baseline for baseline in baselines if size <= baseline <= picture_px[1]] or [baselines[2]]
    labels = [Label(round(at, 1), round(baseline, 1), ends) for baseline in inside]
    reach = LABEL_REACH * picture_px[0]
    free = (label for label in labels if not any(_collide(label, other, size, reach) for other in taken))
    return next(free, labels[0])


def _collide(one: Label, other: Label, size_px: float, reach_px: float) -> bool:
    starts = [label.x_px - reach_px if label.ends_here else label.x_px for label in (one, other)]
    return abs(one.y_px - other.y_px) < 1.3 * size_px and abs(starts[0] - starts[1]) < reach_px


def _polygons(rle: str, frame_size_px: tuple[int, int], scale: tuple[float, float]) -> tuple[Polygon, ...]:
    import cv2

    contours, _ = cv2.findContours(decode_mask(rle, frame_size_px), cv2.RETR_CCOMP, cv2.CHAIN_APPROX_SIMPLE)
    simple: list[Any] = [
        cv2.approxPolyDP(contour, OUTLINE_TOLERANCE_PX, closed=True)[:, 0, :]
        for contour in contours
        if cv2.contourArea(contour) >= SMALLEST_OUTLINE_PX
    ]
    return tuple(np.rint(polygon * np.array(scale)).astype(np.int32) for polygon in simple)
