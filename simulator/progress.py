"""How far the operation has come at a moment: the numbers that decide what the anatomy looks like.

Belongs here: progress of each phase and the state that follows from it. Does not belong here: shapes.
"""

from __future__ import annotations

from dataclasses import dataclass

from simulator.operation import OperationPlan
from simulator.spans import EventSpan

MOST_CLIPS = 6
MOVING_ON_MS = 400.0
"""Time the clipper takes from one clip to the place of the next."""


@dataclass(frozen=True)
class State:
    """Progress in 0..1 unless said otherwise.

    `uncovered`: fat has been moved off the gallbladder. `adhesions`: strands left (0 where there were none).
    `dissected`: the triangle is clean and the duct is seen. `clips`: number closed. `cut`: the duct is divided.
    `detached`: the gallbladder is off the liver. `bagged`, `extracted`: it is in the bag, out of the body.
    `cleaned`: old blood and soot are gone. `drain`, `ports`, `sutures`: what was placed.
    """

    uncovered: float
    adhesions: float
    dissected: float
    clips: int
    cut: float
    detached: float
    bagged: float
    extracted: float
    cleaned: float
    drain: float
    ports: float
    sutures: float


def smoothstep(value: float) -> float:
    """0 below 0, 1 above 1, the cubic 3x²-2x³ between."""
    value = min(max(value, 0.0), 1.0)
    return value * value * (3.0 - 2.0 * value)


def phase_progress(plan: OperationPlan, phase: str, timestamp_ms: float) -> float:
    """Share of the phase's whole time that is over at the moment; 0 for a phase that is not in the plan."""
    spans = [span for span in plan.phases if span.phase == phase]
    total = sum(span.duration_ms for span in spans)
    over = sum(min(max(timestamp_ms - span.start_ms, 0.0), span.duration_ms) for span in spans)
    return over / total if total else 0.0


def closed_clips(plan: OperationPlan, timestamp_ms: float) -> int:
    """Clips closed so far: one at the middle of each clip event."""
    middles = [(e.start_ms + e.end_ms) / 2 for e in plan.events if e.kind == "clip-applied"]
    return min(sum(middle <= timestamp_ms for middle in middles), MOST_CLIPS)


def clips_left_behind(plan: OperationPlan, timestamp_ms: float) -> float:
    """Clips that the clipper has moved on from, a broken number while it is moving."""
    ends = [event.end_ms for event in plan.events if event.kind == "clip-applied"]
    return sum(smoothstep((timestamp_ms - end) / MOVING_ON_MS) for end in ends[:MOST_CLIPS])


def bleedings(plan: OperationPlan, timestamp_ms: float) -> list[tuple[int, EventSpan]]:
    """Bleedings that have begun, each with its number in the operation."""
    every = [event for event in plan.events if event.kind == "bleeding"]
    return [(number, event) for number, event in enumerate(every) if event.start_ms <= timestamp_ms]


def state_at(plan: OperationPlan, timestamp_ms: float) -> State:
    """The state of the operation at a moment."""
    has_adhesions = any(span.phase == "adhesiolysis" for span in plan.phases)

    def over(phase: str) -> float:
        return phase_progress(plan, phase, timestamp_ms)

    return State(
        uncovered=smoothstep(over("preparation")),
        adhesions=(1.0 - over("adhesiolysis")) if has_adhesions else 0.0,
        dissected=over("calot-triangle-dissection"),
        clips=closed_clips(plan, timestamp_ms),
        cut=smoothstep((over("clipping-and-cutting") - 0.75) * 5.0),
        detached=over("gallbladder-dissection"),
        bagged=over("gallbladder-packaging"),
        extracted=over("gallbladder-extraction"),
        cleaned=over("cleaning-and-coagulation"),
        drain=over("drain-placement"),
        ports=over("trocar-placement"),
        sutures=over("port-closure"),
    )
