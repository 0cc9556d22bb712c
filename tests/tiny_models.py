"""Model repositories with ONNX models of a few hundred bytes, whose answers are the pixels and figures put in.

Belongs here: writing such files. The ONNX package is an extra of training, so the few messages that are needed are
spelt in the protobuf wire format (onnx.proto, IR version 4, operator set 9). Does not belong here: tests.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

FLOAT, UINT8, INT32, INT64 = 1, 2, 6, 7
CONFIG_TYPES = {FLOAT: "TYPE_FP32", UINT8: "TYPE_UINT8", INT32: "TYPE_INT32", INT64: "TYPE_INT64"}
IR_VERSION, OPERATOR_SET = 4, 9
SLOTS = 8
"""Detections of the tiny detector, and the edge of its picture."""


@dataclass(frozen=True)
class Tensor:
    """An input or output as the file declares it: a name for a size of any length."""

    name: str
    shape: Sequence[int | str]
    type: int = FLOAT


@dataclass(frozen=True)
class Node:
    """One operator with integer attributes (a list or a single figure)."""

    operator: str
    inputs: Sequence[str]
    outputs: Sequence[str]
    attributes: dict[str, int | list[int]] = field(default_factory=dict)


@dataclass(frozen=True)
class Graph:
    """A whole model."""

    nodes: Sequence[Node]
    inputs: Sequence[Tensor]
    outputs: Sequence[Tensor]

    def onnx(self) -> bytes:
        """The file's bytes."""
        graph = b"".join(
            [
                *(_message(1, _node(node)) for node in self.nodes),
                _message(2, b"tiny"),
                *(_message(11, _tensor(tensor)) for tensor in self.inputs),
                *(_message(12, _tensor(tensor)) for tensor in self.outputs),
            ]
        )
        return _figure(1, IR_VERSION) + _message(7, graph) + _message(8, _figure(2, OPERATOR_SET))

    def config(self, name: str, max_batch_size: int) -> str:
        """The ``config.pbtxt`` that promises what the file does."""

        def side(kind: str, tensor: Tensor) -> str:
            shape = tensor.shape[1:] if max_batch_size else tensor.shape
            dims = ", ".join(str(size if isinstance(size, int) else -1) for size in shape)
            return f'{kind} {{ name: "{tensor.name}" data_type: {CONFIG_TYPES[tensor.type]} dims: [ {dims} ] }}\n'

        head = f'name: "{name}"\nbackend: "onnxruntime"\nmax_batch_size: {max_batch_size}\n'
        sides = [*(side("input", tensor) for tensor in self.inputs), *(side("output", out) for out in self.outputs)]
        return head + "".join(sides)


def install(root: Path, name: str, graph: Graph, *, version: int = 1, batch: int = 8, more: str = "") -> Path:
    """Write a model into a repository; ``more`` is added to its configuration."""
    folder = root / name / str(version)
    folder.mkdir(parents=True)
    (folder / "model.onnx").write_bytes(graph.onnx())
    (root / name / "config.pbtxt").write_text(graph.config(name, batch) + more, encoding="utf-8")
    return folder / "model.onnx"


def echo(*shape: int | str, name: str = "images", type_: int = FLOAT) -> Graph:
    """Answers with its input under the name ``echo``."""
    return Graph([Node("Identity", [name], ["echo"])], [Tensor(name, shape, type_)], [Tensor("echo", shape, type_)])


def takes_bytes(*shape: int | str) -> Graph:
    """Pictures as bytes; answers with their values as floats."""
    cast = Node("Cast", ["images"], ["echo"], {"to": FLOAT})
    return Graph([cast], [Tensor("images", shape, UINT8)], [Tensor("echo", shape)])


def tiny_segmenter(phases: int = 11) -> Graph:
    """The first figures of each row are its phases' probabilities."""
    first = Node("Slice", ["features"], ["predictions"], {"axes": [2], "starts": [0], "ends": [phases]})
    shape = ("batch", "frames")
    return Graph([first], [Tensor("features", (*shape, 2048))], [Tensor("predictions", (*shape, phases))])


def tiny_detector() -> Graph:
    """Scores are red over blue pixels of the first row, classes its blue pixels, boxes the green pixels."""

    def cut(plane: int, rows: int, columns: int, name: str) -> Node:
        ends = [plane + 1, rows, columns]
        return Node("Slice", ["images"], [name], {"axes": [1, 2, 3], "starts": [plane, 0, 0], "ends": ends})

    return Graph(
        [
            cut(0, 1, SLOTS, "red"),
            cut(1, SLOTS, 4, "green"),
            Node("Squeeze", ["green"], ["boxes"], {"axes": [1]}),
            cut(2, 1, SLOTS, "blue"),
            Node("Squeeze", ["blue"], ["flat"], {"axes": [1, 2]}),
            Node("Cast", ["flat"], ["classes"], {"to": INT32}),
            Node("Squeeze", ["red"], ["dividend"], {"axes": [1, 2]}),
            Node("Div", ["dividend", "flat"], ["scores"]),
        ],
        [Tensor("images", ("batch", 3, SLOTS, SLOTS))],
        [
            Tensor("boxes", ("batch", SLOTS, 4)),
            Tensor("scores", ("batch", SLOTS)),
            Tensor("classes", ("batch", SLOTS), INT32),
        ],
    )


def _varint(value: int) -> bytes:
    coded = b""
    while value > 0x7F:
        coded += bytes([value & 0x7F | 0x80])
        value >>= 7
    return coded + bytes([value])


def _figure(number: int, value: int) -> bytes:
    return _varint(number << 3) + _varint(value)


def _message(number: int, data: bytes) -> bytes:
    return _varint(number << 3 | 2) + _varint(len(data)) + data


def _tensor(tensor: Tensor) -> bytes:
    sizes = [_figure(1, size) if isinstance(size, int) else _message(2, size.encode()) for size in tensor.shape]
    shape = b"".join(_message(1, size) for size in sizes)
    return _message(1, tensor.name.encode()) + _message(2, _message(1, _figure(1, tensor.type) + _message(2, shape)))


def _node(node: Node) -> bytes:
    coded = [*(_message(1, name.encode()) for name in node.inputs), *(_message(2, n.encode()) for n in node.outputs)]
    coded.append(_message(4, node.operator.encode()))
    for name, value in node.attributes.items():
        if isinstance(value, int):
            figures = _figure(3, value) + _figure(20, 2)
        else:
            figures = b"".join(_figure(8, item) for item in value) + _figure(20, 7)
        coded.append(_message(5, _message(1, name.encode()) + figures))
    return b"".join(coded)
