"""Whether confidence can be believed, and whether foreign pictures are told apart.

Belongs here: calibration of probabilities, ranking of in- and out-of-distribution figures. Does not belong here:
fitting a temperature (`temperature.py`) or a threshold (`feature_extractor/train.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from models.scoring.protocol import Protocol, Scores

if TYPE_CHECKING:
    from numpy.typing import NDArray

BINS: Final = 15
CALIBRATION: Final = Protocol(
    name="ece-15-bins",
    version=1,
    statement="Expected calibration error of the most likely class (Guo et al. 2017): 15 bins of equal width over "
    "all frames of all operations together, each weighted with its share of frames.",
)
BOX_CALIBRATION: Final = Protocol(
    name="ece-15-bins-boxes",
    version=1,
    statement="Expected calibration error of the scores of boxes above 0.5, 15 bins of equal width; a box is right "
    "when a true one of its class lies on it with IoU 0.5 or more, matched one to one, best score first; all pictures "
    "together.",
)
PIXEL_CALIBRATION: Final = Protocol(
    name="ece-15-bins-pixels",
    version=1,
    statement="Expected calibration error of the most likely class (Guo et al. 2017), 15 bins of equal width, of every "
    "fourth pixel of every fourth row; the mean over operations.",
)
OUTLIERS: Final = Protocol(
    name="ood-auroc-frames",
    version=1,
    statement="Area under the ROC curve of a frame's novelty, unfamiliar frames against familiar ones (scikit-learn, "
    "ties count one half), every frame with the same weight; `alarms` are shares of frames with a novelty "
    "above 1.",
)
NOVELTY: Final = Protocol(
    name="novelty-percentiles",
    version=1,
    statement="Percentiles of novelty over frames, each with the same weight, and the share above 1, which is flagged.",
)
ALARM: Final = 1.0
"""Novelty above which a frame is flagged, the 99th percentile of validation frames."""


def calibration_error(probabilities: NDArray[np.floating], truth: NDArray[np.int64]) -> float:
    """Expected calibration error of the most likely class, 15 bins of equal width (Guo et al. 2017).

    Args:
        probabilities: [T,C].
        truth: [T].
    """
    confidence = probabilities.max(axis=1)
    correct = probabilities.argmax(axis=1) == truth
    bins = np.minimum((confidence * BINS).astype(int), BINS - 1)
    error = 0.0
    for place in range(BINS):
        inside = bins == place
        if inside.any():
            error += abs(correct[inside].mean() - confidence[inside].mean()) * inside.mean()
    return float(error)


def calibration_scores(probabilities: NDArray[np.floating], truth: NDArray[np.int64]) -> Scores:
    """ECE with the two figures that it compares: mean confidence and accuracy."""
    return Scores(
        CALIBRATION,
        {
            "calibration_error": calibration_error(probabilities, truth),
            "mean_confidence": float(probabilities.max(axis=1).mean()),
            "accuracy": float((probabilities.argmax(axis=1) == truth).mean()),
        },
    )


def box_calibration_scores(scores: NDArray[np.floating], right: NDArray[np.bool_]) -> Scores:
    """ECE of the scores of found boxes [N], given which are right [N]; all figures are 0 where nothing was found."""
    if not len(scores):
        return Scores(BOX_CALIBRATION, {"calibration_error": 0.0, "mean_score": 0.0, "precision": 0.0})
    yes_or_no = np.stack([scores, 1 - scores], axis=1)
    return Scores(
        BOX_CALIBRATION,
        {
            "calibration_error": calibration_error(yes_or_no, np.where(right, 0, 1)),
            "mean_score": float(scores.mean()),
            "precision": float(right.mean()),
        },
    )


def outlier_scores(familiar: NDArray[np.floating], unfamiliar: NDArray[np.floating]) -> Scores:
    """AUROC of novelty and the share of alarms among familiar and unfamiliar frames.

    Args:
        familiar: novelty of frames like the training ones, [N].
        unfamiliar: novelty of others, [M].
    """
    from sklearn.metrics import roc_auc_score

    novelty = np.concatenate([familiar, unfamiliar])
    foreign = np.r_[np.zeros(len(familiar)), np.ones(len(unfamiliar))]
    return Scores(
        OUTLIERS,
        {
            "auroc": float(roc_auc_score(foreign, novelty)),
            "familiar_frames": len(familiar),
            "unfamiliar_frames": len(unfamiliar),
            "alarms_familiar": float((familiar > ALARM).mean()),
            "alarms_unfamiliar": float((unfamiliar > ALARM).mean()),
        },
    )


def novelty_scores(novelty: NDArray[np.floating]) -> Scores:
    """Percentiles of novelty [N] and the share that is flagged."""
    percentiles = {f"novelty_p{q:02}": float(np.percentile(novelty, q)) for q in (5, 50, 95, 99)}
    return Scores(NOVELTY, {"frames": len(novelty), **percentiles, "share_above_1": float((novelty > ALARM).mean())})
