"""The cast of simulated operations: hospitals with their cameras, surgeons with their manners, types of operation.

Belongs here: frozen descriptions, invented by hand. Does not belong here: what happens in an operation; patients, who
are a seed and a pseudonym (`operation`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from numpy.random import Generator


@dataclass(frozen=True)
class Hospital:
    """A department and its endoscope camera.

    `gain_rgb` and `gamma` colour the picture, `saturation` 1.0 leaves it alone; `view_radius` is the radius of
    the round view in half picture heights (above 1 it is cut by the picture's edge); `view_shift` moves its
    centre, same unit; `grain` is the sensor noise in grey levels; `light_tilt` is the direction of the light
    beside the optics, in half heights; `size_px` is width and height of its recordings.
    """

    name: str
    department: str
    gain_rgb: tuple[float, float, float]
    gamma: float
    saturation: float
    view_radius: float
    view_shift: tuple[float, float]
    grain: float
    light_tilt: tuple[float, float]
    size_px: tuple[int, int]


@dataclass(frozen=True)
class Surgeon:
    """A surgeon's manner: `pace` 1.0 is average, higher is faster; `prefers` is the dissecting instrument."""

    name: str
    pace: float
    prefers: str
    left_handed: bool


HOSPITALS: Final = (
    Hospital("north", "general surgery", (1.0, 1.0, 1.0), 1.0, 1.0, 0.99, (0.0, 0.0), 3.0, (-0.2, -0.3), (720, 576)),
    Hospital(
        "river", "visceral surgery", (1.06, 0.97, 0.93), 0.94, 1.08, 1.10, (-0.04, 0.02), 4.0, (0.2, -0.2), (854, 480)
    ),
    Hospital("hill", "general surgery", (0.95, 1.0, 1.07), 1.05, 0.9, 1.04, (0.03, 0.0), 5.0, (0.0, -0.4), (960, 540)),
    Hospital(
        "coast", "abdominal surgery", (1.0, 1.02, 0.96), 0.9, 1.12, 1.42, (0.0, 0.0), 3.5, (-0.3, 0.1), (1280, 720)
    ),
    Hospital("lake", "day surgery", (1.03, 0.98, 1.03), 1.1, 0.95, 0.94, (0.02, -0.02), 6.0, (0.3, -0.3), (640, 480)),
)

SURGEONS: Final = (
    Surgeon("surgeon-a", 1.00, "hook", left_handed=False),
    Surgeon("surgeon-b", 1.25, "hook", left_handed=False),
    Surgeon("surgeon-c", 0.80, "bipolar", left_handed=False),
    Surgeon("surgeon-d", 1.10, "hook", left_handed=True),
    Surgeon("surgeon-e", 0.90, "bipolar", left_handed=True),
    Surgeon("surgeon-f", 1.40, "bipolar", left_handed=False),
)

CHOLECYSTECTOMY: Final = "laparoscopic-cholecystectomy"
OPERATION_TYPES: Final = (CHOLECYSTECTOMY, "laparoscopic-adhesiolysis", "diagnostic-laparoscopy")
"""What is operated; only the first is fitted to real operations (see `fitted`)."""


def strange_hospital(rng: Generator) -> Hospital:
    """One of the endless hospitals that are none of `HOSPITALS`: every property drawn from a range around theirs.

    What learns from many of them does not take a new camera for a new kind of picture (domain randomisation, Tobin et
    al. 2017).
    """
    return Hospital(
        name="strange",
        department="general surgery",
        gain_rgb=(rng.uniform(0.9, 1.12), rng.uniform(0.92, 1.06), rng.uniform(0.88, 1.12)),
        gamma=rng.uniform(0.82, 1.18),
        saturation=rng.uniform(0.8, 1.25),
        view_radius=rng.uniform(0.86, 1.5),
        view_shift=(rng.uniform(-0.06, 0.06), rng.uniform(-0.06, 0.06)),
        grain=rng.uniform(2.0, 8.0),
        light_tilt=(rng.uniform(-0.45, 0.45), rng.uniform(-0.45, 0.3)),
        size_px=(640, 480),
    )


def surgeon_named(name: str) -> Surgeon:
    """The surgeon of that name."""
    return next(surgeon for surgeon in SURGEONS if surgeon.name == name)
