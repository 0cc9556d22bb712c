"""Scores of instrument presence: which classes are seen in a picture, without boxes.

Belongs here: what data sets without boxes can tell (Cholec80, CholecT50). Does not belong here: boxes (`detection`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import numpy as np

from models.scoring.protocol import Protocol, Scores

if TYPE_CHECKING:
    from numpy.typing import NDArray

THRESHOLD: Final = 0.5
PRESENCE: Final = Protocol(
    name="presence",
    version=1,
    statement="Classes seen in a picture. `presence_precision`, `presence_recall` and `presence_f1` count a class as "
    "told when its score is above 0.5, summed over pictures and classes. `presence_map` is the mean "
    "average precision (scikit-learn) over the classes that the truth has in some pictures and lacks in "
    "others, as for Cholec80's tools.",
)


def presence_scores(given: NDArray[np.floating], truth: NDArray[np.bool_], names: Sequence[str]) -> Scores:
    """Score presence.

    Args:
        given: score of every class in every picture, [N,C].
        truth: whether it is there, [N,C].
        names: of the classes, [C].
    """
    from sklearn.metrics import average_precision_score

    told = given > THRESHOLD
    hits, said, wanted = int((told & truth).sum()), int(told.sum()), int(truth.sum())
    decided = np.flatnonzero(truth.any(axis=0) & ~truth.all(axis=0)).tolist()
    precision = {names[at]: float(average_precision_score(truth[:, at], given[:, at])) for at in decided}
    return Scores(
        PRESENCE,
        {
            "frames": len(truth),
            "presence_precision": hits / said if said else None,
            "presence_recall": hits / wanted if wanted else None,
            "presence_f1": 2 * hits / (said + wanted) if said + wanted else None,
            "presence_map": float(np.mean(list(precision.values()))) if precision else None,
            "presence_ap": precision,
        },
    )
