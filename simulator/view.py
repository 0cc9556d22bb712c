"""Where the camera looks: from the scene to the picture.

The scene is flat. Its unit is half a picture height at zoom 1; x points right, y down, the neck of the
gallbladder is near (0, 0), the abdominal wall begins above y = -1. Belongs here: camera, smooth motion, the round
field of view. Does not belong here: what is in the scene.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from simulator.cast import Hospital, surgeon_named
from simulator.operation import OperationPlan
from simulator.progress import smoothstep

Picture = NDArray[np.uint8]
"""uint8 [h,w,3], RGB."""
Labels = NDArray[np.uint8]
"""uint8 [h,w], class ids."""
Field = NDArray[np.float32]
"""float32 [h,w]."""
Point = NDArray[np.float64]
"""float64 [2], x and y."""
Points = NDArray[np.float64]
"""float64 [n,2], x and y."""

SUBPIXEL_BITS = 4
"""Fixed-point bits of the coordinates given to OpenCV's drawing functions."""

SHOTS: dict[str, tuple[float, float, float]] = {
    "preparation": (0.0, 0.0, 0.74),
    "trocar-placement": (0.0, -1.75, 0.85),
    "adhesiolysis": (0.05, 0.10, 1.02),
    "calot-triangle-dissection": (0.06, 0.06, 1.25),
    "clipping-and-cutting": (0.16, 0.16, 1.55),
    "gallbladder-dissection": (-0.08, -0.22, 1.15),
    "gallbladder-packaging": (0.05, -0.02, 0.88),
    "cleaning-and-coagulation": (-0.06, -0.16, 1.05),
    "gallbladder-extraction": (0.05, -1.50, 0.95),
    "drain-placement": (0.05, 0.05, 0.95),
    "port-closure": (0.05, -1.80, 1.25),
}
"""Where the camera looks in each phase: x, y in the scene, zoom."""

PANNING_MS = 1600.0
"""Time the camera takes from one shot to the next."""


def bytes_of(array: object) -> NDArray[np.uint8]:
    """The array as bytes, not copied: OpenCV's type hints promise less than its functions return."""
    return np.asarray(array, dtype=np.uint8)


def floats_of(array: object) -> NDArray[np.float32]:
    """The array as float32, not copied when it is one."""
    return np.asarray(array, dtype=np.float32)


def xy(x: float, y: float) -> Point:
    """A point or an offset."""
    return np.array([x, y])


@dataclass(frozen=True)
class Camera:
    """A similarity from the scene to the picture: `scale` is pixels per scene unit, `roll` radians."""

    x: float
    y: float
    scale: float
    roll: float
    centre_px: tuple[float, float]

    def matrix(self) -> NDArray[np.float64]:
        """The 2x3 matrix from scene to pixels."""
        cos, sin = np.cos(self.roll) * self.scale, np.sin(self.roll) * self.scale
        cx, cy = self.centre_px
        return np.array([[cos, -sin, cx - cos * self.x + sin * self.y], [sin, cos, cy - sin * self.x - cos * self.y]])

    def moved(self, right_px: float) -> Camera:
        """The same camera for a picture whose left edge is that many pixels further right."""
        return replace(self, centre_px=(self.centre_px[0] - right_px, self.centre_px[1]))

    def to_px(self, points: Points) -> Points:
        """Scene points [n,2] in pixels."""
        matrix = self.matrix()
        moved: Points = points @ matrix[:, :2].T + matrix[:, 2]
        return moved


def sway(seed: int, stream: int, timestamp_ms: float, period_s: float = 6.0) -> tuple[float, float]:
    """A smooth random wander within about -1..1 in x and y, the same for the same arguments.

    Three sines a direction with random phases and incommensurable periods around `period_s`.
    """
    phases, factors = _wave(seed, stream)
    angle = 2 * np.pi * timestamp_ms / 1000.0 / period_s
    waves = np.sin(angle * factors + phases) * (0.5, 0.3, 0.2)
    x, y = waves.sum(axis=1)
    return float(x), float(y)


