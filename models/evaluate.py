"""Scores of the exported models on unseen operations, with the field's scorers.

Belongs here: what is measured, from `model.onnx` as it will be served. Does not belong here: formulas and their
protocols (`scoring`), real clips (`real_clips.py`), the pages that show the figures (`cards.py`), what needs the
product's own stages (`benchmarks.scores`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from models.contracts import ANATOMIST, CONTRACTS, DETECTOR, EXTRACTOR, SEGMENTER
from models.data import FPS, HEIGHT_PX, WIDTH_PX, Operation, frames_of, resized_frames
from models.engine import ExportedModel, extract_features, segment_phases
from models.labels import ANATOMY, INSTRUMENTS, PHASES, cholec80_ids
from models.letterbox import letterbox
from models.scoring.areas import area_scores, confusion_of
from models.scoring.calibration import (
    PIXEL_CALIBRATION,
    box_calibration_scores,
    calibration_error,
    calibration_scores,
    novelty_scores,
)
from models.scoring.detection import Region, coco_scores, regions_of
from models.scoring.headline import (
    SCORE_LIMIT,
    Headline,
    area_headline,
    box_confusion,
    box_headline,
    judged_boxes,
    phase_headline,
)
from models.scoring.phases import unrelaxed_scores
from models.scoring.protocol import Scores
from models.scoring.relaxed import relaxed_means
from models.scoring.segments import Pairs, segmental_scores

if TYPE_CHECKING:
    from numpy.typing import NDArray

Report = dict[str, Any]
"""Scores by their subject, each as `Scores.as_json` gives them."""

_PIXEL_STEP: Final = 4
"""Calibration is counted on every fourth pixel of every fourth row: neighbours say the same."""
EVERY: Final = 4
"""Pictures are scored every two seconds: neighbours half a second apart add time, not knowledge."""


@dataclass(frozen=True)
class VideoScore:
    """One video's figures.

    Attributes:
        name: of the operation.
        operation_type: its type.
        figures: accuracy, F1 and overlap.
        there: how many classes the truth has.
        said: how many classes the answer has.
    """

    name: str
    operation_type: str
    figures: Headline
    there: int
    said: int

    @classmethod
    def of(cls, operation: Operation, figures: Headline, truth: NDArray[Any], answer: NDArray[Any]) -> VideoScore:
        """Count the classes of truth and answer."""
        there, said = (len(np.unique(labels)) for labels in (truth, answer))
        return cls(operation.name, operation.operation_type, figures, there, said)


@dataclass(frozen=True)
class Judged:
    """One model on held-out operations.

    Attributes:
        videos: figures of each.
        confusion: int64, true class by row, told class by column.
        labels: names of rows and columns.
        calibration_error: expected calibration error, 0..1; see `scoring.calibration`.
        report: the field's full scores.
    """

    videos: tuple[VideoScore, ...]
    confusion: NDArray[np.int64]
    labels: tuple[str, ...]
    calibration_error: float
    report: Report


def score_extractor(repository: Path, operations: Sequence[Operation]) -> Report:
    """Novelty of unseen simulated frames: its percentiles and the share of false alarms."""
    height_px, width_px = CONTRACTS[EXTRACTOR].picture_px
    frames = resized_frames(operations, height_px=height_px, width_px=width_px, every=EVERY)
    return {"novelty": novelty_scores(extract_features(repository, frames)[1]).as_json()}


def judge_segmenter(repository: Path, operations: Sequence[Operation]) -> Judged:
    """Phases of whole operations: by frame, by segment, relaxed on Cholec80's seven phases, and calibration."""
    height_px, width_px = CONTRACTS[EXTRACTOR].picture_px
    answers = []
    for operation in operations:
        frames = resized_frames([operation], height_px=height_px, width_px=width_px)
        answers.append(segment_phases(repository, extract_features(repository, frames)[0]))
    truths = [operation.phase_labels() for operation in operations]
    pairs = [(answer.argmax(axis=1), truth) for answer, truth in zip(answers, truths, strict=True)]
    scores = phase_scores(pairs, samples_per_s=FPS)
    calibration = calibration_scores(np.concatenate(answers), np.concatenate(truths))
    scores["calibration"] = calibration
    return Judged(
        videos=tuple(
            VideoScore.of(operation, phase_headline(said, truth, phases=len(PHASES)), truth, said)
            for operation, (said, truth) in zip(operations, pairs, strict=True)
        ),
        confusion=confusion_of([(truth, said) for said, truth in pairs], len(PHASES)),
        labels=PHASES,
        calibration_error=calibration.figures["calibration_error"],
        report={subject: one.as_json() for subject, one in scores.items()},
    )


def phase_scores(operations: Pairs, *, samples_per_s: float) -> dict[str, Scores]:
    """Give every score of phase sequences in the default labels, by subject.

    Args:
        operations: predicted and true labels of each, [T], indices into `PHASES`.
        samples_per_s: how many labels make a second.
    """
    counts_as = cholec80_ids()
    seven = [(counts_as[predicted], counts_as[truth]) for predicted, truth in operations]
    return {
        "phases": unrelaxed_scores(operations, PHASES),
        "segments": segmental_scores(operations),
        "relaxed_as_published": relaxed_means(seven, samples_per_s=samples_per_s, as_published=True),
        "relaxed_corrected": relaxed_means(seven, samples_per_s=samples_per_s, as_published=False),
    }


