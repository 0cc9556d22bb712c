"""Pictures that are no simulated frames, made from simulated frames: what novelty is trained against.

Outlier exposure (Hendrycks et al. 2019) with synthetic outliers: wrong colours, wrong grain, wrong shapes. No real
picture is used. Belongs here: the distortions. Does not belong here: `augment.py`'s changes, which another camera could
make.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

import numpy as np

from models.augment import coin

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Picture = NDArray[np.float32]
    Distortion = Callable[[Picture, np.random.Generator], Picture]

_BLACK: Final = 12
"""Mean grey level below which a pixel counts as outside of the round view."""
_MOST_DISTORTIONS: Final = 3
_MAGNIFIED_SHARE: Final = 0.4


def outlier_of(image: NDArray[np.uint8], other: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """Make a picture that no simulated camera gives.

    Either the frame is distorted in one to three random ways, one of which may be a mixture with another frame; what
    was black outside of the view stays so. Or a part of it is magnified, so that no round view is left, perhaps
    distorted, and perhaps put between black bars.

    Args:
        image: RGB [h,w,3].
        other: a frame to mix in, of the same size.
        rng: decides everything.
    """
    picture = image.astype(np.float32)
    if rng.random() >= _MAGNIFIED_SHARE:
        visible = picture.mean(axis=2, keepdims=True) > _BLACK
        return np.asarray(_distorted(picture, other, rng) * visible, dtype=np.uint8)
    picture = np.clip(_magnified(picture, rng), 0, 255)
    if coin(rng):
        picture = _distorted(picture, other, rng)
    return np.asarray(_barred(picture) if coin(rng) else picture, dtype=np.uint8)


def _distorted(picture: Picture, other: NDArray[np.uint8], rng: np.random.Generator) -> Picture:
    ways = rng.choice(len(_DISTORTIONS) + 1, size=rng.integers(1, _MOST_DISTORTIONS + 1), replace=False)
    for way in ways:
        if way == len(_DISTORTIONS):
            share = rng.uniform(0.3, 0.7)
            picture = share * picture + (1 - share) * other
        else:
            picture = _DISTORTIONS[way](picture, rng)
        picture = np.clip(picture, 0, 255).astype(np.float32)
    return picture


def _barred(picture: Picture) -> Picture:
    """Flattened to 16:9 between the bars that a wide picture gets in a 4:3 frame."""
    import cv2

    height, width = picture.shape[:2]
    inner = height * 3 // 4
    top = (height - inner) // 2
    barred = np.zeros_like(picture)
    barred[top : top + inner] = cv2.resize(picture, (width, inner), interpolation=cv2.INTER_AREA)
    return barred


def _rehued(picture: Picture, rng: np.random.Generator) -> Picture:
    import cv2

    hsv = cv2.cvtColor(picture.astype(np.uint8), cv2.COLOR_RGB2HSV)
    hsv[..., 0] = (hsv[..., 0].astype(np.int64) + rng.integers(8, 172)) % 180
    return np.asarray(cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB), dtype=np.float32)


def _bent(picture: Picture, rng: np.random.Generator) -> Picture:
    """A gamma about twice too large or too small."""
    gamma = 2.0 ** rng.choice([-1.0, 1.0]) * rng.uniform(0.8, 1.3)
    return np.asarray(255 * (picture / 255) ** gamma, dtype=np.float32)


def _blurred(picture: Picture, rng: np.random.Generator) -> Picture:
    import cv2

    return np.asarray(cv2.GaussianBlur(picture, (0, 0), rng.uniform(0.8, 3.0)), dtype=np.float32)


def _sharpened(picture: Picture, rng: np.random.Generator) -> Picture:
    blurred = _blurred(picture, rng)
    return picture + np.float32(rng.uniform(0.5, 2.5)) * (picture - blurred)


def _grained(picture: Picture, rng: np.random.Generator) -> Picture:
    """Multiplied by a coloured texture."""
    texture = _noise(picture.shape, rng.uniform(0.5, 2.5), rng)[..., np.newaxis] * rng.uniform(0.3, 1.2, size=3)
    return np.asarray(picture * np.exp(rng.uniform(0.08, 0.4) * texture), dtype=np.float32)


def _replaced(picture: Picture, rng: np.random.Generator) -> Picture:
    """Partly replaced by noise with the picture's own mean colour and contrast."""
    slope, share = rng.uniform(0.8, 2.5), rng.uniform(0.3, 1.0)
    noise = np.stack([_noise(picture.shape, slope, rng) for _ in range(3)], axis=2)
    like = picture.mean(axis=(0, 1)) + picture.std(axis=(0, 1)) * noise
    return np.asarray((1 - share) * picture + share * like, dtype=np.float32)


def _warped(picture: Picture, rng: np.random.Generator) -> Picture:
    import cv2

    height, width = picture.shape[:2]
    down, across = np.mgrid[:height, :width].astype(np.float32)
    shift_px = rng.uniform(4, 20)
    fields = []
    for _ in range(2):
        rough = rng.normal(size=(height, width)).astype(np.float32)
        field = cv2.GaussianBlur(rough, (0, 0), rng.uniform(4, 12))
        fields.append((shift_px * field / field.std()).astype(np.float32))
    warped = cv2.remap(picture, across + fields[0], down + fields[1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)
    return np.asarray(warped, dtype=np.float32)


def _smoothed(picture: Picture, rng: np.random.Generator) -> Picture:
    """Without grain, with edges, as a painting."""
    import cv2

    return np.asarray(cv2.bilateralFilter(picture, 7, rng.uniform(20, 70), 4), dtype=np.float32)


def _magnified(picture: Picture, rng: np.random.Generator) -> Picture:
    import cv2

    height, width = picture.shape[:2]
    zoom = rng.uniform(1.5, 4.0)
    part_height, part_width = int(height / zoom), int(width / zoom)
    top, left = rng.integers(0, height - part_height), rng.integers(0, width - part_width)
    part = picture[top : top + part_height, left : left + part_width]
    return np.asarray(cv2.resize(part, (width, height), interpolation=cv2.INTER_CUBIC), dtype=np.float32)


def _noise(shape: tuple[int, ...], slope: float, rng: np.random.Generator) -> NDArray[np.float64]:
    """Noise [h,w] whose amplitude falls with frequency to the power of `slope`; mean 0, deviation 1."""
    height, width = shape[:2]
    frequency = np.fft.fftfreq(height)[:, np.newaxis] ** 2 + np.fft.fftfreq(width)[np.newaxis] ** 2
    frequency[0, 0] = 1.0
    spectrum = np.fft.fft2(rng.normal(size=(height, width))) * frequency ** (-slope / 2)
    noise = np.fft.ifft2(spectrum).real
    return np.asarray((noise - noise.mean()) / noise.std())


_DISTORTIONS: Final[tuple[Distortion, ...]] = (
    _rehued,
    _bent,
    _blurred,
    _sharpened,
    _grained,
    _replaced,
    _warped,
    _smoothed,
)
