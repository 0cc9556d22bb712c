"""The scores of a set of models on 20 operations that none of them has seen, each with its 95 % interval.

Promised of seed 0 and of seed 1: phase accuracy 0.90, F1@50 0.75, mAP@0.5 0.80, mIoU 0.75.
``python -m benchmarks.intervals --models FOLDER --seed 1 --work FOLDER`` scores what a build with that seed wrote, on
its test operations; without arguments the models of the repository.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.measure import machine
from models.build import DEFAULT_WORK, seeds_of
from models.build import REPOSITORY as MODELS
from models.contracts import ANATOMIST, CONTRACTS, EXTRACTOR
from models.data import HEIGHT_PX, WIDTH_PX, Operation, load_operations, resized_frames
from models.engine import ExportedModel, extract_features, segment_phases
from models.evaluate import EVERY, detections
from models.labels import ANATOMY, INSTRUMENTS
from models.scoring.areas import area_scores, confusion_of
from models.scoring.bootstrap import intervals
from models.scoring.detection import Region, coco_scores, regions_of
from models.scoring.segments import segmental_scores

OPERATIONS = 40
RESAMPLES, BOX_RESAMPLES = 2000, 200
"""The scorer of boxes takes seconds each time."""
Labels = tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]
Pictures = list[tuple[list[Region], list[Region]]]
"""True and found boxes of every scored picture of an operation."""


def phases_of(models: Path, operation: Operation) -> Labels:
    """Found and true phases [T]."""
    height_px, width_px = CONTRACTS[EXTRACTOR].picture_px
    frames = resized_frames([operation], height_px=height_px, width_px=width_px)
    features = extract_features(models, frames)[0]
    return segment_phases(models, features).argmax(axis=1), operation.phase_labels()


def phase_figures(operations: Sequence[Labels]) -> dict[str, float]:
    """Accuracy by frame, and F1@50 and edit score by segment; means over operations."""
    segmental = segmental_scores(operations).figures
    accuracy = float(np.mean([(found == true).mean() for found, true in operations]))
    return {"phase accuracy": accuracy, "phase F1@50": segmental["f1_50"], "phase edit score": segmental["edit"]}


def boxes_of(models: Path, operations: Sequence[Operation]) -> list[Pictures]:
    """Boxes of every operation."""
    return [
        [(regions_of(0, *one.boxes_at(index)), regions_of(0, *found)) for one, index, found in pictures]
        for _, pictures in groupby(detections(models, operations), key=lambda answer: answer[0].name)
    ]


def box_figures(operations: Sequence[Pictures]) -> dict[str, float]:
    """Average precision as COCO counts it, pictures numbered anew."""
    pictures = [picture for operation in operations for picture in operation]
    truth, found = (
        [replace(region, picture=number) for number, picture in enumerate(pictures) for region in picture[side]]
        for side in (0, 1)
    )
    size_px = (HEIGHT_PX, WIDTH_PX)
    figures = coco_scores(truth, found, size_px=size_px, pictures=len(pictures), names=INSTRUMENTS).figures
    return {"mAP@0.5": figures["map50"], "mAP@[.5:.95]": figures["map50_95"]}


def areas_of(models: Path, operation: Operation) -> npt.NDArray[np.int64]:
    """Confusion of an operation's pixels."""
    height_px, width_px = CONTRACTS[ANATOMIST].picture_px
    images = resized_frames([operation], height_px=height_px, width_px=width_px, every=EVERY)
    found = ExportedModel(models, ANATOMIST).run_images(images)["probabilities"].argmax(axis=1)
    return confusion_of([(operation.anatomy_masks()[::EVERY], found)], len(ANATOMY))


def area_figures(operations: Sequence[npt.NDArray[np.int64]]) -> dict[str, float]:
    """Mean intersection over union, over all pixels."""
    return {"mIoU": float(area_scores(np.sum(operations, axis=0), ANATOMY).figures["miou"])}


def main(arguments: Sequence[str] = ()) -> None:
    """Print every figure with its interval."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.intervals", description="Scores with intervals.")
    parser.add_argument("--models", type=Path, default=MODELS, help="folder of models")
    parser.add_argument("--seed", type=int, default=0, help="seed of the build that made them")
    parser.add_argument("--work", type=Path, default=DEFAULT_WORK, help="folder that keeps rendered operations")
    options = parser.parse_args(arguments)
    operations = load_operations(options.work, seeds_of(options.seed, OPERATIONS)[2])
    print(f"seed {options.seed}, {len(operations)} unseen operations, 95 % intervals over operations ({machine()})")
    tell([phases_of(options.models, one) for one in operations], phase_figures, RESAMPLES)
    tell(boxes_of(options.models, operations), box_figures, BOX_RESAMPLES)
    tell([areas_of(options.models, one) for one in operations], area_figures, RESAMPLES)


def tell(answers: Sequence[Any], figures_of: Callable[[Sequence[Any]], dict[str, float]], resamples: int) -> None:
    """Print the figures of some answers."""
    for name, (value, low, high) in intervals(answers, figures_of, resamples=resamples).items():
        print(f"  {name}: {value:.3f} [{low:.3f}, {high:.3f}]")


if __name__ == "__main__":
    main(sys.argv[1:])
