"""What the default models are worth on real operations, and what their frozen features are worth with a fitted head.

Two operations of CholecT50 (VID70, VID74), about 220 labelled seconds in all. A head is logistic regression
(scikit-learn, its default settings, features standardised) on the frozen backbone, fitted on one operation and scored
on the other, beside the default weights and beside the baseline that always says what was most common in the operation
that the head was fitted on. Where EfficientNet-Lite0 is installed (``efficientnet.py``), its features get heads too.
``python -m benchmarks.real_heads FOLDER``, the folder of ``VID70`` and ``VID70.json``.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.efficientnet import efficientnet_features, is_installed
from benchmarks.measure import REPOSITORY, machine
from models.build import REPOSITORY as MODELS
from models.contracts import EXTRACTOR
from models.data import decode_jpeg
from models.engine import extract_features
from models.labels import CHOLEC80_PHASES, INSTRUMENTS
from models.real_clips import phase_id, seen_instruments, seven_phases, stacked
from models.scoring.phases import unrelaxed_scores
from models.scoring.presence import presence_scores

DEFAULT_FOLDER = REPOSITORY.parent / "shared" / "data" / "surgery" / "cholect50"
VIDEOS = ("VID70", "VID74")
INSTRUMENT_FIELD, PHASE_FIELD = 1, 14
"""Places in a label of CholecT50 (its label_mapping and README)."""
MOST_STEPS = 2000
OURS, THEIRS = "our features", "EfficientNet-Lite0"


@dataclass(frozen=True)
class Labelled:
    """The labelled pictures of one real operation.

    Attributes:
        frames: RGB, in order of time.
        phases: int64 [T], Cholec80's ids.
        presence: bool [T,7].
        features: float32 [T,D] of each frozen backbone; ours is what the default weights take.
    """

    frames: list[npt.NDArray[np.uint8]]
    phases: npt.NDArray[np.int64]
    presence: npt.NDArray[np.bool_]
    features: dict[str, npt.NDArray[np.float32]]


def labelled(folder: Path, video: str) -> Labelled:
    """Read the pictures that have a label; the file's name is the second."""
    document = json.loads((folder / f"{video}.json").read_text())
    names = document["categories"]
    frames, phases, presence = [], [], []
    for path in sorted((folder / video).glob("*.jpg")):
        rows = document["annotations"].get(str(int(path.stem)))
        if not rows:
            continue
        tools = {names["instrument"].get(str(row[INSTRUMENT_FIELD])) for row in rows}
        frames.append(decode_jpeg(path.read_bytes()))
        phases.append(phase_id(names["phase"][str(rows[0][PHASE_FIELD])]))
        presence.append([name in tools for name in INSTRUMENTS])
    features = {OURS: extract_features(MODELS, stacked(frames, EXTRACTOR))[0]}
    if is_installed():
        features[THEIRS] = efficientnet_features(frames)
    return Labelled(frames, np.array(phases), np.array(presence), features)


def fitted(given: npt.NDArray[np.float32], wanted: npt.NDArray[Any], asked: npt.NDArray[np.float32]) -> Any:
    """Probabilities [T] of the second of two answers, from logistic regression; a constant where only one is known."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    if len(np.unique(wanted)) == 1:
        return np.full(len(asked), float(wanted[0]))
    head = make_pipeline(StandardScaler(), LogisticRegression(max_iter=MOST_STEPS)).fit(given, wanted)
    return head.predict_proba(asked)[:, 1]


def phases_by(learnt: Labelled, asked: Labelled) -> dict[str, npt.NDArray[np.int64]]:
    """Phases [T] by each way of telling them."""
    ids = np.arange(len(CHOLEC80_PHASES))
    heads = {}
    for backbone, given in learnt.features.items():
        sure = [fitted(given, learnt.phases == phase, asked.features[backbone]) for phase in ids]
        heads[f"head on {backbone}"] = np.stack(sure, axis=1).argmax(axis=1)
    return {
        "default weights": seven_phases(MODELS, asked.features[OURS]).argmax(axis=1),
        **heads,
        "majority": np.full(len(asked.phases), np.bincount(learnt.phases).argmax()),
    }


def presence_by(learnt: Labelled, asked: Labelled) -> dict[str, npt.NDArray[np.float64]]:
    """Score of every instrument [T,7] by each way of telling it."""
    heads = {}
    for backbone, given in learnt.features.items():
        sure = [fitted(given, column, asked.features[backbone]) for column in learnt.presence.T]
        heads[f"head on {backbone}"] = np.stack(sure, axis=1)
    return {
        "default weights": seen_instruments(MODELS, asked.frames).astype(np.float64),
        **heads,
        "majority": np.tile(learnt.presence.mean(axis=0), (len(asked.presence), 1)),
    }


def main(arguments: Sequence[str] = ()) -> None:
    """Print phases and instruments of each operation, by default weights, by a head of the other one, by majority."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.real_heads", description="Score on real operations.")
    parser.add_argument("folder", nargs="?", type=Path, default=DEFAULT_FOLDER)
    folder = parser.parse_args(arguments).folder
    if not folder.is_dir():
        print(f"real heads: not measured, there is no folder {folder}")
        return
    if not is_installed():
        print("EfficientNet-Lite0 is not measured: its packages are not installed (benchmarks/efficientnet.py)")
    print(f"real operations, frozen features and fitted heads ({machine()})")
    data = {video: labelled(folder, video) for video in VIDEOS}
    for learnt, asked in (VIDEOS, VIDEOS[::-1]):
        one = data[asked]
        own = np.bincount(one.phases).max() / len(one.phases)
        print(f"\n{asked}, {len(one.phases)} frames, heads fitted on {learnt}; its own longest phase takes {own:.3f}")
        for way, phases in phases_by(data[learnt], one).items():
            figures = unrelaxed_scores([(phases, one.phases)], CHOLEC80_PHASES).figures
            print(f"  phases, {way}: accuracy {figures['accuracy']:.3f}, f1 {figures['f1']:.3f}")
        for way, given in presence_by(data[learnt], one).items():
            told = presence_scores(given, one.presence, INSTRUMENTS).figures
            spelt = (f"{name} {told[name]:.3f}" for name in ("presence_f1", "presence_map") if told[name] is not None)
            print(f"  instruments, {way}: {', '.join(spelt)}")


if __name__ == "__main__":
    main(sys.argv[1:])
