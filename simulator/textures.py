"""Surfaces of the tissues: tiles of colour and relief, painted once for each operation.

Belongs here: procedural painting of one tile per material. Does not belong here: where a material lies
(`anatomy`) or how light falls on it (`tissue`).
"""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from simulator.view import Field, floats_of

TILE_PX = 512
TILE_UNITS = 2.0
"""A tile covers two scene units; beyond it is mirrored."""

MATERIALS: dict[str, tuple[tuple[int, int, int], tuple[int, int, int]]] = {
    "wall": ((146, 84, 88), (190, 126, 120)),
    "liver": ((90, 46, 44), (140, 78, 73)),
    "bed": ((52, 18, 16), (138, 70, 56)),
    "gallbladder": ((118, 108, 122), (174, 154, 158)),
    "fat": ((186, 126, 44), (240, 204, 118)),
    "gut": ((198, 106, 100), (236, 158, 146)),
    "connective": ((150, 58, 50), (220, 160, 130)),
    "duct": ((176, 130, 98), (220, 184, 148)),
    "artery": ((150, 44, 40), (198, 90, 78)),
    "ligament": ((200, 154, 122), (230, 200, 168)),
    "vein": ((96, 42, 54), (136, 76, 86)),
    "blood": ((92, 2, 6), (150, 12, 14)),
}
"""Dark and light colour (RGB) of each material, after pictures of real operations."""

PATIENT_TINTS = {"gallbladder": 14.0, "liver": 9.0, "fat": 6.0, "gut": 8.0, "wall": 9.0}
"""How much the colour of an organ differs between patients: standard deviation in grey levels, others 5."""

HUE_SHARE = 0.5
"""How much of that is hue: patients differ more in brightness, and no liver is violet."""


def noise(rng: np.random.Generator, cells: int, octaves: int = 4, stretch: float = 1.0) -> Field:
    """Smooth noise [512,512] in 0..1: cubic up-sampling of random grids, each octave half as strong.

    `cells` is the number of grid cells along x in the first octave; `stretch` > 1 makes streaks along y.
    """
    total = np.zeros((TILE_PX, TILE_PX), np.float32)
    for octave in range(octaves):
        columns = cells * 2**octave
        grid = rng.random((max(2, int(columns / stretch)), columns), dtype=np.float32)
        total += cv2.resize(grid, (TILE_PX, TILE_PX), interpolation=cv2.INTER_CUBIC) * 0.5**octave
    low, high = np.percentile(total, (1, 99))
    return floats_of(np.clip((total - low) / (high - low), 0, 1))


def lobules(rng: np.random.Generator, count: int) -> Field:
    """Pillows [512,512] in 0..1, one around each of `count` random seeds: the relief of fat."""
    seeds = np.full((TILE_PX, TILE_PX), 255, np.uint8)
    for x, y in rng.integers(0, TILE_PX, (count, 2)):
        seeds[y, x] = 0
    _, cells = cv2.distanceTransformWithLabels(seeds, cv2.DIST_L2, 5)
    right, down = np.roll(cells, 1, axis=1), np.roll(cells, 1, axis=0)
    inside = ((cells == right) & (cells == down)).astype(np.uint8)
    depth = cv2.distanceTransform(inside, cv2.DIST_L2, 5)
    pillows = cv2.GaussianBlur(np.minimum(depth, 18.0) / 18.0, (0, 0), 4)
    return floats_of(np.sqrt(pillows))


