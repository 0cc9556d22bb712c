"""Chooses the events and disturbances of an operation.

Belongs here: sampling of bleeding, smoke, clips, idle, out-of-body views and spoilt pictures, and the events
that follow from the instruments (exchange, idle). Does not belong here: phases and instruments (`schedule`).
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from simulator import fitted
from simulator.spans import DisturbanceSpan, EventSpan, InstrumentSpan, PhaseSpan, Span, without
from simulator.vocabulary import BAG_PHASES, DISTURBANCES, WALL_PHASES

IDLE_SHORTEST_MS = 4000
"""A stretch without any instrument counts as idle from this length on."""
EXCHANGE_LONGEST_MS = 4000
"""A change of instrument that takes longer is not an exchange but two separate uses."""
CLIP_CLOSING_MS = 1200
ENERGY = ("hook", "bipolar")


def plan_out_of_body(rng: np.random.Generator, duration_ms: int) -> tuple[EventSpan, ...]:
    """Views outside the patient: sometimes at the start, sometimes for cleaning the lens, sometimes at the end."""
    longest = max(2000, int(duration_ms * 0.02))
    spans = []
    if rng.random() < 0.4:
        spans.append((0, _length(rng, 2000, longest)))
    for _ in range(rng.poisson(0.9)):
        start = int(rng.uniform(0.1, 0.88) * duration_ms)
        spans.append((start, start + _length(rng, 2000, longest)))
    if rng.random() < 0.4:
        spans.append((duration_ms - _length(rng, 2000, longest), duration_ms))
    return tuple(EventSpan(start, end, "out-of-body") for start, end in _apart(spans))


def plan_pauses(rng: np.random.Generator, phases: tuple[PhaseSpan, ...], taken: Sequence[Span]) -> tuple[Span, ...]:
    """Stretches without any instrument; never while clips are set, the wall is worked on or a bag is in."""
    duration_ms = phases[-1].end_ms
    blocked = [phase for phase in phases if phase.phase in (*WALL_PHASES, *BAG_PHASES, "clipping-and-cutting")]
    pauses: list[Span] = []
    for _ in range(rng.poisson(1.2 * duration_ms / 1000 / fitted.COMPRESSED_OPERATION_S)):
        start = int(rng.uniform(0.05, 0.93) * duration_ms)
        whole = (start, start + int(rng.uniform(5000, 9000)))
        if without(whole, [*blocked, *taken, *pauses]) == [whole] and whole[1] <= duration_ms:
            pauses.append(Span(*whole))
    return tuple(pauses)


def plan_events(
    rng: np.random.Generator,
    phases: tuple[PhaseSpan, ...],
    instruments: tuple[InstrumentSpan, ...],
    outside: tuple[EventSpan, ...],
) -> tuple[EventSpan, ...]:
    """All events in order of time; those inside the body are never on during an out-of-body view."""
    inside = [
        *_bleedings(rng, phases),
        *_smoke(rng, instruments),
        *_clips(rng, instruments),
        *exchanges(instruments),
    ]
    clear = [
        EventSpan(start, end, event.kind)
        for event in inside
        for start, end in without((event.start_ms, event.end_ms), outside)
        if end - start >= 500
    ]
    return tuple(sorted([*clear, *idle(phases, instruments, outside), *outside], key=lambda e: (e.start_ms, e.kind)))


def _bleedings(rng: np.random.Generator, phases: tuple[PhaseSpan, ...]) -> list[EventSpan]:
    events = []
    for phase in phases:
        for _ in range(rng.poisson(fitted.EVENTS_PER_FULL_PHASE.get(phase.phase, 0.0))):
            length = min(_length(rng, 5000, 14000), phase.duration_ms // 2)
            start = phase.start_ms + int(rng.random() * (phase.duration_ms - length))
            events.append((start, start + length))
    return [EventSpan(start, end, "bleeding") for start, end in _apart(events)]


def _smoke(rng: np.random.Generator, instruments: tuple[InstrumentSpan, ...]) -> list[EventSpan]:
    """Smoke while current flows; it stays for a moment after the instrument has stopped."""
    events = []
    for span in instruments:
        if span.instrument in ENERGY and span.duration_ms > 4000 and rng.random() < 0.55:
            length = min(_length(rng, 3000, 7000), span.duration_ms - 1500)
            start = span.start_ms + 1200 + int(rng.random() * (span.duration_ms - 1200 - length))
            events.append((start, start + length))
    return [EventSpan(start, end, "smoke") for start, end in _apart(events)]


def _clips(rng: np.random.Generator, instruments: tuple[InstrumentSpan, ...]) -> list[EventSpan]:
    """Clips closed one after another while the clipper is at work, evenly with some jitter."""
    events = []
    for span in instruments:
        if span.instrument != "clipper":
            continue
        start, end = span.start_ms + 400, span.end_ms - 400
        wanted = min(int(rng.integers(3, 6)), (end - start) // (CLIP_CLOSING_MS + 100))
        for number in range(wanted):
            room = (end - start) / wanted
            at = int(start + number * room + rng.random() * (room - CLIP_CLOSING_MS))
            events.append(EventSpan(at, at + CLIP_CLOSING_MS, "clip-applied"))
    return events


def exchanges(instruments: tuple[InstrumentSpan, ...]) -> list[EventSpan]:
    """Changes of the instrument in a port: from when the old one leaves to when the new one has arrived."""
    events = []
    for slot in range(3):
        own = [span for span in instruments if span.slot == slot]
        for old, new in pairwise(own):
            if old.instrument != new.instrument and new.start_ms - old.end_ms <= EXCHANGE_LONGEST_MS:
                events.append(EventSpan(old.end_ms - 700, new.start_ms + 700, "instrument-exchange"))
    return events


def idle(
    phases: tuple[PhaseSpan, ...], instruments: tuple[InstrumentSpan, ...], outside: tuple[EventSpan, ...]
) -> list[EventSpan]:
    """Every stretch of `IDLE_SHORTEST_MS` or more inside the body without an instrument.

    Trocar placement and port closure do not count: work goes on there without one of the seven instruments.
    """
    wall = [phase for phase in phases if phase.phase in WALL_PHASES]
    empty = without((phases[0].start_ms, phases[-1].end_ms), [*wall, *instruments, *outside])
    return [EventSpan(start, end, "idle") for start, end in empty if end - start >= IDLE_SHORTEST_MS]


def plan_disturbances(rng: np.random.Generator, duration_ms: int) -> tuple[DisturbanceSpan, ...]:
    """Blur, over-exposure and lens fog, about four in four minutes."""
    rate = 4.0 * duration_ms / 1000 / fitted.COMPRESSED_OPERATION_S
    spans = []
    for _ in range(rng.poisson(rate)):
        start = int(rng.random() * duration_ms)
        end = min(duration_ms, start + _length(rng, 1200, 4000))
        kind = DISTURBANCES[int(rng.integers(len(DISTURBANCES)))]
        spans.append(DisturbanceSpan(start, end, kind, float(rng.uniform(0.4, 1.0))))
    return tuple(sorted(spans, key=lambda span: span.start_ms))


def _length(rng: np.random.Generator, shortest_ms: int, longest_ms: int) -> int:
    return int(rng.uniform(shortest_ms, max(shortest_ms + 1, longest_ms)))


def _apart(spans: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Spans in order of time, those dropped that begin before the one before them has ended."""
    kept: list[tuple[int, int]] = []
    for start, end in sorted(spans):
        if not kept or start > kept[-1][1] + 1000:
            kept.append((start, end))
    return kept
