"""A tiny training of the phase segmenter that kills its own process: `python -m tests.killed_training FILE STEPS`.

Belongs here: the training that `test_model_loop` interrupts. Does not belong here: tests.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np

from models.checkpoints import Checkpoint, weights_hash
from models.labels import PHASES
from models.loop import Epoch, Watch

EPOCHS = 3
OPERATIONS = 4


class DeadlyCheckpoint(Checkpoint):
    """Written after every step; after so many of them the process dies, as by a power failure."""

    def __init__(self, path: Path, lives: int) -> None:
        super().__init__(path, "tiny", every_s=0)
        self._lives = lives

    def write_if_due(self, state: Callable[[], object]) -> None:  # type: ignore[override]
        """Write, and die when it was the last time."""
        super().write_if_due(state)  # type: ignore[arg-type]
        self._lives -= 1
        if self._lives == 0:
            os.kill(os.getpid(), signal.SIGKILL)


def train_here(checkpoint: Path | None, told: Callable[[Epoch], None], lives: int = -1) -> str:
    """Train and give the hash of the weights."""
    from models.phase_segmenter.train import SegmenterTraining, train

    rng = np.random.default_rng(0)
    phases = [rng.integers(0, len(PHASES), size=3).repeat(20) for _ in range(OPERATIONS)]
    features = [rng.normal(size=(60, 2048)).astype(np.float32) for _ in phases]
    config = SegmenterTraining(epochs=EPOCHS, batch_size=2, num_layers=3, num_stages=2)
    watch = Watch(told, DeadlyCheckpoint(checkpoint, lives) if checkpoint else None)
    network, _ = train((features, phases), (features[:2], phases[:2]), config, watch)
    return weights_hash(dict(network.state_dict()))


if __name__ == "__main__":
    train_here(Path(sys.argv[1]), lambda _: None, int(sys.argv[2]))
