"""What the default models do on real laparoscopic clips, which they have never seen and were not made for.

Belongs here: reading a folder of clips with a label file each, and honest figures. Does not belong here: the clips
(their licence keeps them out of the repository).
"""

from __future__ import annotations

import csv
from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from models.contracts import CONTRACTS, DETECTOR, EXTRACTOR, SEGMENTER
from models.data import HEIGHT_PX, WIDTH_PX, clip_frames
from models.engine import ExportedModel, extract_features, segment_phases
from models.labels import INSTRUMENTS, PHASES
from models.letterbox import letterbox

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Frames = list[NDArray[np.uint8]]
    Rows = list[dict[str, str]]

SPELLINGS: Final = {"carlot-triangle-dissection": "calot-triangle-dissection"}
"""CholecT50 spells one phase otherwise."""
_THRESHOLD: Final = 0.5


def score_clips(repository: Path, folder: Path, names: Collection[str]) -> dict[str, dict[str, Any]]:
    """Give the figures of every `*.mp4` in the folder for each of these models that the clips can be scored for.

    Labels are in `<name>.csv` beside a clip; there are none for tissue.
    """
    scorers = {EXTRACTOR: _novelty_figures, SEGMENTER: _phase_figures, DETECTOR: _instrument_figures}
    scores: dict[str, dict[str, Any]] = {name: {} for name in names if name in scorers}
    for path in sorted(folder.glob("*.mp4")):
        frames, rows = clip_frames(path), _labels(path.with_suffix(".csv"))
        for name, figures in scores.items():
            figures[path.stem] = scorers[name](repository, frames, rows)
    return scores


def _novelty_figures(repository: Path, frames: Frames, rows: Rows) -> dict[str, float]:
    novelty = extract_features(repository, _stacked(frames, EXTRACTOR))[1]
    filled = extract_features(repository, _stacked([_cropped(frame) for frame in frames], EXTRACTOR))[1]
    return {
        "frames": len(rows),
        "share_above_1": float((novelty > 1).mean()),
        "share_above_1_cropped_to_fill": float((filled > 1).mean()),
        "novelty_p05": float(np.percentile(novelty, 5)),
        "novelty_p50": float(np.percentile(novelty, 50)),
    }


def _phase_figures(repository: Path, frames: Frames, rows: Rows) -> dict[str, float]:
    probabilities = segment_phases(repository, extract_features(repository, _stacked(frames, EXTRACTOR))[0])
    truth = np.array([PHASES.index(SPELLINGS.get(row["phase"], row["phase"])) for row in rows])
    return {
        "accuracy": float((probabilities.argmax(axis=1) == truth).mean()),
        "majority_accuracy": float(np.bincount(truth).max() / len(truth)),
        "mean_confidence": float(probabilities.max(axis=1).mean()),
    }


def _instrument_figures(repository: Path, frames: Frames, rows: Rows) -> dict[str, float]:
    model = ExportedModel(repository, DETECTOR)
    found = np.zeros((len(frames), len(INSTRUMENTS)), dtype=bool)
    for place, frame in enumerate(frames):
        answer = model.run_images(_stacked([frame], DETECTOR))
        found[place, answer["classes"][0][answer["scores"][0] > _THRESHOLD]] = True
    truth = np.array([[name in row["tools"] for name in INSTRUMENTS] for row in rows])
    hits = int((found & truth).sum())
    return {
        "presence_precision": hits / max(1, int(found.sum())),
        "presence_recall": hits / max(1, int(truth.sum())),
    }


def _labels(path: Path) -> Rows:
    with path.open(newline="") as stream:
        return list(csv.DictReader(stream))


def _stacked(frames: Frames, name: str) -> NDArray[np.uint8]:
    """Fit frames as the stages do: first into the stored size, then into the model's."""
    height_px, width_px = CONTRACTS[name].picture_px
    stored = [letterbox(frame, height_px=HEIGHT_PX, width_px=WIDTH_PX) for frame in frames]
    return np.stack([letterbox(frame, height_px=height_px, width_px=width_px) for frame in stored])


def _cropped(frame: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Cut the sides off, so that the picture has the proportions of a stored frame and gets no bars."""
    width_px = min(frame.shape[1], frame.shape[0] * WIDTH_PX // HEIGHT_PX)
    left_px = (frame.shape[1] - width_px) // 2
    return np.ascontiguousarray(frame[:, left_px : left_px + width_px])
