"""Whether a graph with fixed shapes answers faster than the one that takes any batch (and any length).

Kept where it is faster; the decision is in docs/decisions.md. ``python -m benchmarks.static_shapes``

Both are the same file; in one the input's free axes are numbers, so ONNX Runtime can plan memory and fold shapes ahead.
"""

from __future__ import annotations

import statistics
import time
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.measure import Steal, machine
from models.build import REPOSITORY as MODELS
from models.contracts import CONTRACTS, NAMES, SEGMENTER

if TYPE_CHECKING:
    from numpy.typing import NDArray

ROUNDS = 7
BATCH = 8
FRAMES = 480
"""Stored frames of a four-minute operation, which the segmenter reads at once."""


def example_of(name: str) -> NDArray[np.float32]:
    """An input of the model as the product gives it, of random numbers: a network's time does not depend on them."""
    dims = CONTRACTS[name].inputs[0].dims
    shape = (1, FRAMES, *dims[1:]) if name == SEGMENTER else (BATCH, *dims)
    return np.random.default_rng(0).random(shape, dtype=np.float32)


def session_of(name: str, shape: tuple[int, ...] | None) -> Any:
    """A session on the model's file, with the input's axes fixed where a shape is given."""
    import onnx
    import onnxruntime

    model = onnx.load(MODELS / name / "1" / "model.onnx")
    if shape is not None:
        del model.graph.value_info[:]  # what was inferred for any batch
        for axis, size in zip(model.graph.input[0].type.tensor_type.shape.dim, shape, strict=True):
            axis.dim_value = size
    return onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])


def milliseconds(session: Any, given: NDArray[np.float32]) -> float:
    """Time of one answer."""
    started = time.perf_counter()
    session.run(None, {session.get_inputs()[0].name: given})
    return 1000 * (time.perf_counter() - started)


def main() -> None:
    """Print for each model the median time of both, taken in turns, and the ratio of a pair's."""
    print(f"fixed against free shapes, {ROUNDS} rounds in turns ({machine()})")
    for name in NAMES:
        given = example_of(name)
        free, fixed = session_of(name, None), session_of(name, given.shape)
        with Steal() as steal:
            pairs = [(milliseconds(free, given), milliseconds(fixed, given)) for _ in range(ROUNDS + 1)][1:]
        free_ms, fixed_ms = (statistics.median(side) for side in zip(*pairs, strict=True))
        ratio = statistics.median(one / other for other, one in pairs)
        shape = "x".join(map(str, given.shape))
        print(
            f"{name} [{shape}]: free {free_ms:.1f} ms, fixed {fixed_ms:.1f} ms, fixed/free {ratio:.2f}, "
            f"taken by other machines {steal.share:.0%}"
        )


if __name__ == "__main__":
    main()
