"""Chooses what happens when: phases, then instruments, then events, each from its own random stream.

Belongs here: sampling of spans. Does not belong here: the tables (`fitted`) and how things look or move.
"""

from __future__ import annotations

from itertools import count, pairwise

import numpy as np

from simulator import fitted
from simulator.cast import CHOLECYSTECTOMY, Surgeon
from simulator.spans import InstrumentSpan, PhaseSpan, Span, without
from simulator.vocabulary import BAG_PHASES, CHOLEC80_PHASES, PHASES

USE_MEDIAN_S, USE_LOG_SPREAD, USE_SHORTEST_MS = 10.0, 0.5, 3000
EXCHANGE_MS = 1400
"""Time between two instruments through the same port."""
PREFERENCE = 3.0
"""How much more often a surgeon takes the dissector that he prefers."""


def plan_phases(rng: np.random.Generator, duration_ms: int, operation_type: str) -> tuple[PhaseSpan, ...]:
    """Phases one after another, from 0 to `duration_ms` without a gap."""
    order = _cholecystectomy(rng) if operation_type == CHOLECYSTECTOMY else _other(rng, operation_type)
    shortest = fitted.SHORTEST_PHASE_SHARE * sum(weight for _, weight in order)
    lengths = np.maximum([weight for _, weight in order], shortest)
    bounds = np.round(np.concatenate([[0], np.cumsum(lengths)]) / lengths.sum() * duration_ms).astype(int)
    return tuple(
        PhaseSpan(int(start), int(end), phase) for (phase, _), (start, end) in zip(order, pairwise(bounds), strict=True)
    )


def _other(rng: np.random.Generator, operation_type: str) -> list[tuple[str, float]]:
    """Phases and their weights of a type that is not a cholecystectomy."""
    shares = fitted.OTHER_TYPES[operation_type]
    return [(phase, share * np.exp(rng.normal(0, fitted.EXTRA_LOG_SPREAD))) for phase, share in shares.items()]


def _cholecystectomy(rng: np.random.Generator) -> list[tuple[str, float]]:
    """Phases in their order with weights that follow the real durations."""
    log_seconds = rng.multivariate_normal(fitted.LOG_SECONDS_MEAN, fitted.LOG_SECONDS_COVARIANCE)
    weights = dict(zip(CHOLEC80_PHASES, np.exp(log_seconds), strict=True))
    if rng.random() < fitted.CLEANING_ABSENT_RATE:
        del weights["cleaning-and-coagulation"]
    seven = sum(weights.values())
    for phase, (rate, share) in fitted.EXTRA_PHASES.items():
        if rng.random() < rate:
            weights[phase] = seven * share * np.exp(rng.normal(0, fitted.EXTRA_LOG_SPREAD))
    order = [(phase, weights[phase]) for phase in _phase_order(rng) if phase in weights]
    return _with_return(rng, order)


def _phase_order(rng: np.random.Generator) -> list[str]:
    order = list(PHASES)
    if rng.random() < fitted.CLEANING_FIRST_RATE:
        packaging, cleaning = order.index("gallbladder-packaging"), order.index("cleaning-and-coagulation")
        order[packaging], order[cleaning] = order[cleaning], order[packaging]
    return order


def _with_return(rng: np.random.Generator, order: list[tuple[str, float]]) -> list[tuple[str, float]]:
    """Sometimes splits dissection and clipping in two, the way back in between; shares stay as they are."""
    if rng.random() >= fitted.RETURN_RATE:
        return order
    at = [phase for phase, _ in order].index("clipping-and-cutting")
    (triangle, long), (clipping, short) = order[at - 1], order[at]
    back = [(triangle, 0.8 * long), (clipping, 0.5 * short), (triangle, 0.2 * long), (clipping, 0.5 * short)]
    return [*order[: at - 1], *back, *order[at + 1 :]]


