"""The cast of simulated operations: hospitals with their cameras, surgeons with their manners.

Belongs here: frozen descriptions, invented by hand. Does not belong here: anything drawn per operation. There
are no patients here: nothing the simulator writes can be mistaken for one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True)
class Hospital:
    """A department and its endoscope camera.

    `gain_rgb` and `gamma` colour the picture, `saturation` 1.0 leaves it alone; `view_radius` is the radius of
    the round view in half picture heights (above 1 it is cut by the picture's edge); `view_shift` moves its
    centre, same unit; `grain` is the sensor noise in grey levels; `light_tilt` is the direction of the light
    beside the optics, in half heights.
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


@dataclass(frozen=True)
class Surgeon:
    """A surgeon's manner: `pace` 1.0 is average, higher is faster; `prefers` is the dissecting instrument."""

    name: str
    pace: float
    prefers: str
    left_handed: bool


HOSPITALS: Final = (
    Hospital("north", "general surgery", (1.00, 1.00, 1.00), 1.00, 1.00, 0.99, (0.0, 0.0), 3.0, (-0.2, -0.3)),
    Hospital("river", "visceral surgery", (1.06, 0.97, 0.93), 0.94, 1.08, 1.10, (-0.04, 0.02), 4.0, (0.2, -0.2)),
    Hospital("hill", "general surgery", (0.95, 1.00, 1.07), 1.05, 0.90, 1.04, (0.03, 0.0), 5.0, (0.0, -0.4)),
    Hospital("coast", "abdominal surgery", (1.00, 1.02, 0.96), 0.90, 1.12, 1.42, (0.0, 0.0), 3.5, (-0.3, 0.1)),
    Hospital("lake", "day surgery", (1.03, 0.98, 1.03), 1.10, 0.95, 0.94, (0.02, -0.02), 6.0, (0.3, -0.3)),
)

SURGEONS: Final = (
    Surgeon("surgeon-a", 1.00, "hook", left_handed=False),
    Surgeon("surgeon-b", 1.25, "hook", left_handed=False),
    Surgeon("surgeon-c", 0.80, "bipolar", left_handed=False),
    Surgeon("surgeon-d", 1.10, "hook", left_handed=True),
    Surgeon("surgeon-e", 0.90, "bipolar", left_handed=True),
    Surgeon("surgeon-f", 1.40, "bipolar", left_handed=False),
)

OPERATION_TYPES: Final = ("laparoscopic-cholecystectomy",)


def hospital_named(name: str) -> Hospital:
    """The hospital of that name.

    Raises:
        ValueError: There is no such hospital.
    """
    return next(hospital for hospital in HOSPITALS if hospital.name == name)


def surgeon_named(name: str) -> Surgeon:
    """The surgeon of that name."""
    return next(surgeon for surgeon in SURGEONS if surgeon.name == name)
