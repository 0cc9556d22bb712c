"""Average precision of boxes and masks as COCO counts it, by pycocotools.

Belongs here: the way into and out of the reference scorer. Does not belong here: running a detector, tracks (`tracks`).
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np

from models.scoring.protocol import Protocol, Scores

if TYPE_CHECKING:
    from numpy.typing import NDArray

Kind = Literal["bbox", "segm"]

_COCO: Final = (
    "COCO average precision by pycocotools: 101 recall points, at most 100 answers a picture, all sizes, mean over "
    "classes that the truth has; map50 at IoU 0.5, map50_95 the mean over IoU 0.5 to 0.95 in steps of 0.05"
)
BOXES: Final = Protocol(name="coco-boxes", version=1, statement=f"{_COCO}; of boxes in pixels of the stored frame.")
MASKS: Final = Protocol(name="coco-masks", version=1, statement=f"{_COCO}; of masks in pixels of the picture given.")


@dataclass(frozen=True)
class Region:
    """One object in one picture, true or answered.

    Attributes:
        picture: number of the picture.
        category: class id.
        box_px: x_min, y_min, x_max, y_max; the mask's own where it is left out.
        mask: bool [h,w], for masks only.
        score: of an answer.
    """

    picture: int
    category: int
    box_px: tuple[float, float, float, float] | None = None
    mask: NDArray[np.bool_] | None = None
    score: float = 1.0


def regions_of(
    picture: int, boxes_px: NDArray[Any], classes: NDArray[Any], scores: NDArray[Any] | None = None
) -> list[Region]:
    """Turn the boxes [n,4] of one picture, their classes [n] and scores [n] into regions."""
    sure = np.ones(len(boxes_px)) if scores is None else scores
    return [
        Region(picture, int(kind), (float(box[0]), float(box[1]), float(box[2]), float(box[3])), score=float(score))
        for box, kind, score in zip(boxes_px, classes, sure, strict=True)
    ]


def coco_scores(
    truth: Sequence[Region],
    answers: Sequence[Region],
    *,
    size_px: tuple[int, int],
    pictures: int,
    names: Sequence[str],
    kind: Kind = "bbox",
) -> Scores:
    """Mean average precision, and average precision at IoU 0.5 of every class that the truth has.

    Args:
        truth: true objects.
        answers: what was found, with scores.
        size_px: height and width of every picture.
        pictures: how many there are, numbered from 0; those without an object count too.
        names: class names in the order of their ids.
        kind: boxes or masks.
    """
    evaluation = _evaluate(
        _dataset(truth, size_px, pictures, names, kind), [_entry(one, kind) for one in answers], kind
    )
    ap50 = {}
    for place, name in enumerate(names):
        values = evaluation.eval["precision"][0, :, place, 0, -1]
        if (values > -1).any():
            ap50[name] = float(values[values > -1].mean())
    figures = {
        "frames": pictures,
        "objects": len(truth),
        "map50": float(evaluation.stats[1]),
        "map50_95": float(evaluation.stats[0]),
        "ap50": ap50,
    }
    return Scores(BOXES if kind == "bbox" else MASKS, figures)


def _dataset(
    truth: Sequence[Region], size_px: tuple[int, int], pictures: int, names: Sequence[str], kind: Kind
) -> dict[str, Any]:
    height_px, width_px = size_px
    return {
        "info": {},
        "images": [{"id": number, "width": width_px, "height": height_px} for number in range(pictures)],
        "annotations": [
            {**_entry(one, kind), "id": number, "iscrowd": 0, "area": _area(one, kind)}
            for number, one in enumerate(truth, start=1)
        ],
        "categories": [{"id": place, "name": name} for place, name in enumerate(names)],
    }


def _entry(one: Region, kind: Kind) -> dict[str, Any]:
    """One object as COCO's files spell it."""
    entry: dict[str, Any] = {"image_id": one.picture, "category_id": one.category, "score": one.score}
    if kind == "segm":
        from pycocotools import mask as coco_mask

        if one.mask is None:
            raise ValueError(f"an object in picture {one.picture} has no mask: give one to score masks")
        entry["segmentation"] = coco_mask.encode(np.asfortranarray(one.mask, dtype=np.uint8))
        return entry
    if one.box_px is None:
        raise ValueError(f"an object in picture {one.picture} has no box: give one to score boxes")
    x_min, y_min, x_max, y_max = one.box_px
    entry["bbox"] = [x_min, y_min, x_max - x_min, y_max - y_min]
    return entry


def _area(one: Region, kind: Kind) -> float:
    if kind == "segm" and one.mask is not None:
        return float(one.mask.sum())
    x_min, y_min, x_max, y_max = one.box_px or (0.0, 0.0, 0.0, 0.0)
    return (x_max - x_min) * (y_max - y_min)


def _evaluate(dataset: dict[str, Any], answers: list[dict[str, Any]], kind: Kind) -> Any:
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO()
        truth.dataset = dataset
        truth.createIndex()
        evaluation = COCOeval(truth, truth.loadRes(answers) if answers else COCO(), kind)
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return evaluation
