"""What the default models do on real laparoscopic clips, which they have never seen and were not made for.

Belongs here: reading a folder of clips with a label file each, and honest figures. Does not belong here: the clips
(their licence keeps them out of the repository).
"""

from __future__ import annotations

import csv
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from models.contracts import CONTRACTS, DETECTOR, EXTRACTOR
from models.data import HEIGHT_PX, WIDTH_PX, clip_frames
from models.engine import ExportedModel, extract_features, segment_phases
from models.labels import INSTRUMENTS, PHASES
from models.letterbox import letterbox

if TYPE_CHECKING:
    from numpy.typing import NDArray

SPELLINGS: Final = {"carlot-triangle-dissection": "calot-triangle-dissection"}
"""CholecT50 spells one phase otherwise."""
_THRESHOLD: Final = 0.5


def score_clips(repository: Path, folder: Path) -> dict[str, dict[str, Any]]:
    """Give the figures of every `*.mp4` in the folder, under the name of its model; labels are in `<name>.csv`."""
    scores: dict[str, dict[str, Any]] = {EXTRACTOR: {}, "phase_segmenter": {}, DETECTOR: {}}
    for path in sorted(folder.glob("*.mp4")):
        frames = clip_frames(path)
        height_px, width_px = CONTRACTS[EXTRACTOR].picture_px
        barred = _stacked(frames, height_px, width_px)
        filled = _stacked([_cropped(frame) for frame in frames], height_px, width_px)
        features, novelty = extract_features(repository, barred)
        _, novelty_filled = extract_features(repository, filled)
        scores[EXTRACTOR][path.stem] = {
            "frames": len(frames),
            "share_above_1": float((novelty > 1).mean()),
            "share_above_1_cropped_to_fill": float((novelty_filled > 1).mean()),
            "novelty_p05": float(np.percentile(novelty, 5)),
            "novelty_p50": float(np.percentile(novelty, 50)),
        }
        rows = _labels(path.with_suffix(".csv"))
        scores["phase_segmenter"][path.stem] = _phase_figures(segment_phases(repository, features), rows)
        scores[DETECTOR][path.stem] = _instrument_figures(_detected(repository, frames), rows)
    return scores


def _labels(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as stream:
        return list(csv.DictReader(stream))


def _phase_figures(probabilities: NDArray[np.float32], rows: list[dict[str, str]]) -> dict[str, float]:
    truth = np.array([PHASES.index(SPELLINGS.get(row["phase"], row["phase"])) for row in rows])
    return {
        "accuracy": float((probabilities.argmax(axis=1) == truth).mean()),
        "majority_accuracy": float(np.bincount(truth).max() / len(truth)),
        "mean_confidence": float(probabilities.max(axis=1).mean()),
    }


def _instrument_figures(found: NDArray[np.bool_], rows: list[dict[str, str]]) -> dict[str, float]:
    truth = np.array([[name in row["tools"] for name in INSTRUMENTS] for row in rows])
    hits = int((found & truth).sum())
    return {
        "presence_precision": hits / max(1, int(found.sum())),
        "presence_recall": hits / max(1, int(truth.sum())),
    }


def _detected(repository: Path, frames: list[NDArray[np.uint8]]) -> NDArray[np.bool_]:
    model = ExportedModel(repository, DETECTOR)
    table = np.zeros((len(frames), len(INSTRUMENTS)), dtype=bool)
    for place, frame in enumerate(frames):
        answer = model.run_images(_stacked([frame], *CONTRACTS[DETECTOR].picture_px))
        table[place, answer["classes"][0][answer["scores"][0] > _THRESHOLD]] = True
    return table


def _stacked(frames: list[NDArray[np.uint8]], height_px: int, width_px: int) -> NDArray[np.uint8]:
    stored = [letterbox(frame, height_px=HEIGHT_PX, width_px=WIDTH_PX) for frame in frames]
    return np.stack([letterbox(frame, height_px=height_px, width_px=width_px) for frame in stored])


def _cropped(frame: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Cut the sides off, so that the picture has the proportions of a stored frame and gets no bars."""
    width_px = min(frame.shape[1], frame.shape[0] * WIDTH_PX // HEIGHT_PX)
    left_px = (frame.shape[1] - width_px) // 2
    return np.ascontiguousarray(frame[:, left_px : left_px + width_px])
