"""Writes a trained network as ONNX and proves that ONNX Runtime answers as torch does.

Belongs here: export and the proof. Does not belong here: configuration files (`triton_config.py`), scores.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from models.contracts import CONTRACTS, DETECTOR, FEATURE_WIDTH, SEGMENTER, ModelContract

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor, nn

TOLERANCE: Final = 1e-4
"""Largest allowed difference between torch and ONNX Runtime, relative to values of size one."""
_FAINT: Final = 0.05
"""Boxes with a lower score than this are not compared, nor are such scores with each other: of two cells that are
equally warm, either is the peak."""
_EXAMPLE_BATCH: Final = 2
_EXAMPLE_FRAMES: Final = 37
_OPERATORS: Final = "torch.onnx._internal.exporter._registration"
"""Its logger tells every operator of torchvision that is not installed; our networks use none."""


class ExportMismatchError(Exception):
    """The exported file does not answer as the network does; it must not be served."""


def export_model(network: nn.Module, name: str, repository: Path, *, example: Tensor) -> float:
    """Write `<repository>/<name>/1/model.onnx` and compare it with the network.

    Args:
        network: in evaluation mode; its answer is a tensor or a tuple in the order of the contract's outputs.
        name: the model's name in the table of contracts.
        repository: folder in Triton's layout.
        example: an input [N,…] as the model will see it (noise has ties that two engines may order differently).

    Returns:
        The largest difference found, relative to values of size one.

    Raises:
        ExportMismatchError: the difference is above the tolerance.
    """
    import onnx
    import torch

    contract = CONTRACTS[name]
    path = repository / name / "1" / "model.onnx"
    path.parent.mkdir(parents=True, exist_ok=True)
    network.eval()
    batch = torch.export.Dim("batch", min=1, max=contract.max_batch_size)
    dynamic = {0: batch, 1: torch.export.Dim("frames", min=1)} if name == SEGMENTER else {0: batch}
    with _quiet_exporter():
        program = torch.onnx.export(
            network,
            (_tracing_input(contract),),
            input_names=[tensor.name for tensor in contract.inputs],
            output_names=[tensor.name for tensor in contract.outputs],
            dynamic_shapes=(dynamic,),
            dynamo=True,
            optimize=True,
            verbose=False,
        )
    if program is None:
        raise ExportMismatchError(f"{name}: torch.onnx.export returned nothing")
    proto = program.model_proto
    _strip_traces(proto)
    onnx.checker.check_model(proto)
    path.write_bytes(proto.SerializeToString())
    difference = largest_difference(network, path, contract, example)
    if difference > TOLERANCE:
        raise ExportMismatchError(f"{name}: torch and ONNX Runtime differ by {difference:.2e}, above {TOLERANCE}")
    return difference


def largest_difference(network: nn.Module, path: Path, contract: ModelContract, example: Tensor) -> float:
    """Give the largest |torch - ONNX Runtime| / max(1, |torch|) over all outputs, for the batch and its first item."""
    import onnxruntime
    import torch

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    worst = 0.0
    for images in (example, example[:1]):
        with torch.no_grad():
            answer = network(images)
        expected = answer if isinstance(answer, tuple) else (answer,)
        names = [tensor.name for tensor in contract.outputs]
        given = session.run(names, {contract.inputs[0].name: images.numpy()})
        wanted = {name: one.numpy() for name, one in zip(names, expected, strict=True)}
        worst = max(worst, difference_of(contract, wanted, dict(zip(names, given, strict=True))))
    return worst


def difference_of(
    contract: ModelContract, wanted: Mapping[str, NDArray[Any]], given: Mapping[str, NDArray[Any]]
) -> float:
    """Give the largest |wanted - given| / max(1, |wanted|) over the outputs of one request; inf for other shapes."""
    worst = 0.0
    for tensor in contract.outputs:
        ours, theirs = (np.asarray(side[tensor.name], dtype=np.float64) for side in (wanted, given))
        if ours.shape != theirs.shape:
            return float("inf")
        if contract.name == DETECTOR:
            sure = wanted["scores"] >= _FAINT
            is_score = tensor.name == "scores"
            ours, theirs = (np.maximum(side, _FAINT) if is_score else side[sure] for side in (ours, theirs))
        worst = max(worst, float(np.max(np.abs(ours - theirs) / np.maximum(1.0, np.abs(ours)), initial=0.0)))
    return worst


def _tracing_input(contract: ModelContract) -> Tensor:
    import torch

    generator = torch.Generator().manual_seed(0)
    if contract.name == SEGMENTER:
        return torch.rand(_EXAMPLE_BATCH, _EXAMPLE_FRAMES, FEATURE_WIDTH, generator=generator)
    return torch.rand(_EXAMPLE_BATCH, *contract.inputs[0].dims, generator=generator)


@contextmanager
def _quiet_exporter() -> Iterator[None]:
    """Leave out what the exporter says of itself: nobody who trains a model can act on it."""
    logger = logging.getLogger(_OPERATORS)
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=".*LeafSpec", category=FutureWarning)
            yield
    finally:
        logger.setLevel(level)


def _strip_traces(proto: object) -> None:
    """Drop what the exporter notes about source lines and stack frames: it names paths of the building machine."""
    for field in (proto.graph, *proto.graph.node, *proto.graph.value_info):  # type: ignore[attr-defined]
        del field.metadata_props[:]
        if hasattr(field, "doc_string"):
            field.doc_string = ""