def judge_detector(repository: Path, operations: Sequence[Operation]) -> Judged:
    """COCO average precision (pycocotools) in pixels of the 640x480 frames, and at IoU 0.5 for every class.

    The confusion counts, for each true instrument of a picture, which of the same picture's found ones lies on it best;
    its last row and column are boxes without a partner.
    """
    truth: list[Region] = []
    found: list[Region] = []
    pictures: dict[str, list[tuple[Any, Any]]] = {operation.name: [] for operation in operations}
    number = 0
    for operation, index, answer in detections(repository, operations):
        wanted = operation.boxes_at(index)
        truth += regions_of(number, *wanted)
        found += regions_of(number, *answer)
        pictures[operation.name].append((wanted, answer))
        number += 1
    scores = coco_scores(truth, found, size_px=(HEIGHT_PX, WIDTH_PX), pictures=number, names=INSTRUMENTS)
    everything = [pair for pairs in pictures.values() for pair in pairs]
    calibration = box_calibration_scores(*judged_boxes(everything))
    return Judged(
        videos=tuple(
            VideoScore.of(
                operation,
                box_headline(pairs, classes=len(INSTRUMENTS)),
                np.concatenate([wanted[1] for wanted, _ in pairs]),
                np.concatenate([kinds[sure > SCORE_LIMIT] for _, (_, kinds, sure) in pairs]),
            )
            for operation, pairs in zip(operations, pictures.values(), strict=True)
        ),
        confusion=box_confusion(everything, classes=len(INSTRUMENTS)),
        labels=(*INSTRUMENTS, "nothing"),
        calibration_error=calibration.figures["calibration_error"],
        report={"boxes": scores.as_json(), "calibration": calibration.as_json()},
    )


def detections(
    repository: Path, operations: Sequence[Operation]
) -> Iterator[tuple[Operation, int, tuple[NDArray[np.float32], NDArray[np.int32], NDArray[np.float32]]]]:
    """Run the detector on every fourth frame.

    Yields:
        The operation, the frame's place, and boxes in pixels of the frame [32,4], classes [32] and scores [32].
    """
    height_px, width_px = CONTRACTS[DETECTOR].picture_px
    model = ExportedModel(repository, DETECTOR)
    for operation, index in frames_of(operations, every=EVERY):
        picture, geometry = letterbox(operation.frame(index), width_px, height_px)
        answer = model.run_images(picture[np.newaxis])
        boxes_px = geometry.to_source_box(answer["boxes"][0]).astype(np.float32)
        yield operation, index, (boxes_px, answer["classes"][0], answer["scores"][0])


def judge_anatomist(repository: Path, operations: Sequence[Operation]) -> Judged:
    """Intersection over union of every class at 120x160 over all pixels."""
    height_px, width_px = CONTRACTS[ANATOMIST].picture_px
    model = ExportedModel(repository, ANATOMIST)
    videos, errors = [], []
    confusion = np.zeros((len(ANATOMY), len(ANATOMY)), dtype=np.int64)
    for operation in operations:
        images = resized_frames([operation], height_px=height_px, width_px=width_px, every=EVERY)
        answer = model.run_images(images)["probabilities"]
        truth, said = operation.anatomy_masks()[::EVERY], answer.argmax(axis=1)
        confusion += confusion_of([(truth, said)], len(ANATOMY))
        figures = area_headline([(truth, said)], classes=len(ANATOMY))
        videos.append(VideoScore.of(operation, figures, truth[truth > 0], said[said > 0]))
        pixels = answer.transpose(0, 2, 3, 1)[:, ::_PIXEL_STEP, ::_PIXEL_STEP].reshape(-1, len(ANATOMY))
        errors.append(calibration_error(pixels, truth[:, ::_PIXEL_STEP, ::_PIXEL_STEP].ravel().astype(np.int64)))
    calibration = Scores(PIXEL_CALIBRATION, {"calibration_error": float(np.mean(errors))})
    return Judged(
        videos=tuple(videos),
        confusion=confusion,
        labels=ANATOMY,
        calibration_error=calibration.figures["calibration_error"],
        report={"anatomy": area_scores(confusion, ANATOMY).as_json(), "calibration": calibration.as_json()},
    )


JUDGES: Final[dict[str, Callable[[Path, Sequence[Operation]], Judged]]] = {
    SEGMENTER: judge_segmenter,
    DETECTOR: judge_detector,
    ANATOMIST: judge_anatomist,
}


def scores_of(name: str, repository: Path, operations: Sequence[Operation]) -> Report:
    """Give the full scores of one model."""
    if name == EXTRACTOR:
        return score_extractor(repository, operations)
    return JUDGES[name](repository, operations).report
