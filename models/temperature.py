"""The temperature by which logits are divided so that probabilities say how often they are right (Guo et al. 2017).

Belongs here: choosing it on examples that the network has not learned from. Does not belong here: what an example is
(`<name>/train.py`), how far off probabilities are (`scoring/calibration.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from torch import Tensor

_TEMPERATURES: Final = np.geomspace(0.125, 8.0, 241)


def best_temperature(logits: Tensor, wanted: Tensor) -> float:
    """Give the temperature with the least negative log-likelihood; 1 where there is no example.

    Args:
        logits: [N,C].
        wanted: int64 [N], the right class.
    """
    import torch
    from torch.nn.functional import cross_entropy

    if not len(wanted):
        return 1.0
    with torch.no_grad():
        losses = [cross_entropy(logits / float(temperature), wanted).item() for temperature in _TEMPERATURES]
    return float(_TEMPERATURES[int(np.argmin(losses))])
