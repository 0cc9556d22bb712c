"""Scores of classes of pixels: intersection over union.

Belongs here: the confusion of pixels and what follows from it. Does not belong here: masks of single objects
(`detection`).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Final

import numpy as np

from models.scoring.protocol import Protocol, Scores

if TYPE_CHECKING:
    from numpy.typing import NDArray

PIXELS: Final = Protocol(
    name="miou-all-pixels-without-background",
    version=1,
    statement="Intersection over union of each class over the pixels of all pictures together (as PASCAL VOC and "
    "Cityscapes count), `miou` the mean over classes without background; a class with no pixel in truth or "
    "answer is left out.",
)


def confusion_of(
    pictures: Iterable[tuple[NDArray[np.integer], NDArray[np.integer]]], classes: int
) -> NDArray[np.int64]:
    """Count pixels by true class (rows) and predicted class (columns), int64 [classes, classes].

    Args:
        pictures: true and predicted class ids of the same shape, picture after picture or stack after stack.
        classes: how many there are, background included.
    """
    confusion = np.zeros((classes, classes), dtype=np.int64)
    for truth, predicted in pictures:
        pairs = truth.astype(np.int64) * classes + predicted
        confusion += np.bincount(pairs.ravel(), minlength=classes**2).reshape(classes, classes)
    return confusion


def area_scores(confusion: NDArray[np.int64], names: Sequence[str]) -> Scores:
    """IoU of every class and their mean without the first one, which is background."""
    both = np.diag(confusion).astype(float)
    union = confusion.sum(axis=0) + confusion.sum(axis=1) - both
    iou = {name: float(both[place] / union[place]) for place, name in enumerate(names) if union[place]}
    counted = [value for name, value in iou.items() if name != names[0]]
    return Scores(
        PIXELS,
        {
            "miou": float(np.mean(counted)) if counted else None,
            "pixel_accuracy": float(both.sum() / confusion.sum()),
            "iou": iou,
        },
    )