def capillaries(rng: np.random.Generator, roots: int, length: int, thick: int) -> Field:
    """Branching fine vessels [512,512], 1 on a vessel and 0 elsewhere, softened."""
    canvas = np.zeros((TILE_PX, TILE_PX), np.uint8)
    walks = [(rng.uniform(0, TILE_PX, 2), rng.uniform(0, 2 * np.pi), thick, length) for _ in range(roots)]
    while walks:
        at, heading, width, left = walks.pop()
        path = [at]
        for step in range(left):
            heading += rng.normal(0, 0.28)
            at = at + 9.0 * np.array([np.cos(heading), np.sin(heading)])
            path.append(at)
            if width > 1 and step > 2 and rng.random() < 0.16:
                walks.append((at, heading + rng.choice((-0.8, 0.8)), width - 1, left // 2 + 2))
        cv2.polylines(canvas, [np.round(np.array(path)).astype(np.int32)], False, 90 + 50 * width, width, cv2.LINE_AA)
    return (cv2.GaussianBlur(canvas, (0, 0), 0.8) / 255.0).astype(np.float32)


def bent(rng: np.random.Generator, field: Field, reach_px: float) -> Field:
    """The field [512,512] pushed about by smooth noise of up to `reach_px`, so that straight lines bend."""
    y, x = np.mgrid[0:TILE_PX, 0:TILE_PX].astype(np.float32)
    to_x, to_y = (x + reach_px * (noise(rng, 9, 2) - 0.5) for _ in range(2))
    return floats_of(cv2.remap(field, to_x, to_y - x + y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT))


@lru_cache(maxsize=8)
def tiles(seed: int) -> dict[str, NDArray[np.uint8]]:
    """Every material's tile, uint8 [512,512,4]: RGB and relief."""
    return {name: _tile(name, np.random.default_rng([seed, 200, at])) for at, name in enumerate(MATERIALS)}


def _tile(name: str, rng: np.random.Generator) -> NDArray[np.uint8]:
    dark, light = (np.array(colour, np.float32) for colour in MATERIALS[name])
    tone, relief = _tone_and_relief(name, rng)
    tint = rng.normal(0, PATIENT_TINTS.get(name, 5.0), 3)
    tint = tint.mean() + HUE_SHARE * (tint - tint.mean())
    colour = dark + (light - dark) * tone[..., None] + tint
    vessels = _vessels(name, rng)
    if vessels is not None:
        red = np.array((128, 34, 40), np.float32) if name != "wall" else np.array((104, 44, 66), np.float32)
        colour += (red - colour) * vessels[..., None] * 0.75
    spots = _spots(name, rng)
    if spots is not None:
        veil, over = spots
        colour += (np.array(over, np.float32) - colour) * veil[..., None]
    return np.dstack([np.clip(colour, 0, 255), relief * 255]).astype(np.uint8)


def _tone_and_relief(name: str, rng: np.random.Generator) -> tuple[Field, Field]:
    """Tone (0 dark colour, 1 light colour) and relief, both [512,512] in 0..1."""
    if name == "fat":
        pillows = bent(rng, 0.55 * lobules(rng, 70) + 0.45 * lobules(rng, 420), 16.0)
        return np.clip(0.75 * pillows + 0.35 * noise(rng, 6), 0, 1), pillows
    if name == "liver":
        grain, broad, dents = noise(rng, 90, 2), noise(rng, 3, 5), noise(rng, 6)
        return 0.7 * broad + 0.2 * grain, 0.06 * grain + 0.6 * dents
    if name == "connective":
        fibres = bent(rng, noise(rng, 40, 3, stretch=6.0), 34.0)
        return 0.6 * fibres + 0.4 * noise(rng, 7), fibres
    if name == "gut":
        folds = noise(rng, 3, 3, stretch=2.0)
        return 0.6 * folds + 0.4 * noise(rng, 20, 2), folds
    if name == "bed":
        crumbs = noise(rng, 40, 3)
        return np.clip(crumbs * 1.3 - 0.2, 0, 1), crumbs
    soft = noise(rng, 4, 5)
    return soft, 0.4 * soft + 0.15 * noise(rng, 50, 2)


def _spots(name: str, rng: np.random.Generator) -> tuple[Field, tuple[int, int, int]] | None:
    """What lies on a tissue in patches, opacity [512,512] and colour: pale capsule of the liver, char on its bed."""
    if name == "liver":
        streaks = bent(rng, noise(rng, 26, 3, stretch=5.0), 60.0)
        return floats_of(0.45 * np.clip(3.0 * streaks - 2.3, 0, 1) * noise(rng, 4, 2)), (186, 150, 146)
    if name == "bed":
        return floats_of(0.8 * np.clip(3.0 * noise(rng, 9, 4) - 1.9, 0, 1)), (36, 26, 24)
    return None


def _vessels(name: str, rng: np.random.Generator) -> Field | None:
    if name == "gallbladder":
        return floats_of(
            np.maximum(0.8 * capillaries(rng, 12, 26, 3), np.minimum(1.6 * capillaries(rng, 60, 22, 1), 0.8))
        )
    if name == "wall":
        return capillaries(rng, 7, 34, 3)
    if name in ("gut", "fat"):
        return 0.7 * capillaries(rng, 9, 16, 2)
    return None
