"""Tests of a candidate as it would be served (NV-055): the engine that serves, the file that would be installed.

Belongs here: one function a test, each with its own reason. Does not belong here: the order of the gate (``verdict``).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from models.contracts import CONTRACTS
from models.evaluate import VideoScore
from models.export import TOLERANCE, difference_of
from neurovision_assets.training.gate.config import GateConfig
from neurovision_assets.training.gate.refusal import STAGING_TEST_FAILED, Refusal
from resources.errors import NeuroVisionError
from resources.inference.onnx_engine import OnnxModel
from resources.inference.repository import ModelRepository
from resources.inference.spec import ANY_SIZE

LATENCY_TRIES: Final = 5
FEW_CLASSES: Final = 1
MANY_CLASSES: Final = 3
"""An answer of one class where the truth has three or more is no answer."""


@dataclass(frozen=True)
class Staged:
    """A candidate in staging.

    Attributes:
        model: its name.
        release: that it would be served as; the configuration beside it still names the served one.
        repository: folder in Triton's layout that holds it as the only version.
        golden: an input and torch's answers to it: ``input``, and every output under its name.
        videos: its figures on held-out videos.
        calibration_error: on the same.
        config: what is asked.
    """

    model: str
    release: str
    repository: Path
    golden: Mapping[str, npt.NDArray[Any]]
    videos: Sequence[VideoScore]
    calibration_error: float
    config: GateConfig

    @cached_property
    def served(self) -> OnnxModel:
        """The candidate in the engine that serves.

        Raises:
            ConfigurationError: it cannot be loaded, or breaks its configuration's promise.
        """
        repository = ModelRepository(self.repository)
        return OnnxModel(repository, repository.describe(self.model), threads=0)


class StagingFailure(Exception):
    """What a test found, one sentence."""


def run_staging_tests(staged: Staged) -> tuple[Refusal | None, list[str]]:
    """Run the tests in order and stop at the first that fails.

    Returns:
        The refusal, None where all passed; and a line for every test that passed.
    """
    passed: list[str] = []
    for name, test in STAGING_TESTS.items():
        try:
            told = test(staged)
        except (NeuroVisionError, StagingFailure) as error:
            return Refusal(reason=f"{STAGING_TEST_FAILED}:{name}", detail=str(error)), passed
        passed.append(f"{name}: {told}")
    return None, passed


def _loads(staged: Staged) -> str:
    """The serving engine loads the file; its tensors are those of the configuration beside it."""
    return f"{staged.model}@{staged.release} on {staged.served.device}"


def _contract(staged: Staged) -> str:
    """Names, types, shapes and labels are those that stages and clients rely on."""
    spec, contract = staged.served.spec, CONTRACTS[staged.model]
    for side, tensors in ((spec.inputs, contract.inputs), (spec.outputs, contract.outputs)):
        given = {name: tensor.dims for name, tensor in side.items()}
        _require(given == {tensor.name: tensor.dims for tensor in tensors}, f"tensors are {given}")
    _require(spec.labels == contract.labels, f"labels are {', '.join(spec.labels)}")
    return "as promised"


def _latency(staged: Staged) -> str:
    """The best of some requests is within the budget: the best, because other work on the machine is not its fault."""
    tensor = CONTRACTS[staged.model].inputs[0]
    items = staged.config.request_items
    sequence = ANY_SIZE in tensor.dims
    shape = (1 if sequence else items, *(items if size == ANY_SIZE else size for size in tensor.dims))
    given = {tensor.name: np.full(shape, 0.5, dtype=np.float32)}
    best_ms = np.inf
    for _ in range(LATENCY_TRIES):
        started_s = time.perf_counter()
        staged.served.infer(given)
        best_ms = min(best_ms, (time.perf_counter() - started_s) * 1000)
    budget_ms = staged.config.latency_budget_ms
    _require(
        best_ms <= budget_ms, f"a request of {items} items took {best_ms:.0f} ms, the budget is {budget_ms:.0f} ms"
    )
    return f"{best_ms:.0f} ms for {items} items"


def _golden(staged: Staged) -> str:
    """The served answers are torch's answers to the same input."""
    contract = CONTRACTS[staged.model]
    answer = staged.served.infer({contract.inputs[0].name: np.asarray(staged.golden["input"])})
    worst = difference_of(contract, staged.golden, answer)
    _require(worst <= TOLERANCE, f"answers differ from torch's by {worst:.1e}, at most {TOLERANCE:.0e}")
    return f"differs from torch by {worst:.1e}"


def _no_collapse(staged: Staged) -> str:
    """No type of operation is left behind, and no video is answered with a single class."""
    mean = float(np.mean([video.figures["f1"] for video in staged.videos]))
    by_type: dict[str, list[float]] = {}
    for video in staged.videos:
        by_type.setdefault(video.operation_type, []).append(video.figures["f1"])
        flat = video.said <= FEW_CLASSES and video.there >= MANY_CLASSES
        _require(not flat, f"{video.name} is answered with {video.said} class, its truth has {video.there}")
    worst = min(by_type, key=lambda kind: float(np.mean(by_type[kind])))
    least, found = staged.config.least_share_of_mean * mean, float(np.mean(by_type[worst]))
    _require(found >= least, f"F1 on {worst} is {found:.3f}, below {least:.3f} (all videos: {mean:.3f})")
    return f"worst type {worst} with F1 {found:.3f}"


def _calibration(staged: Staged) -> str:
    """Its confidence can be believed."""
    error, most = staged.calibration_error, staged.config.largest_calibration_error
    _require(error <= most, f"the expected calibration error is {error:.3f}, at most {most:g}")
    return f"expected calibration error {error:.3f}"


STAGING_TESTS: Final[dict[str, Callable[[Staged], str]]] = {
    "loads": _loads,
    "contract": _contract,
    "latency": _latency,
    "golden": _golden,
    "no_collapse": _no_collapse,
    "calibration": _calibration,
}


def _require(held: bool, otherwise: str) -> None:
    if not held:
        raise StagingFailure(f"{otherwise}.")
