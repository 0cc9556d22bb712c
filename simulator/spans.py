"""Stretches of time of an operation: a phase, an instrument in use, an event, a disturbance.

Belongs here: frozen records and the one question asked of all of them (is it on at this moment?). Does not
belong here: how the stretches are chosen (`schedule`).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeVar


@dataclass(frozen=True)
class Span:
    """A stretch of time, start included, end excluded."""

    start_ms: int
    end_ms: int

    @property
    def duration_ms(self) -> int:
        """Length of the stretch."""
        return self.end_ms - self.start_ms

    def covers(self, timestamp_ms: float) -> bool:
        """Whether the moment lies in the stretch."""
        return self.start_ms <= timestamp_ms < self.end_ms


@dataclass(frozen=True)
class PhaseSpan(Span):
    """One uninterrupted stretch of a phase; a phase may return and then has several."""

    phase: str


@dataclass(frozen=True)
class InstrumentSpan(Span):
    """An instrument in the body, its way in and out included.

    `track` is unique within the operation. `slot` is the port it comes through: 0 the retracting hand,
    1 the working hand, 2 the assistant.
    """

    instrument: str
    track: int
    slot: int


@dataclass(frozen=True)
class EventSpan(Span):
    """An event of the operation, one of `vocabulary.EVENTS`."""

    kind: str


@dataclass(frozen=True)
class DisturbanceSpan(Span):
    """A stretch of spoilt picture, one of `vocabulary.DISTURBANCES`; `strength` is in 0..1."""

    kind: str
    strength: float


AnySpan = TypeVar("AnySpan", bound=Span)


def active(spans: Iterable[AnySpan], timestamp_ms: float) -> tuple[AnySpan, ...]:
    """The spans that cover the moment, in their given order."""
    return tuple(span for span in spans if span.covers(timestamp_ms))


def without(span: tuple[int, int], holes: Iterable[Span]) -> list[tuple[int, int]]:
    """What is left of the stretch (start, end) when the holes are cut out, in order of time."""
    pieces = [span]
    for hole in holes:
        cut: list[tuple[int, int]] = []
        for start, end in pieces:
            if hole.end_ms <= start or hole.start_ms >= end:
                cut.append((start, end))
                continue
            if start < hole.start_ms:
                cut.append((start, hole.start_ms))
            if hole.end_ms < end:
                cut.append((hole.end_ms, end))
        pieces = cut
    return pieces
