"""Figures of each frame that rules look at, from small pictures.

Belongs here: what a picture says by its colours alone, and a signal's usual level. Does not belong here: thresholds
(``rules.yaml``), spans (`spans`). Novelty of features is not used: it says that a picture is unlike the models'
training pictures, which every picture of another hospital is, and not that the camera is outside.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from models.letterbox import FrameGeometry
from neurovision_assets.surgery.pictures import REDUCTIONS, Images, PictureBatch
from neurovision_assets.surgery.timeline import Times

Signal = npt.NDArray[np.float64]
"""float64 [frames]; not a number where the frame says nothing."""

AREA_COLUMNS = ("frame_index", "structure", "area_fraction", "confidence")
"""What is read of the anatomy table; the masks' run lengths, most of it, are not."""
BOX_COLUMNS = ("frame_index", "instrument", "score", "x_min_px", "y_min_px", "x_max_px", "y_max_px")
"""What rules read of `schemas.DETECTIONS`."""
SMALL_WIDTH_PX = 160
LIT = 24
"""Least value of a pixel's brightest channel (of 255) that counts: below lies the black around the round view."""
MIN_VIEW = 0.05
"""A picture of which less is lit shows nothing: the camera is off, or in the dark of the trocar."""
FOREIGN_EXCESS = 1.06
"""Tissue is never greener or bluer than red by this factor; drapes and gowns are."""
FOREIGN_SATURATION = 0.08
"""Least saturation of a foreign colour: smoke is bluish and grey."""
TISSUE_WARMTH = 0.15
"""Tissue, fat included, has at least this much less blue than red."""
HAZE_PERCENTILE = 20
"""Instruments and highlights are pale without smoke; they rarely take more than four fifths of the view."""
LOW_PERCENTILE = 5
"""Below lie single dark pixels of shadows and instruments."""
BASELINE_STEPS = 20
"""A signal's usual level is computed this often in each window and interpolated between."""


@dataclass(frozen=True)
class PictureSignals:
    """What the colours of each frame say, float64 [frames] each.

    Attributes:
        view: share of the picture that is lit.
        outside: share of foreign colours times share of what is not coloured like tissue, 0..1. After the colour
            criterion of Münzer et al. (Relevance segmentation of laparoscopic videos, ISM 2013).
        haze: 20th percentile of the darkest channel, 0..1: the dark channel prior (He et al., CVPR 2009), which smoke
            breaks, taken over the whole view instead of small patches.
        spread: median less 5th percentile of the darkest channel, 0..1. Smoke drifts in clouds and widens it; a fogged
            lens veils everything alike and narrows it.
    """

    view: Signal
    outside: Signal
    haze: Signal
    spread: Signal


def reduction_for(geometry: FrameGeometry) -> int:
    """Divisor for `pictures.decode_frames` that leaves at least `SMALL_WIDTH_PX` of width."""
    return max(divisor for divisor in REDUCTIONS if divisor == 1 or geometry.width_px >= divisor * SMALL_WIDTH_PX)


def picture_signals(batches: Iterable[PictureBatch], geometry: FrameGeometry) -> PictureSignals:
    """Measure small pictures in one pass; one batch is in memory at a time.

    Args:
        batches: frames in order of time, reduced by any divisor.
        geometry: how the source picture lies in the unreduced frame.
    """
    rows = [_measure(image) for batch in batches for image in _without_padding(batch.images, geometry)]
    columns = np.array(rows, dtype=np.float64).reshape(-1, 4).T
    return PictureSignals(view=columns[0], outside=columns[1], haze=columns[2], spread=columns[3])


