"""What the default models do on real laparoscopic clips, which they have never seen and were not made for.

Belongs here: reading a folder of clips with a label file each, and honest figures. Does not belong here: the clips
(their licence keeps them out of the repository).
"""

from __future__ import annotations

import csv
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from models.contracts import CONTRACTS, DETECTOR, EXTRACTOR, SEGMENTER
from models.data import HEIGHT_PX, WIDTH_PX, clip_frames
from models.engine import ExportedModel, extract_features, segment_phases
from models.evaluate import Report
from models.labels import CHOLEC80_PHASES, INSTRUMENTS, cholec80_ids
from models.letterbox import letterbox
from models.scoring.calibration import calibration_scores, novelty_scores
from models.scoring.phases import unrelaxed_scores
from models.scoring.presence import presence_scores

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Frames = list[NDArray[np.uint8]]
    Rows = list[dict[str, str]]

SPELLINGS: Final = {"carlot-triangle-dissection": "calot-triangle-dissection"}
"""CholecT50 spells one phase otherwise."""


def score_clips(repository: Path, folder: Path, names: Collection[str]) -> dict[str, Report]:
    """Give the figures of every `*.mp4` in the folder for each of these models that the clips can be scored for.

    Labels are in `<name>.csv` beside a clip; there are none for tissue.

    Raises:
        ValueError: as `clips_of`.
    """
    scorers = {EXTRACTOR: _novelty_figures, SEGMENTER: _phase_figures, DETECTOR: _instrument_figures}
    scores: dict[str, Report] = {name: {} for name in names if name in scorers}
    for path, frames, rows in clips_of(folder):
        for name, figures in scores.items():
            figures[path.stem] = scorers[name](repository, frames, rows)
    return scores


def clips_of(folder: Path) -> Iterator[tuple[Path, Frames, Rows]]:
    """Walk over the clips of a folder with their frames and a row of labels for each.

    Raises:
        ValueError: there is no clip, or one whose labels are missing, unknown, or not one for each frame.
    """
    paths = sorted(folder.glob("*.mp4"))
    if not paths:
        raise ValueError(f"{folder} has no clips: give a folder of *.mp4 files with a *.csv of labels beside each")
    for path in paths:
        labels = path.with_suffix(".csv")
        if not labels.is_file():
            raise ValueError(f"{path} has no labels: put {labels.name} beside it, or take the clip away")
        frames, rows = clip_frames(path), _labels(labels)
        if len(rows) != len(frames):
            raise ValueError(f"{labels} has {len(rows)} rows for {len(frames)} frames: give one for each")
        for row in rows:
            _require_labels(labels, row)
        yield path, frames, rows


def _require_labels(path: Path, row: dict[str, str]) -> None:
    missing = {"phase", "tools"} - row.keys()
    if missing:
        raise ValueError(f"{path} has no column '{min(missing)}': its labels are those of CholecT50")
    if SPELLINGS.get(row["phase"], row["phase"]) not in CHOLEC80_PHASES:
        raise ValueError(f"{path} names a phase '{row['phase']}' that Cholec80 does not have")


def _novelty_figures(repository: Path, frames: Frames, _: Rows) -> Report:
    """Novelty of the frames, and of the same without the bars that may tell them apart."""
    filled = [_cropped(frame) for frame in frames]
    return {
        name: novelty_scores(extract_features(repository, stacked(pictures, EXTRACTOR))[1]).as_json()
        for name, pictures in (("novelty", frames), ("novelty_cropped_to_fill", filled))
    }


def _phase_figures(repository: Path, frames: Frames, rows: Rows) -> Report:
    probabilities = seven_phases(repository, extract_features(repository, stacked(frames, EXTRACTOR))[0])
    truth = np.array([phase_id(row["phase"]) for row in rows])
    phases = unrelaxed_scores([(probabilities.argmax(axis=1), truth)], CHOLEC80_PHASES)
    return {"phases": phases.as_json(), "calibration": calibration_scores(probabilities, truth).as_json()}


def _instrument_figures(repository: Path, frames: Frames, rows: Rows) -> Report:
    truth = np.array([[name in row["tools"] for name in INSTRUMENTS] for row in rows])
    return {"presence": presence_scores(seen_instruments(repository, frames), truth, INSTRUMENTS).as_json()}


def phase_id(name: str) -> int:
    """Give the Cholec80 id of a phase as CholecT50 spells it."""
    return CHOLEC80_PHASES.index(SPELLINGS.get(name, name))


def seven_phases(repository: Path, features: NDArray[np.float32]) -> NDArray[np.float32]:
    """Segment one operation's features [T,2048]: probabilities [T,7] of Cholec80's phases."""
    counts_as = np.eye(len(CHOLEC80_PHASES), dtype=np.float32)[cholec80_ids()]
    return np.asarray(segment_phases(repository, features) @ counts_as)


def seen_instruments(repository: Path, frames: Frames) -> NDArray[np.float32]:
    """Give the detector's highest score for every instrument in every frame, [N,7]."""
    model = ExportedModel(repository, DETECTOR)
    scores = np.zeros((len(frames), len(INSTRUMENTS)), dtype=np.float32)
    for place, frame in enumerate(frames):
        answer = model.run_images(stacked([frame], DETECTOR))
        np.maximum.at(scores[place], answer["classes"][0], answer["scores"][0])
    return scores


def _labels(path: Path) -> Rows:
    with path.open(newline="") as stream:
        return list(csv.DictReader(stream))


def stacked(frames: Frames, name: str) -> NDArray[np.uint8]:
    """Fit frames as the stages do, first into the stored size, then into the model's: [N,H,W,3]."""
    height_px, width_px = CONTRACTS[name].picture_px
    stored = [letterbox(frame, WIDTH_PX, HEIGHT_PX)[0] for frame in frames]
    return np.stack([letterbox(frame, width_px, height_px)[0] for frame in stored])


def _cropped(frame: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Cut the sides off, so that the picture has the proportions of a stored frame and gets no bars."""
    width_px = min(frame.shape[1], frame.shape[0] * WIDTH_PX // HEIGHT_PX)
    left_px = (frame.shape[1] - width_px) // 2
    return np.ascontiguousarray(frame[:, left_px : left_px + width_px])
