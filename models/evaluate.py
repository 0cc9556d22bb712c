"""Scores of the exported models on unseen simulated operations, with the field's scorers.

Belongs here: what is measured, from `model.onnx` as it will be served. Does not belong here: formulas and their
protocols (`scoring`), real clips (`real_clips.py`), the pages that show the figures (`cards.py`), what needs the
product's own stages (`benchmarks.scores`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from models.contracts import ANATOMIST, CONTRACTS, DETECTOR, EXTRACTOR, SEGMENTER
from models.data import FPS, HEIGHT_PX, WIDTH_PX, Operation, frames_of, resized_frames
from models.engine import ExportedModel, extract_features, segment_phases
from models.labels import ANATOMY, INSTRUMENTS, PHASES, cholec80_ids
from models.letterbox import Fit, letterbox
from models.scoring.areas import area_scores, confusion_of
from models.scoring.calibration import calibration_scores, novelty_scores
from models.scoring.detection import Region, coco_scores, regions_of
from models.scoring.phases import unrelaxed_scores
from models.scoring.protocol import Scores
from models.scoring.relaxed import relaxed_means
from models.scoring.segments import Pairs, segmental_scores

if TYPE_CHECKING:
    from numpy.typing import NDArray

Report = dict[str, Any]
"""Scores by their subject, each as `Scores.as_json` gives them."""

EVERY: Final = 4
"""Pictures are scored every two seconds: neighbours half a second apart add time, not knowledge."""


def score_extractor(repository: Path, operations: Sequence[Operation]) -> Report:
    """Novelty of unseen simulated frames: its percentiles and the share of false alarms."""
    height_px, width_px = CONTRACTS[EXTRACTOR].picture_px
    frames = resized_frames(operations, height_px=height_px, width_px=width_px, every=EVERY)
    return {"novelty": novelty_scores(extract_features(repository, frames)[1]).as_json()}


def score_segmenter(repository: Path, operations: Sequence[Operation]) -> Report:
    """Phases of whole operations: by frame, by segment, relaxed on Cholec80's seven phases, and calibration."""
    height_px, width_px = CONTRACTS[EXTRACTOR].picture_px
    answers = []
    for operation in operations:
        frames = resized_frames([operation], height_px=height_px, width_px=width_px)
        answers.append(segment_phases(repository, extract_features(repository, frames)[0]))
    truths = [operation.phase_labels() for operation in operations]
    pairs = [(answer.argmax(axis=1), truth) for answer, truth in zip(answers, truths, strict=True)]
    scores = phase_scores(pairs, samples_per_s=FPS)
    scores["calibration"] = calibration_scores(np.concatenate(answers), np.concatenate(truths))
    return {subject: one.as_json() for subject, one in scores.items()}


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


def score_detector(repository: Path, operations: Sequence[Operation]) -> Report:
    """COCO average precision (pycocotools) in pixels of the 640x480 frames, and at IoU 0.5 for every class."""
    truth: list[Region] = []
    answers: list[Region] = []
    pictures = 0
    for pictures, (operation, index, answer) in enumerate(detections(repository, operations), start=1):
        truth += regions_of(pictures - 1, *operation.boxes_at(index))
        answers += regions_of(pictures - 1, *answer)
    size_px = (HEIGHT_PX, WIDTH_PX)
    return {"boxes": coco_scores(truth, answers, size_px=size_px, pictures=pictures, names=INSTRUMENTS).as_json()}


def detections(
    repository: Path, operations: Sequence[Operation]
) -> Iterator[tuple[Operation, int, tuple[NDArray[np.float32], NDArray[np.int32], NDArray[np.float32]]]]:
    """Run the detector on every fourth frame.

    Yields:
        The operation, the frame's place, and boxes in pixels of the frame [32,4], classes [32] and scores [32].
    """
    height_px, width_px = CONTRACTS[DETECTOR].picture_px
    fit = Fit.of(WIDTH_PX, HEIGHT_PX, into_width_px=width_px, into_height_px=height_px)
    offset = np.array([fit.left_px, fit.top_px] * 2, dtype=np.float32)
    model = ExportedModel(repository, DETECTOR)
    for operation, index in frames_of(operations, every=EVERY):
        picture = letterbox(operation.frame(index), height_px=height_px, width_px=width_px)
        answer = model.run_images(picture[np.newaxis])
        boxes_px = np.clip((answer["boxes"][0] - offset) / fit.scale, 0, [WIDTH_PX, HEIGHT_PX] * 2)
        yield operation, index, (boxes_px, answer["classes"][0], answer["scores"][0])


def score_anatomy(repository: Path, operations: Sequence[Operation]) -> Report:
    """Intersection over union of every class at 120x160 over all pixels."""
    height_px, width_px = CONTRACTS[ANATOMIST].picture_px
    model = ExportedModel(repository, ANATOMIST)

    def pictures() -> Iterator[tuple[NDArray[np.uint8], NDArray[np.int64]]]:
        for operation in operations:
            images = resized_frames([operation], height_px=height_px, width_px=width_px, every=EVERY)
            yield operation.anatomy_masks()[::EVERY], model.run_images(images)["probabilities"].argmax(axis=1)

    return {"anatomy": area_scores(confusion_of(pictures(), len(ANATOMY)), ANATOMY).as_json()}


SCORERS: Final[dict[str, Callable[[Path, Sequence[Operation]], Report]]] = {
    EXTRACTOR: score_extractor,
    SEGMENTER: score_segmenter,
    DETECTOR: score_detector,
    ANATOMIST: score_anatomy,
}