@lru_cache(maxsize=4096)
def _wave(seed: int, stream: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    rng = np.random.default_rng([seed, 100, stream])
    return rng.uniform(0, 2 * np.pi, (2, 3)), rng.uniform(0.9, 1.1, (2, 3)) * (1.0, 1.9, 3.1)


def camera_at(plan: OperationPlan, timestamp_ms: float, width: int, height: int) -> Camera:
    """The camera at a moment, for a picture of width by height pixels."""
    pace = surgeon_named(plan.surgeon).pace
    index = plan.phases.index(plan.phase_at(timestamp_ms))
    span = plan.phases[index]
    panning_ms = min(PANNING_MS / pace, 0.5 * span.duration_ms)
    arrived = smoothstep((timestamp_ms - span.start_ms) / panning_ms) if index else 1.0
    here = np.array(SHOTS[span.phase])
    before = np.array(SHOTS[plan.phases[max(index - 1, 0)].phase])
    x, y, zoom = before + (here - before) * arrived
    (dx, dy), (roll, breath) = sway(plan.seed, 0, timestamp_ms, 9.0), sway(plan.seed, 1, timestamp_ms, 13.0)
    own = np.random.default_rng([plan.seed, 101]).uniform(-1, 1, 3)
    shift = plan.hospital.view_shift
    zoom *= 1.0 + 0.06 * breath + 0.08 * own[2]
    return Camera(
        x=x + 0.05 * dx + 0.05 * own[0],
        y=y + 0.04 * dy + 0.04 * own[1],
        scale=zoom * height / 2,
        roll=0.05 * roll,
        centre_px=(width / 2 + shift[0] * height / 2, height / 2 * (1 + shift[1])),
    )


@dataclass(frozen=True)
class View:
    """The round view in a picture of `size` (width, height).

    Everything is drawn on its columns alone, `columns` (first, one past the last): beside them the picture is black.
    `inside` uint8 [h,columns] is 1 in the view and 0 outside; `soft` [h,columns,3] the same as shade 0..255.
    """

    size: tuple[int, int]
    columns: tuple[int, int]
    inside: Labels
    soft: Picture

    @property
    def drawn_size(self) -> tuple[int, int]:
        """Width and height of what is drawn."""
        return self.columns[1] - self.columns[0], self.size[1]

    def cut(self, picture: Picture) -> Picture:
        """What is drawn of a whole picture [h,w,3]."""
        return picture[:, self.columns[0] : self.columns[1]]

    def whole(self, drawn: NDArray[np.uint8], beside: int = 0) -> NDArray[np.uint8]:
        """The whole picture or map [h,w,...] from what is drawn of it, `beside` in the columns without the view."""
        first, last = self.columns
        if (first, last) == (0, self.size[0]):
            return drawn
        full = np.full((self.size[1], self.size[0], *drawn.shape[2:]), beside, np.uint8)
        full[:, first:last] = drawn
        return full


@lru_cache(maxsize=16)
def field_of_view(hospital: Hospital, width: int, height: int) -> View:
    """The round view of a hospital's camera in a picture of that size."""
    radius = hospital.view_radius * height / 2
    centre = (width / 2 + hospital.view_shift[0] * height / 2, height / 2 * (1 + hospital.view_shift[1]))
    first = max(0, int(centre[0] - radius) // 2 * 2)
    last = min(width, -(-int(centre[0] + radius + 2) // 2) * 2)
    y, x = np.mgrid[0:height, first:last].astype(np.float32)
    distance = np.hypot(x - centre[0], y - centre[1]) / radius
    inside = (distance <= 1.0).astype(np.uint8)
    edge = np.clip((1.0 - distance) * radius / 3.0, 0, 1)
    soft = np.clip(edge * 255, 0, 255).astype(np.uint8)
    return View((width, height), (first, last), inside, cv2.merge([soft, soft, soft]))


def fixed_point(points: Points) -> NDArray[np.int32]:
    """Pixel coordinates as OpenCV's drawing functions take them, with `SUBPIXEL_BITS` fractional bits."""
    return np.round(points * (1 << SUBPIXEL_BITS)).astype(np.int32)
