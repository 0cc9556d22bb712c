"""A set of operations on patients of several hospitals, and its index.

Belongs here: who of the set is operated again, the index file. Does not belong here: what happens in an operation
(`operation`), videos and truth (`dataset`).

The index lets a set be split by patient, surgeon, hospital or day, so that leakage and drift can be made and found.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from simulator.cast import OPERATION_TYPES
from simulator.operation import OperationPlan, plan_operation

AGAIN_RATE = 0.25
"""By hand: share of the operations that are an earlier one on a patient who is in the set already."""

COLUMNS = (
    *("operation", "patient", "surgeon", "hospital", "operation_type", "day", "seed"),
    *("duration_ms", "width_px", "height_px", "fps", "codec", "vfr"),
)


@dataclass(frozen=True)
class Member:
    """An operation of the set; `number` counts from 1 and names its files."""

    number: int
    plan: OperationPlan

    @property
    def name(self) -> str:
        """The name of its files, `operation_001`."""
        return f"operation_{self.number:03d}"


def cohort(count: int, seed: int, duration_s: float) -> list[Member]:
    """The operations of a set; operation n has the seed `seed` + n - 1.

    A larger set of the same seed begins with the smaller one. The first is always a cholecystectomy; some later ones
    are an earlier operation of another type on a patient who is in the set already and has none yet, in the same
    hospital.

    Raises:
        ValueError: As `plan_operation`.
    """
    rng = np.random.default_rng([seed, 900])
    members: list[Member] = []
    once: list[OperationPlan] = []
    for number in range(1, count + 1):
        again, whom, what = rng.random(), rng.random(), rng.integers(1, len(OPERATION_TYPES))
        if once and again < AGAIN_RATE:
            patient = once.pop(int(whom * len(once)))
            plan = plan_operation(seed + number - 1, duration_s, OPERATION_TYPES[int(what)], same_patient_as=patient)
        else:
            plan = plan_operation(seed + number - 1, duration_s)
            once.append(plan)
        members.append(Member(number, plan))
    return members


def index_row(member: Member, size: tuple[int, int], fps: float, codec: str, *, vfr: bool) -> dict[str, object]:
    """What the index says of an operation, one value for each of `COLUMNS`."""
    plan = member.plan
    return {
        "operation": member.name,
        "patient": plan.patient,
        "surgeon": plan.surgeon,
        "hospital": plan.hospital.name,
        "operation_type": plan.operation_type,
        "day": plan.day.isoformat(),
        "seed": plan.seed,
        "duration_ms": plan.duration_ms,
        "width_px": size[0],
        "height_px": size[1],
        "fps": fps,
        "codec": codec,
        "vfr": int(vfr),
    }


def write_index(path: Path, rows: list[dict[str, object]]) -> None:
    """Write the index as CSV with a header, whole or not at all."""
    unfinished = path.with_name(f".{path.name}.unfinished")
    with unfinished.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        writer.writerows(rows)
    unfinished.replace(path)
