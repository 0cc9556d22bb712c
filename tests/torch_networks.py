"""The torch networks of the committed models, with the weights that stand in their ONNX files.

Belongs here: putting weights back. The exporter keeps the parameters' names and folds each batch normalisation into
the convolution before it, so a normalisation that does nothing but add the folded bias gives the same network. So an
engine's answers can be held against torch, which shares no code with ONNX Runtime. Does not belong here: tests.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from models.anatomy_segmenter.network import AnatomySegmenter
from models.contracts import ANATOMIST, DETECTOR, EXTRACTOR, SEGMENTER
from models.feature_extractor.network import FeatureExtractor
from models.instrument_detector.network import InstrumentDetector
from models.phase_segmenter.network import PhaseSegmenter

if TYPE_CHECKING:
    from torch import Tensor, nn

NETWORKS = {
    EXTRACTOR: FeatureExtractor,
    SEGMENTER: PhaseSegmenter,
    DETECTOR: InstrumentDetector,
    ANATOMIST: AnatomySegmenter,
}


def network_of(name: str, file: Path) -> nn.Module:
    """The network of a model with the file's weights, in evaluation mode.

    Raises:
        KeyError: the file does not hold a parameter of the network.
    """
    import onnx
    import torch
    from onnx import numpy_helper
    from torch import nn

    graph = onnx.load(str(file)).graph
    held = {one.name: torch.from_numpy(numpy_helper.to_array(one).copy()) for one in graph.initializer}
    network = NETWORKS[name]()
    state = network.state_dict()
    for path, module in network.named_modules():
        if isinstance(module, nn.BatchNorm2d):
            _fold(state, path, module, held[f"{path.removesuffix('1')}0.weight_bias"])
    turned = iter([held[node.input[1]] for node in graph.node if node.op_type == "MatMul" and node.input[1] in held])
    folded = {name for name, module in network.named_modules() if isinstance(module, nn.BatchNorm2d)}
    for key in state:
        if key in held:
            state[key] = held[key]
        elif key.rpartition(".")[0] not in folded:
            if not key.endswith("enter.weight"):
                raise KeyError(key)
            state[key] = next(turned).T[:, :, None]  # a convolution of width one, exported as a product of matrices
    network.load_state_dict(state)
    return network.eval()


def _fold(state: dict[str, Tensor], path: str, module: nn.BatchNorm2d, bias: Tensor) -> None:
    state[f"{path}.weight"].fill_(1.0)
    state[f"{path}.bias"] = bias
    state[f"{path}.running_mean"].zero_()
    state[f"{path}.running_var"].fill_(1.0 - module.eps)
