"""What rules look at: everything that is known about one operation.

Belongs here: the inputs of rules in a handy form, and what an event is. Does not belong here: rules.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa

from neurovision_assets.surgery.events.reference import PhaseReference
from neurovision_assets.surgery.events.ruleset import Need
from neurovision_assets.surgery.events.signals import MIN_VIEW, PictureSignals
from neurovision_assets.surgery.events.spans import Clock, Flags


@dataclass(frozen=True)
class EventInputs:
    """What the stages before found; what did not run is None, and the rules that need it do not run either.

    Attributes:
        clock: the stored frames.
        duration_ms: length of the video.
        pictures: figures of small pictures.
        phases: `schemas.PHASE_SEGMENTS`.
        instruments: `schemas.INSTRUMENT_USES`.
        anatomy: `schemas.ANATOMY`.
        boxes: `schemas.DETECTIONS`, `BOX_COLUMNS` of it; comes with `instruments`, and only details rest on it.
    """

    clock: Clock
    duration_ms: int
    pictures: PictureSignals | None = None
    phases: pa.Table | None = None
    instruments: pa.Table | None = None
    anatomy: pa.Table | None = None
    boxes: pa.Table | None = None

    @property
    def missing(self) -> frozenset[Need]:
        """Inputs that are absent."""
        present: dict[Need, object] = {
            "pictures": self.pictures,
            "phases": self.phases,
            "instruments": self.instruments,
            "anatomy": self.anatomy,
        }
        return frozenset(need for need, value in present.items() if value is None)


@dataclass(frozen=True)
class Event:
    """One finding of one rule; the columns of `schemas.EVENTS`."""

    kind: str
    start_ms: int
    end_ms: int
    score: float
    rule: str
    detail: str
    evidence_frames: list[int]


@dataclass(frozen=True)
class Segment:
    """A phase segment."""

    phase: str
    start_ms: int
    end_ms: int
    confidence: float

    @property
    def duration_ms(self) -> int:
        """Its length."""
        return self.end_ms - self.start_ms


@dataclass(frozen=True)
class Use:
    """An instrument in use."""

    instrument: str
    start_ms: int
    end_ms: int
    score: float


@dataclass(frozen=True)
class Scene:
    """The inputs as rules read them.

    Attributes:
        inputs: what is known.
        reference: the usual course.
        outside: bool [n], frames that the out-of-body rules found.
    """

    inputs: EventInputs
    reference: PhaseReference
    outside: Flags

    @property
    def clock(self) -> Clock:
        """The stored frames."""
        return self.inputs.clock

    @cached_property
    def inside(self) -> Flags:
        """Frames that show the inside of the body: not outside, and not dark, bool [n]."""
        pictures = self.inputs.pictures
        return ~self.outside if pictures is None else ~self.outside & (pictures.view >= MIN_VIEW)

    def inside_except(self, phases: tuple[str, ...]) -> Flags:
        """Frames that show the inside of the body, some phases left out, bool [n]."""
        return self.inside & ~self.during([segment for segment in self.segments if segment.phase in phases])

    @cached_property
    def segments(self) -> list[Segment]:
        """Phase segments in order of time."""
        return [
            Segment(row["phase"], row["start_ms"], row["end_ms"], row["mean_confidence"])
            for row in _rows(self.inputs.phases)
        ]

    @cached_property
    def uses(self) -> list[Use]:
        """Uses of instruments in order of time."""
        return [
            Use(row["instrument"], row["start_ms"], row["end_ms"], row["mean_score"])
            for row in _rows(self.inputs.instruments)
        ]

    def during(self, spans: list[Use] | list[Segment]) -> Flags:
        """Frames that begin within any of the spans, bool [n]."""
        flags = np.zeros(len(self.clock.start_ms), dtype=bool)
        for span in spans:
            flags |= self.clock.within(span.start_ms, span.end_ms)
        return flags


def figures(**values: float | str) -> str:
    """An event's detail: ``name=value`` after ``name=value``, the same in every language."""
    return " ".join(
        f"{name}={value:.3g}" if isinstance(value, float) else f"{name}={value}" for name, value in values.items()
    )


def _rows(table: pa.Table | None) -> list[dict[str, Any]]:
    return [] if table is None else table.sort_by("start_ms").to_pylist()
