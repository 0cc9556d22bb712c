"""The names that the default models speak, in the order of their output channels.

Belongs here: how the models number the simulator's words. Does not belong here: the words themselves
(`simulator.vocabulary`), taxonomies of other hospitals (data: `phase_segmenter/taxonomies/*.yaml`) and the labels of a
user's own model (its `labels.txt`).
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from simulator.vocabulary import ANATOMY as TISSUES
from simulator.vocabulary import CHOLEC80_PHASES, INSTRUMENTS, PHASES

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["ANATOMY", "CHOLEC80_PHASES", "INSTRUMENTS", "PHASES", "cholec80_ids"]

ANATOMY: Final = ("background", *TISSUES)
"""CholecSeg8k (Hong et al. 2020) merged to eight tissues, with everything else, instruments included, as background."""

_CHOLEC80_FILE: Final = Path(__file__).parent / "phase_segmenter" / "taxonomies" / "cholec80.yaml"


def cholec80_ids() -> NDArray[np.int64]:
    """Give the Cholec80 id 0..6 that each default phase counts as where the truth knows seven only, int64 [11]."""
    import numpy as np
    import yaml

    counts_as = yaml.safe_load(_CHOLEC80_FILE.read_text(encoding="utf-8"))["from_default"]
    return np.array([CHOLEC80_PHASES.index(counts_as[name]) for name in PHASES], dtype=np.int64)
