"""A video as a short row of named figures: what is compared between a week and the reference.

Belongs here: from a video's stored tables to its row, the same for new videos and for the reference. Does not belong
here: comparing rows (``compare``), finding tables (``week``), making them from pictures (``reference``).

The video is the unit, not the frame: neighbouring frames say the same, so a test over frames finds every video
different. Figures are means and shares, so that they do not depend on a video's length. A figure that a video cannot
have (the scores of boxes where there are none) is left out of its row; a class's share that is left out is 0.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Final

import numpy as np
import pyarrow as pa

from models.contracts import ANATOMIST, DETECTOR, SEGMENTER
from neurovision_assets.schemas import FEATURE_WIDTH

if TYPE_CHECKING:
    from numpy.typing import NDArray

FIGURES_VERSION: Final = 1
"""Raised whenever a figure changes its meaning: older references are then not compared with."""
LOW_QUANTILE: Final = 0.1
UNFAMILIAR_FROM: Final = 1.0
"""Novelty of the 99th percentile of unseen pictures of the training's kind."""
APPEARANCES: Final = 8
"""Directions in which the mean embedding is looked at."""
SHARE: Final = "_share/"
"""In the name of a share of a class, before the class."""
_DIRECTIONS_SEED: Final = 20_261_122

Row = dict[str, float]

COLUMNS: Final[Mapping[str, tuple[str, ...]]] = {
    "features": ("features", "novelty"),
    "phases": ("phase", "confidence"),
    "instruments": ("frame_index", "instrument", "score"),
    "anatomy": ("structure", "area_fraction", "confidence"),
}
"""What is read of each stage's main table."""
STAGES_OF: Final[Mapping[str, tuple[str, ...]]] = {
    SEGMENTER: ("features", "phases"),
    DETECTOR: ("instruments",),
    ANATOMIST: ("anatomy",),
}
"""The stages that show how a trained model fares. Pictures as such are the segmenter's matter, which brings the
extractor along."""


def features_row(batches: Iterable[pa.RecordBatch]) -> Row:
    """What the pictures look like: the mean embedding in a few fixed directions, its spread, how unfamiliar they are.

    Args:
        batches: of the features table, at least one row together.
    """
    total, frames, novelties = np.zeros(FEATURE_WIDTH), 0, []
    for batch in batches:
        vectors = batch.column("features").flatten().to_numpy().reshape(-1, FEATURE_WIDTH)
        total += vectors.sum(axis=0, dtype=np.float64)
        frames += len(vectors)
        novelties.append(batch.column("novelty").drop_null().to_numpy().astype(np.float64))
    mean, novelty = total / frames, np.concatenate(novelties)
    seen = {f"appearance/{place}": float(value) for place, value in enumerate(directions() @ mean, start=1)}
    row = {**seen, "variety": 1.0 - float(mean @ mean)}
    if not len(novelty):
        return row
    return {
        **row,
        "novelty/mean": float(novelty.mean()),
        "novelty/high": float(np.quantile(novelty, 1 - LOW_QUANTILE)),
        "novelty/unfamiliar_share": float((novelty > UNFAMILIAR_FROM).mean()),
    }


def phases_row(table: pa.Table) -> Row:
    """How sure the segmenter is, and the share of each phase.

    Args:
        table: of the phases, at least one row.
    """
    phases, confidence = table["phase"].to_numpy(zero_copy_only=False), _floats(table["confidence"])
    shares = {f"phase{SHARE}{name}": float((phases == name).mean()) for name in np.unique(phases)}
    return {**_sureness("phase_confidence", confidence), **shares}


def instruments_row(table: pa.Table, frames: int) -> Row:
    """How sure the detector is, how much it finds, and in which share of the frames each instrument is seen.

    Args:
        table: of the detections.
        frames: how many frames were looked at.
    """
    names, frame = table["instrument"].to_numpy(zero_copy_only=False), table["frame_index"].to_numpy()
    shares = {f"instrument{SHARE}{name}": len(np.unique(frame[names == name])) / frames for name in np.unique(names)}
    return {
        **_sureness("instrument_score", _floats(table["score"])),
        "instruments_a_frame": table.num_rows / frames,
        **shares,
    }


def anatomy_row(table: pa.Table, frames: int) -> Row:
    """How sure the tissue segmenter is, and the mean share of the picture that each tissue takes.

    Args:
        table: of the structures.
        frames: how many frames were looked at.
    """
    names, area = table["structure"].to_numpy(zero_copy_only=False), _floats(table["area_fraction"])
    shares = {f"anatomy{SHARE}{name}": float(area[names == name].sum()) / frames for name in np.unique(names)}
    return {**_sureness("anatomy_confidence", _floats(table["confidence"])), **shares}


ROW_OF: Final[Mapping[str, Callable[[pa.Table, int], Row]]] = {
    "features": lambda table, _: features_row(table.to_batches()),
    "phases": lambda table, _: phases_row(table),
    "instruments": instruments_row,
    "anatomy": anatomy_row,
}


def directions() -> NDArray[np.float64]:
    """Fixed random directions of unit length, [8,2048]; they keep distances (Johnson and Lindenstrauss 1984).

    They depend on no data, as principal components of the reference would, which fit the reference better than
    anything new. ``RandomState`` because NumPy promises its numbers for ever.
    """
    signs = np.random.RandomState(_DIRECTIONS_SEED).randint(0, 2, (APPEARANCES, FEATURE_WIDTH))
    return np.asarray((2.0 * signs - 1.0) / np.sqrt(FEATURE_WIDTH))


def _sureness(name: str, values: NDArray[np.float64]) -> Row:
    if not len(values):
        return {}
    return {f"{name}/mean": float(values.mean()), f"{name}/low": float(np.quantile(values, LOW_QUANTILE))}


def _floats(column: pa.ChunkedArray) -> NDArray[np.float64]:
    return np.asarray(column.to_numpy(), dtype=np.float64)