def area_signal(frame_index: npt.NDArray[np.int32], anatomy: pa.Table, structure: str) -> tuple[Signal, Signal]:
    """Area and confidence of one structure in every frame, 0 where it is not seen.

    Args:
        frame_index: int32 [n], rising.
        anatomy: at least `AREA_COLUMNS` of `schemas.ANATOMY`.
        structure: its name.

    Returns:
        Share of the picture and mean probability, float64 [n] each.
    """
    own = np.array(anatomy.column("structure").to_pylist(), dtype=object) == structure
    place = np.searchsorted(frame_index, anatomy.column("frame_index").to_numpy()[own])
    area, confidence = np.zeros(len(frame_index)), np.zeros(len(frame_index))
    area[place] = anatomy.column("area_fraction").to_numpy()[own]
    confidence[place] = anatomy.column("confidence").to_numpy()[own]
    return area, confidence


def tip_area(frame_index: npt.NDArray[np.int32], boxes: pa.Table, instrument: str) -> Signal:
    """Area of the box around an instrument's tip in every frame, px²; of the surest box where there are several.

    Args:
        frame_index: int32 [n], rising.
        boxes: `schemas.DETECTIONS`, `BOX_COLUMNS` of it.
        instrument: its class.

    Returns:
        float64 [n]; not a number where it is not seen.
    """
    own = boxes.filter(pc.equal(boxes["instrument"], instrument)).sort_by("score")
    x_min, y_min, x_max, y_max = (own[name].to_numpy().astype(np.float64) for name in BOX_COLUMNS[3:])
    area = np.full(len(frame_index), np.nan)
    area[np.searchsorted(frame_index, own["frame_index"].to_numpy())] = (x_max - x_min) * (y_max - y_min)
    return area


def usual_level(signal: Signal, timestamp_ms: Times, window_ms: int, percentile: float) -> Signal:
    """A percentile of the signal in the window around each frame; frames that say nothing are left out.

    Args:
        signal: float64 [n].
        timestamp_ms: int64 [n], rising.
        window_ms: length of the window, half of it before and half after.
        percentile: 0..100.
    """
    known = np.isfinite(signal)
    if not known.any():
        return np.zeros_like(signal)
    values, times = signal[known], timestamp_ms[known]
    step = max(1, window_ms // BASELINE_STEPS)
    grid = np.arange(int(timestamp_ms[0]), int(timestamp_ms[-1]) + step, step)
    first = np.searchsorted(times, grid - window_ms / 2)
    after = np.searchsorted(times, grid + window_ms / 2, side="right")
    filled = after > first
    levels = [float(np.percentile(values[a:b], percentile)) for a, b in zip(first[filled], after[filled], strict=True)]
    return np.interp(timestamp_ms, grid[filled], levels)


def _without_padding(images: Images, geometry: FrameGeometry) -> Images:
    """The picture inside reduced frames; pixels that are part padding are left out."""
    divisor = geometry.width_px / images.shape[2]
    rows, columns = geometry.inner
    top, left = int(np.ceil(rows.start / divisor)), int(np.ceil(columns.start / divisor))
    bottom, right = max(top + 1, int(rows.stop / divisor)), max(left + 1, int(columns.stop / divisor))
    return images[:, top:bottom, left:right]


def _measure(image: npt.NDArray[np.uint8]) -> tuple[float, float, float, float]:
    """View, outside, haze and spread of one small RGB picture."""
    brightest = image.max(axis=2)
    lit = brightest > LIT
    view = float(lit.mean())
    if view < MIN_VIEW:
        return view, np.nan, np.nan, np.nan
    red, green, blue = image[lit].astype(np.float32).T
    top, bottom = brightest[lit].astype(np.float32), np.minimum(np.minimum(red, green), blue)
    foreign = (np.maximum(green, blue) > FOREIGN_EXCESS * red) & (top - bottom > FOREIGN_SATURATION * top)
    tissue = (red >= green) & (red - blue > TISSUE_WARMTH * red)
    low, haze, middle = (float(value) / 255 for value in np.percentile(bottom, (LOW_PERCENTILE, HAZE_PERCENTILE, 50)))
    return view, float(foreign.mean() * (1 - tissue.mean())), haze, middle - low
