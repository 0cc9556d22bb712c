"""A tiny training of one model that tells every step it has kept: `python -m tests.killed_training MODEL CHECKPOINT`.

Belongs here: the process that `test_killed_training` kills. Does not belong here: tests. After its end it waits for
the end of its input, so that whoever kills it always finds it alive.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from models.checkpoints import Checkpoint, Facts, Tensors, weights_hash
from models.contracts import ANATOMIST, DETECTOR, SEGMENTER
from models.labels import ANATOMY, INSTRUMENTS, PHASES
from models.loop import Epoch, Watch

BEGUN, KEPT, DONE = "begun", "kept", "done"
EPOCHS = 2
EXAMPLES = 4
BATCH = 2
FRAME_PX = (480, 640)
Trained = tuple[Any, tuple[Epoch, ...]]


class ToldCheckpoint(Checkpoint):
    """Written after every step and every epoch, and told."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, "tiny", every_s=0)

    def write_if_due(self, state: Callable[[], tuple[Tensors, Facts]]) -> None:
        """Write, and tell."""
        super().write_if_due(state)
        print(KEPT, flush=True)


def segmenter(watch: Watch) -> Trained:
    """Of phases, on features out of the air."""
    from models.phase_segmenter.train import SegmenterTraining, train

    rng = np.random.default_rng(0)
    phases = [rng.integers(0, len(PHASES), size=3).repeat(20) for _ in range(EXAMPLES)]
    features = [rng.normal(size=(60, 2048)).astype(np.float32) for _ in phases]
    config = SegmenterTraining(epochs=EPOCHS, batch_size=BATCH, num_layers=3, num_stages=2)
    return train((features, phases), (features[:2], phases[:2]), config, watch)


def detector(watch: Watch) -> Trained:
    """Of instruments, one in the middle of every picture."""
    from models.instrument_detector.train import DetectorTraining, Example, train

    rng = np.random.default_rng(0)
    pictures = [rng.integers(0, 255, size=(*FRAME_PX, 3), dtype=np.uint8) for _ in range(EXAMPLES)]
    boxes_px = np.array([[240, 180, 400, 300]], dtype=np.float32)
    examples = [
        Example(partial(np.copy, picture), boxes_px, np.array([number % len(INSTRUMENTS)]))
        for number, picture in enumerate(pictures)
    ]
    config = DetectorTraining(epochs=EPOCHS, batch_size=BATCH, img_size=64)
    return train(examples, examples[:1], config, watch)


def anatomist(watch: Watch) -> Trained:
    """Of tissue, noise upon noise."""
    from models.anatomy_segmenter.train import AnatomyTraining, train

    rng = np.random.default_rng(0)
    images = rng.integers(0, 255, size=(EXAMPLES, 240, 320, 3), dtype=np.uint8)
    masks = rng.integers(0, len(ANATOMY), size=(EXAMPLES, 120, 160), dtype=np.uint8)
    return train((images, masks), (images[:1], masks[:1]), AnatomyTraining(epochs=EPOCHS, batch_size=BATCH), watch)


TRAININGS: dict[str, Callable[[Watch], Trained]] = {SEGMENTER: segmenter, DETECTOR: detector, ANATOMIST: anatomist}


def main(model: str, checkpoint: str) -> None:
    """Train, tell the weights and the curves, and wait."""
    import torch

    torch.set_num_threads(len(os.sched_getaffinity(0)))
    torch.use_deterministic_algorithms(True)
    told: list[str] = []
    watch = Watch(told=lambda epoch: told.append(str(epoch.figures)), checkpoint=ToldCheckpoint(Path(checkpoint)))
    print(BEGUN, flush=True)
    network, _ = TRAININGS[model](watch)
    print(DONE, weights_hash(dict(network.state_dict())), *told, flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main(*sys.argv[1:])
