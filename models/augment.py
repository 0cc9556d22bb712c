"""Random changes of training pictures: what differs between cameras and hands, not between meanings.

Belongs here: changes that keep the labels or move them exactly. Does not belong here: disturbances that the simulator
draws itself (smoke, blur, fog).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

_GAIN: Final = (0.8, 1.25)
_CHANNEL_GAIN: Final = (0.9, 1.1)
_GAMMA: Final = (0.8, 1.25)


def recolour(image: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """Change exposure, gamma and white balance of an RGB picture [h,w,3], as another camera would."""
    import cv2

    levels = np.linspace(0.0, 1.0, 256)[:, np.newaxis]
    gains = rng.uniform(*_GAIN) * rng.uniform(*_CHANNEL_GAIN, size=3)
    curve = np.clip(levels ** rng.uniform(*_GAMMA) * gains, 0.0, 1.0)
    table = np.rint(curve * 255).astype(np.uint8)
    return np.asarray(cv2.LUT(image, table[np.newaxis]), dtype=np.uint8)


def coin(rng: np.random.Generator) -> bool:
    """Toss: true in half of the cases."""
    return bool(rng.random() < 0.5)
