"""Scores of the exported models on unseen simulated operations, with the field's scorers.

Belongs here: what is measured, from `model.onnx` as it will be served. Does not belong here: real clips
(`real_clips.py`), the pages that show the figures (`cards.py`).
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from models.contracts import ANATOMIST, CONTRACTS, DETECTOR, EXTRACTOR
from models.data import HEIGHT_PX, WIDTH_PX, Operation, frames_of, resized_frames
from models.engine import ExportedModel, extract_features, segment_phases
from models.labels import ANATOMY, INSTRUMENTS, PHASES
from models.letterbox import Fit, letterbox
from models.phase_scores import calibration_error, edit_score, segment_f1

if TYPE_CHECKING:
    from numpy.typing import NDArray

Scores = dict[str, Any]

EVERY: Final = 4
"""Pictures are scored every two seconds: neighbours half a second apart add time, not knowledge."""


def score_extractor(repository: Path, operations: Sequence[Operation]) -> Scores:
    """Novelty of unseen simulated frames: its percentiles and the share of false alarms."""
    height_px, width_px = CONTRACTS[EXTRACTOR].picture_px
    frames = resized_frames(operations, height_px=height_px, width_px=width_px, every=EVERY)
    novelty = extract_features(repository, frames)[1]
    return {
        "frames": len(novelty),
        "novelty_p50": float(np.percentile(novelty, 50)),
        "novelty_p95": float(np.percentile(novelty, 95)),
        "novelty_p99": float(np.percentile(novelty, 99)),
        "share_above_1": float((novelty > 1).mean()),
    }


def score_segmenter(repository: Path, operations: Sequence[Operation]) -> Scores:
    """Phases of whole operations: means over operations, calibration over all frames."""
    height_px, width_px = CONTRACTS[EXTRACTOR].picture_px
    rows, answers, truths = [], [], []
    for operation in operations:
        frames = resized_frames([operation], height_px=height_px, width_px=width_px)
        probabilities = segment_phases(repository, extract_features(repository, frames)[0])
        predicted, truth = probabilities.argmax(axis=1), operation.phases
        counts = np.bincount(truth, minlength=len(PHASES))
        rows.append(
            {
                "accuracy": float((predicted == truth).mean()),
                "edit": edit_score(predicted, truth),
                "f1_10": segment_f1(predicted, truth, overlap=0.10),
                "f1_25": segment_f1(predicted, truth, overlap=0.25),
                "f1_50": segment_f1(predicted, truth, overlap=0.50),
                "majority_accuracy": float(counts.max() / counts.sum()),
            }
        )
        answers.append(probabilities)
        truths.append(truth)
    given, wanted = np.concatenate(answers), np.concatenate(truths)
    recalls = {
        name: float((given.argmax(axis=1)[wanted == phase] == phase).mean())
        for phase, name in enumerate(PHASES)
        if (wanted == phase).any()
    }
    means = {key: float(np.mean([row[key] for row in rows])) for key in rows[0]}
    return {
        "operations": len(rows),
        "frames": len(wanted),
        **means,
        "calibration_error": calibration_error(given, wanted),
        "recall": recalls,
    }


def score_detector(repository: Path, operations: Sequence[Operation]) -> Scores:
    """COCO average precision (pycocotools) in pixels of the 640x480 frames, and at IoU 0.5 for every class."""
    truths, answers = detections_in_coco(repository, operations)
    evaluation = _coco_evaluation(truths, answers)
    precision = evaluation.eval["precision"]
    ap50 = {}
    for place, name in enumerate(INSTRUMENTS):
        values = precision[0, :, place, 0, -1]
        if (values > -1).any():
            ap50[name] = float(values[values > -1].mean())
    return {
        "frames": len(truths["images"]),
        "boxes": len(truths["annotations"]),
        "map50": float(evaluation.stats[1]),
        "map50_95": float(evaluation.stats[0]),
        "ap50": ap50,
    }


def detections_in_coco(
    repository: Path, operations: Sequence[Operation]
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Give the truth and the detector's answers for every fourth frame, as COCO's ground truth and results."""
    height_px, width_px = CONTRACTS[DETECTOR].picture_px
    fit = Fit.of(WIDTH_PX, HEIGHT_PX, into_width_px=width_px, into_height_px=height_px)
    offset = np.array([fit.left_px, fit.top_px] * 2, dtype=np.float32)
    model = ExportedModel(repository, DETECTOR)
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    answers: list[dict[str, Any]] = []
    for number, (operation, index) in enumerate(frames_of(operations, every=EVERY)):
        images.append({"id": number, "width": WIDTH_PX, "height": HEIGHT_PX})
        for row in np.flatnonzero(operation.box_frames == index):
            box = _coco_box(operation.boxes_px[row])
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": number,
                    "category_id": int(operation.box_classes[row]),
                    "bbox": box,
                    "area": box[2] * box[3],
                    "iscrowd": 0,
                }
            )
        picture = letterbox(operation.frame(index), height_px=height_px, width_px=width_px)
        answer = model.run_images(picture[np.newaxis])
        boxes_px = np.clip((answer["boxes"][0] - offset) / fit.scale, 0, [WIDTH_PX, HEIGHT_PX] * 2)
        answers += [
            {"image_id": number, "category_id": int(kind), "bbox": _coco_box(box_px), "score": float(score)}
            for box_px, kind, score in zip(boxes_px, answer["classes"][0], answer["scores"][0], strict=True)
        ]
    categories = [{"id": place, "name": name} for place, name in enumerate(INSTRUMENTS)]
    return {"info": {}, "images": images, "annotations": annotations, "categories": categories}, answers


def score_anatomy(repository: Path, operations: Sequence[Operation]) -> Scores:
    """Intersection over union of every class over all pixels; `miou` is the mean over the eight tissues."""
    height_px, width_px = CONTRACTS[ANATOMIST].picture_px
    model = ExportedModel(repository, ANATOMIST)
    classes = len(ANATOMY)
    confusion = np.zeros((classes, classes), dtype=np.int64)
    frames = 0
    for operation in operations:
        pictures = resized_frames([operation], height_px=height_px, width_px=width_px, every=EVERY)
        predicted = model.run_images(pictures)["probabilities"].argmax(axis=1)
        pairs = operation.anatomy[::EVERY].astype(np.int64) * classes + predicted
        confusion += np.bincount(pairs.ravel(), minlength=classes**2).reshape(classes, classes)
        frames += len(pictures)
    both = np.diag(confusion).astype(float)
    union = confusion.sum(axis=0) + confusion.sum(axis=1) - both
    iou = {name: float(both[place] / union[place]) for place, name in enumerate(ANATOMY) if union[place]}
    tissues = [value for name, value in iou.items() if name != ANATOMY[0]]
    return {
        "frames": frames,
        "miou": float(np.mean(tissues)),
        "pixel_accuracy": float(both.sum() / confusion.sum()),
        "iou": iou,
    }


def _coco_box(box_px: NDArray[np.float32]) -> list[float]:
    x_min, y_min, x_max, y_max = (float(value) for value in box_px)
    return [x_min, y_min, x_max - x_min, y_max - y_min]


def _coco_evaluation(truths: dict[str, Any], answers: list[dict[str, Any]]) -> Any:
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO()
        truth.dataset = truths
        truth.createIndex()
        evaluation = COCOeval(truth, truth.loadRes(answers), "bbox")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return evaluation
