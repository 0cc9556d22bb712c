"""The engine in this process: ONNX Runtime on the same repository that Triton would read.

Belongs here: sessions and the check that a file keeps its configuration's promise. Does not belong here: what stages
ask for (``client``).
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from resources.errors import ConfigurationError, PermanentFailure
from resources.inference.repository import ModelRepository
from resources.inference.spec import ANY_SIZE, ModelSpec, TensorSpec

if TYPE_CHECKING:
    from numpy.typing import NDArray

ONNX_TYPES: Mapping[str, type[np.generic]] = {
    "tensor(float)": np.float32,
    "tensor(float16)": np.float16,
    "tensor(int32)": np.int32,
    "tensor(int64)": np.int64,
    "tensor(uint8)": np.uint8,
    "tensor(bool)": np.bool_,
}
ENGINE_NAME = "onnxruntime"
ONE_CALL_AT_A_TIME = threading.Lock()
"""A call has all cores: two at once would only wait for each other, in busy loops."""
SMALLER_BLOCKS = "4"
"""Work is handed out to threads in parts that get smaller: one that lost its core for a moment holds up nobody."""
PRECISION_NAMES: Mapping[type[np.generic], str] = {np.float32: "fp32", np.float16: "fp16", np.uint8: "uint8"}


class OnnxModel:
    """One loaded model version.

    Args:
        repository: where the model lies.
        spec: the version that was asked for; its file must keep the promise.
        threads: threads of one call, 0 for one a core.

    Raises:
        ConfigurationError: the file cannot be loaded, or its tensors are not those of the configuration.
    """

    def __init__(self, repository: ModelRepository, spec: ModelSpec, threads: int) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads or len(os.sched_getaffinity(0))
        options.add_session_config_entry("session.dynamic_block_base", SMALLER_BLOCKS)
        if any(ANY_SIZE in tensor.dims for tensor in spec.inputs.values()):
            # A pool that once held the longest sequence would keep that size for as long as the model is loaded.
            options.enable_cpu_mem_arena = options.enable_mem_pattern = False
        path = repository.file(spec.identity.name, spec.identity.version)
        try:
            self._session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        except Exception as error:
            raise ConfigurationError(
                f"ONNX Runtime cannot load the file: {str(error).splitlines()[0].rstrip('.')}.",
                subject=spec.identity.label,
                remedy="Put the right model file back.",
            ) from error
        self.spec = spec
        self._check_side("input", spec.inputs, self._session.get_inputs())
        self._check_side("output", spec.outputs, self._session.get_outputs())

    @property
    def device(self) -> str:
        """Where the model computes."""
        return str(self._session.get_providers()[0]).removesuffix("ExecutionProvider").lower()

    def infer(self, inputs: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """One request; both sides are checked against the promise.

        Raises:
            PermanentFailure: the request or the answer breaks the model's promise.
        """
        self.spec.check_inputs(inputs)
        names = list(self.spec.outputs)
        try:
            with ONE_CALL_AT_A_TIME:
                answer = self._session.run(names, dict(inputs))
        except Exception as error:
            raise PermanentFailure(
                f"ONNX Runtime could not compute it: {str(error).splitlines()[0].rstrip('.')}.",
                subject=self.spec.identity.label,
                remedy="Check that the model takes inputs of this size.",
            ) from error
        outputs = dict(zip(names, answer, strict=True))
        self.spec.check_outputs(outputs)
        return outputs

    def infer_each(self, requests: Iterable[Mapping[str, NDArray[Any]]]) -> Iterator[dict[str, NDArray[Any]]]:
        """Answers one after another: a call has all cores anyway."""
        return map(self.infer, requests)

    def is_alive(self) -> bool:
        """A session in this process lives as long as the process."""
        return True

    def _check_side(self, side: str, promised: Mapping[str, TensorSpec], actual: list[Any]) -> None:
        found = {node.name: node for node in actual}
        for name, spec in promised.items():
            node = found.get(name)
            if node is None:
                raise self._disagreement(f"has no {side} '{name}' (it has {sorted(found)})")
            if ONNX_TYPES.get(node.type) is not spec.dtype:
                raise self._disagreement(f"{side} '{name}' is {node.type}, not {np.dtype(spec.dtype)}")
            if not (self._batch_agrees(node.shape) and self._sizes_agree(side, spec.dims, node.shape)):
                raise self._disagreement(f"{side} '{name}' has shape {node.shape}, not {self._spelt(spec.dims)}")
        if side == "input" and set(found) != set(promised):
            raise self._disagreement(f"needs inputs {sorted(found)}, the configuration names {sorted(promised)}")

    def _batch_agrees(self, shape: list[Any]) -> bool:
        """A file that was exported for a fixed batch serves only configurations that never ask for another."""
        limit = self.spec.max_batch_size
        return not limit or (bool(shape) and (not isinstance(shape[0], int) or shape[0] == limit == 1))

    def _sizes_agree(self, side: str, promised: tuple[int, ...], shape: list[Any]) -> bool:
        """A symbolic size in the file fits everything; a fixed one fits itself, and an output promised in any size.

        An input promised in any size and fixed in the file would fail in the middle of a run.
        """
        actual = shape[1:] if self.spec.max_batch_size else shape
        return len(promised) == len(actual) and all(
            not isinstance(got, int) or want == got or (want == ANY_SIZE and side == "output")
            for want, got in zip(promised, actual, strict=True)
        )

    def _spelt(self, dims: tuple[int, ...]) -> str:
        return f"[{', '.join(['batch'] * bool(self.spec.max_batch_size) + [str(size) for size in dims])}]"

    def _disagreement(self, what: str) -> ConfigurationError:
        return ConfigurationError(
            f"The model file disagrees with its config.pbtxt: it {what}.",
            subject=self.spec.identity.label,
            remedy="Install the file and the configuration that belong together.",
        )