def plan_instruments(
    rng: np.random.Generator, phases: tuple[PhaseSpan, ...], surgeon: Surgeon, holes: tuple[Span, ...]
) -> tuple[InstrumentSpan, ...]:
    """Instruments through three ports; none during `holes` (idle, out of body)."""
    uses: list[tuple[int, str, int, int]] = []
    for phase in phases:
        uses += _uses_in_phase(rng, phase, surgeon)
    spans: list[InstrumentSpan] = []
    tracks = count()
    for slot in range(3):
        for instrument, start, end in _merged([use for use in uses if use[0] == slot]):
            for piece_start, piece_end in without((start, end), holes):
                if piece_end - piece_start >= EXCHANGE_MS:
                    spans.append(InstrumentSpan(piece_start, piece_end, instrument, next(tracks), slot))
    return tuple(sorted(spans, key=lambda span: (span.start_ms, span.slot)))


def _uses_in_phase(rng: np.random.Generator, phase: PhaseSpan, surgeon: Surgeon) -> list[tuple[int, str, int, int]]:
    """Uses (slot, instrument, start, end) within one phase."""
    sets: list[tuple[tuple[str, ...], int]] = []
    left = phase.duration_ms
    while left > 0:
        length = int(1000 * USE_MEDIAN_S / surgeon.pace * np.exp(rng.normal(0, USE_LOG_SPREAD)))
        length = left if left - length < USE_SHORTEST_MS else max(length, USE_SHORTEST_MS)
        sets.append((_instrument_set(rng, phase.phase, surgeon), min(length, left)))
        left -= length
    if phase.phase == "clipping-and-cutting":
        sets = _clips_before_cuts(sets)
    uses, start = [], phase.start_ms
    for together, length in sets:
        uses += [(slot, name, start, start + length) for slot, name in _slots(together, phase.phase)]
        start += length
    return uses + _bag_use(phase)


def _instrument_set(rng: np.random.Generator, phase: str, surgeon: Surgeon) -> tuple[str, ...]:
    fit: dict[tuple[str, ...], float] = dict(fitted.SEEN_TOGETHER.get(phase, {}))
    table = fit if fit and rng.random() < 0.5 else fitted.SEEN_TOGETHER_BY_HAND[phase]
    names = list(table)
    weights = np.array([table[name] for name in names], dtype=float)
    if "dissection" in phase:
        weights *= [PREFERENCE if surgeon.prefers in name else 1.0 for name in names]
    return names[int(rng.choice(len(names), p=weights / weights.sum()))]


def _clips_before_cuts(sets: list[tuple[tuple[str, ...], int]]) -> list[tuple[tuple[str, ...], int]]:
    """The clipper for the first 60 % of the phase, scissors after, graspers as they were drawn."""
    total = sum(length for _, length in sets)
    clip_ms = int(0.6 * total)
    helped = "grasper" in sets[0][0]
    hand = ("grasper",) if helped else ()
    return [((*hand, "clipper"), clip_ms), ((*hand, "scissors"), total - clip_ms)]


def _slots(together: tuple[str, ...], phase: str) -> list[tuple[int, str]]:
    """Ports of the instruments in a set: graspers take 0 then 2, working instruments 1 (if no bag is in it) then 2."""
    free = {"grasper": iter((0, 2))}
    working = iter((2,) if phase in BAG_PHASES else (1, 2))
    return [(next(free.get(name, working)), name) for name in together]


def _bag_use(phase: PhaseSpan) -> list[tuple[int, str, int, int]]:
    """The specimen bag comes in with packaging and leaves through the wall with extraction."""
    if phase.phase == "gallbladder-packaging":
        return [(1, "specimen-bag", phase.start_ms + phase.duration_ms // 8, phase.end_ms)]
    if phase.phase == "gallbladder-extraction":
        return [(1, "specimen-bag", phase.start_ms, phase.start_ms + int(0.85 * phase.duration_ms))]
    return []


def _merged(uses: list[tuple[int, str, int, int]]) -> list[tuple[str, int, int]]:
    """Uses of one port joined while the instrument stays; where two would overlap the bag goes first."""
    bags = [Span(start, end) for _, name, start, end in uses if name == "specimen-bag"]
    joined: list[tuple[str, int, int]] = []
    for _, name, start, end in sorted(uses, key=lambda use: use[2]):
        pieces = [(start, end)] if name == "specimen-bag" else without((start, end), bags)
        for piece_start, piece_end in pieces:
            if joined and joined[-1][0] == name and joined[-1][2] == piece_start:
                joined[-1] = (name, joined[-1][1], piece_end)
            else:
                joined.append((name, piece_start, piece_end))
    return joined
