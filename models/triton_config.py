"""Spells a model's contract as Triton's `config.pbtxt`, which both engines read.

Belongs here: the text of the file and of `labels.txt`. Does not belong here: parsing it (the inference resource does).
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Final

from models.contracts import EXTRACTOR, FEATURE_WIDTH, SEGMENTER, TAXONOMY, VERSION, ModelContract, TensorContract

SERVED_VERSIONS: Final = 2
PREFERRED_BATCH_SIZES: Final = (4, 8)
QUEUE_DELAY_US: Final = 100
"""Both by NV-101; a larger request goes at once."""
_LABELLED: Final = frozenset({"predictions", "classes", "probabilities"})
"""Outputs whose channels or values are indices into `labels.txt`."""


def sha256_of(path: Path) -> str:
    """Give the file's SHA-256 as 64 hex digits."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def write_model_files(repository: Path, contract: ModelContract) -> None:
    """Write `config.pbtxt`, the processor's variant, and `labels.txt` of one model.

    The segmenter's file names the digest of the extractor's `model.onnx`, which must therefore exist already.
    """
    folder = repository / contract.name
    folder.mkdir(parents=True, exist_ok=True)
    parameters = {"model_version": VERSION, "taxonomy": TAXONOMY}
    if contract.name == SEGMENTER:
        parameters["feature_extractor_digest"] = sha256_of(repository / EXTRACTOR / "1" / "model.onnx")
        parameters["feature_width"] = str(FEATURE_WIDTH)
    where = "kind: KIND_GPU\n    gpus: [ 0 ]" if contract.name == SEGMENTER else "kind: KIND_AUTO"
    (folder / "config.pbtxt").write_text(config_text(contract, parameters, instance=where))
    (folder / "configs").mkdir(exist_ok=True)
    (folder / "configs" / "cpu.pbtxt").write_text(config_text(contract, parameters, instance="kind: KIND_CPU"))
    if contract.labels:
        (folder / "labels.txt").write_text("".join(f"{label}\n" for label in contract.labels))


def config_text(contract: ModelContract, parameters: dict[str, str], *, instance: str) -> str:
    """Give the protobuf text of one model's configuration.

    Args:
        contract: names, types and shapes.
        parameters: free strings; the model's version and what it was made for.
        instance: the fields of the instance group that say where it runs.
    """
    parts = [
        f'name: "{contract.name}"',
        'backend: "onnxruntime"',
        f"max_batch_size: {contract.max_batch_size}",
        _tensors("input", contract.inputs, labelled=False),
        _tensors("output", contract.outputs, labelled=bool(contract.labels)),
        f"version_policy {{\n  latest {{ num_versions: {SERVED_VERSIONS} }}\n}}",
        f"instance_group [\n  {{\n    count: 1\n    {instance}\n  }}\n]",
    ]
    sizes = ", ".join(str(size) for size in PREFERRED_BATCH_SIZES)
    batching = [f"preferred_batch_size: [ {sizes} ]", f"max_queue_delay_microseconds: {QUEUE_DELAY_US}"]
    parts.append("dynamic_batching {\n" + "".join(f"  {line}\n" for line in batching) + "}")
    parts += [
        f'parameters {{\n  key: "{key}"\n  value {{ string_value: "{value}" }}\n}}'
        for key, value in sorted(parameters.items())
    ]
    return "\n".join(parts) + "\n"


def _tensors(kind: str, tensors: tuple[TensorContract, ...], *, labelled: bool) -> str:
    entries = []
    for tensor in tensors:
        dims = ", ".join(str(size) for size in tensor.dims)
        lines = [f'name: "{tensor.name}"', f"data_type: TYPE_{tensor.data_type}", f"dims: [ {dims} ]"]
        if labelled and tensor.name in _LABELLED:
            lines.append('label_filename: "labels.txt"')
        entries.append("  {\n" + "".join(f"    {line}\n" for line in lines) + "  }")
    return f"{kind} [\n" + ",\n".join(entries) + "\n]"
