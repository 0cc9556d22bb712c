"""ONNX Runtime as a python-based backend of Triton, where the compiled one cannot be had.

Triton finds it as ``backends/onnxruntime/model.py`` and runs it in an interpreter of its own, with numpy 1.26 (2
corrupts tensors silently). Belongs here: what Triton calls. Does not belong here: anything that clients should see;
whatever works here must work with the compiled backend.
"""

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime  # noqa: TID253  # it is all that this process is for
import triton_python_backend_utils as triton  # type: ignore[import-not-found]  # lies beside Triton's backend

MODEL_FILE = "model.onnx"


class TritonPythonModel:
    """One instance of one version."""

    def initialize(self, args: dict[str, str]) -> None:
        """Load the version's file.

        Raises:
            TritonModelException: it is another file than the configuration's digest of this version says.
        """
        config = json.loads(args["model_config"])
        path = Path(args["model_repository"]) / args["model_version"] / MODEL_FILE
        promised = config.get("parameters", {}).get(f"digest_{args['model_version']}", {}).get("string_value")
        found = hashlib.sha256(path.read_bytes()).hexdigest()
        if promised not in (None, found):
            raise triton.TritonModelException(f"{path} has the digest {found}, config.pbtxt says {promised}")
        options = onnxruntime.SessionOptions()
        if any(-1 in tensor["dims"] for tensor in config["input"]):
            # A pool that once held the longest sequence would keep that size for as long as the model is loaded.
            options.enable_cpu_mem_arena = options.enable_mem_pattern = False
        self.session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        self.inputs = [tensor["name"] for tensor in config["input"]]
        self.outputs = [tensor["name"] for tensor in config["output"]]

    def execute(self, requests: list[Any]) -> list[Any]:
        """Answer each request by itself: on a processor a larger batch is no faster."""
        return [self._answer(request) for request in requests]

    def _answer(self, request: Any) -> Any:
        try:
            given = {name: triton.get_input_tensor_by_name(request, name).as_numpy() for name in self.inputs}
            answers = self.session.run(self.outputs, given)
        except Exception as error:  # noqa: BLE001  # whatever it is, it is the request's answer
            return triton.InferenceResponse(error=triton.TritonError(str(error)))
        tensors = zip(self.outputs, answers, strict=True)
        return triton.InferenceResponse([triton.Tensor(name, np.ascontiguousarray(value)) for name, value in tensors])
