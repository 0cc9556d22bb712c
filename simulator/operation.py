"""The plan of an operation: everything that happens in it, before any picture is drawn.

Belongs here: the plan and how its parts are put together. Does not belong here: sampling of the parts
(`schedule`, `happenings`) and pictures (`render`).
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np

from simulator import happenings, schedule
from simulator.cast import CHOLECYSTECTOMY, HOSPITALS, OPERATION_TYPES, SURGEONS, Hospital
from simulator.spans import DisturbanceSpan, EventSpan, InstrumentSpan, PhaseSpan, active

__all__ = ["EventSpan", "InstrumentSpan", "OperationPlan", "PhaseSpan", "plan_operation"]

SHORTEST_OPERATION_S = 20.0
LONGEST_OPERATION_S = 86_400.0
"""By hand: no operation takes more than a day."""
STREAMS = range(11, 17)
"""Random streams of a seed: a change in one part of the plan leaves the others as they are. Numbered so that the
bundled sample (see `sample`) has every instrument and most phases and events."""
FIRST_DAY = date(2024, 1, 1)
DAYS_BEFORE = (20, 180)
"""By hand: how long before a cholecystectomy the same patient was operated, least and most."""


@dataclass(frozen=True)
class OperationPlan:
    """What happens when in one operation, by whom and where.

    Phases cover [0, duration_ms) without gaps. `surgeon` is a name from `cast`. The body is drawn from `patient_seed`:
    operations of one patient show the same organs. The plan is hashable: pictures depend on nothing
    else.
    """

    seed: int
    patient_seed: int
    duration_ms: int
    phases: tuple[PhaseSpan, ...]
    instruments: tuple[InstrumentSpan, ...]
    events: tuple[EventSpan, ...]
    hospital: Hospital
    surgeon: str
    operation_type: str
    day: date
    disturbances: tuple[DisturbanceSpan, ...] = ()

    @property
    def patient(self) -> str:
        """The patient's pseudonym, the same in all of his operations."""
        return f"patient-{hashlib.sha256(f'simulated patient {self.patient_seed}'.encode()).hexdigest()[:12]}"

    def phase_at(self, timestamp_ms: float) -> PhaseSpan:
        """The phase at a moment; moments outside the operation get the first or the last one."""
        inside = min(max(timestamp_ms, 0.0), self.duration_ms - 1.0)
        return active(self.phases, inside)[0]


def plan_operation(
    seed: int,
    duration_s: float = 240.0,
    operation_type: str = CHOLECYSTECTOMY,
    same_patient_as: OperationPlan | None = None,
) -> OperationPlan:
    """The operation of a seed, always the same.

    The default length is a real operation (42 minutes on average) compressed about tenfold: the shares of the
    phases are real, uses of instruments and events keep their seconds.

    Args:
        seed: everything that is drawn follows from it.
        duration_s: length of the operation.
        operation_type: one of `cast.OPERATION_TYPES`.
        same_patient_as: a later operation on the same patient in the same hospital; this one took place up to half
            a year before it.

    Raises:
        ValueError: `duration_s` is under 20 seconds, too short for seven phases, or over a day, or the type is unknown.
    """
    if operation_type not in OPERATION_TYPES:
        raise ValueError(f"{operation_type} is not simulated: give one of {', '.join(OPERATION_TYPES)}")
    if not SHORTEST_OPERATION_S <= duration_s <= LONGEST_OPERATION_S:
        bounds = f"at least {SHORTEST_OPERATION_S:g} s and at most {LONGEST_OPERATION_S:g} s"
        raise ValueError(f"an operation takes {bounds}, not {duration_s:g}: give a length between them")
    duration_ms = round(duration_s * 1000)
    people, when, tools, breaks, what, spoils = (np.random.default_rng([seed, stream]) for stream in STREAMS)
    surgeon = SURGEONS[int(people.integers(len(SURGEONS)))]
    hospital = HOSPITALS[int(people.integers(len(HOSPITALS)))]
    patient_seed, day = seed, FIRST_DAY + timedelta(days=int(people.integers(365)))
    if same_patient_as is not None:
        hospital = same_patient_as.hospital
        patient_seed = same_patient_as.patient_seed
        day = same_patient_as.day - timedelta(days=int(people.integers(*DAYS_BEFORE)))
    phases = schedule.plan_phases(when, duration_ms, operation_type)
    outside = happenings.plan_out_of_body(breaks, duration_ms)
    pauses = happenings.plan_pauses(breaks, phases, outside)
    instruments = schedule.plan_instruments(tools, phases, surgeon, (*outside, *pauses))
    return OperationPlan(
        seed=seed,
        patient_seed=patient_seed,
        duration_ms=duration_ms,
        phases=phases,
        instruments=instruments,
        events=happenings.plan_events(what, phases, instruments, outside),
        hospital=hospital,
        surgeon=surgeon.name,
        operation_type=operation_type,
        day=day,
        disturbances=happenings.plan_disturbances(spoils, duration_ms),
    )
