"""Weights and the state of a training on disk, as NumPy archives: no pickle is written or read.

Belongs here: files, their identity, the hash of weights. Does not belong here: what a training's state is (`loop.py`).
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

if TYPE_CHECKING:
    from torch import Tensor

    Tensors = dict[str, Tensor]
else:
    Tensors = dict

Facts = dict[str, Any]
"""What a state holds beside tensors: figures, texts, lists and dicts of them."""

EVERY_S: Final = 60.0
"""Least time between two checkpoints: what a kill may cost."""
_FACTS: Final = "facts"


class Checkpoint:
    """One file that a training can go on from.

    Args:
        path: of the archive; its folder is made.
        identity: what the training depends on; a file of another training is not read.
        every_s: least time between two writes.
    """

    def __init__(self, path: Path, identity: str, *, every_s: float = EVERY_S) -> None:
        self._path, self._identity, self._every_s = path, identity, every_s
        self._written_s = time.monotonic()

    def read(self) -> tuple[Tensors, Facts] | None:
        """Give the state, or None where there is none of this training."""
        if not self._path.is_file():
            return None
        tensors, facts = read_tensors(self._path)
        return (tensors, facts["state"]) if facts["identity"] == self._identity else None

    def write_if_due(self, state: Callable[[], tuple[Tensors, Facts]]) -> None:
        """Write the state, unless the last one is young."""
        if time.monotonic() - self._written_s < self._every_s:
            return
        tensors, facts = state()
        self._path.parent.mkdir(parents=True, exist_ok=True)
        write_tensors(self._path, tensors, {"identity": self._identity, "state": facts})
        self._written_s = time.monotonic()

    def remove(self) -> None:
        """Drop the file: the training's result is safe elsewhere."""
        self._path.unlink(missing_ok=True)


def write_tensors(path: Path, tensors: Tensors, facts: Facts) -> None:
    """Write tensors and facts; the file appears whole or not at all, and survives a power failure."""
    arrays: dict[str, Any] = {name: value.detach().cpu().contiguous().numpy() for name, value in tensors.items()}
    partial = path.with_name(f".{path.name}.partial")
    with partial.open("wb") as stream:
        np.savez(stream, allow_pickle=False, **{_FACTS: np.array(json.dumps(facts))}, **arrays)
        stream.flush()
        os.fsync(stream.fileno())
    partial.replace(path)


def read_tensors(path: Path) -> tuple[Tensors, Facts]:
    """Read what `write_tensors` wrote."""
    import torch

    with np.load(path, allow_pickle=False) as arrays:
        facts: Facts = json.loads(str(arrays[_FACTS]))
        return {name: torch.from_numpy(arrays[name].copy()) for name in arrays.files if name != _FACTS}, facts


def weights_hash(tensors: Tensors) -> str:
    """Give the SHA-256 of names, shapes, types and values, in the order of the names."""
    digest = hashlib.sha256()
    for name in sorted(tensors):
        values = tensors[name].detach().cpu().contiguous().numpy()
        digest.update(f"{name} {values.dtype} {values.shape}\n".encode() + values.tobytes())
    return digest.hexdigest()
