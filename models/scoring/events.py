"""Scores of events: stretches of time of some kind, found or missed.

Belongs here: matching of spans and F1 by kind. Does not belong here: rules that find events.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from models.scoring.protocol import Protocol, Scores

if TYPE_CHECKING:
    from numpy.typing import NDArray

TOLERANCE_MS: Final = 2000
END_SHARE: Final = 0.5
"""The end of a long event may be off by this share of the true length (DCASE's event-based metric)."""
EVENTS: Final = Protocol(
    name="event-f1-2s",
    version=1,
    statement="F1 of events by kind, in the way of DCASE's event-based metric (Mesaros et al. 2016): a found event "
    "is right when it begins within 2 s of a true one of its kind and ends within 2 s or half of the true "
    "length of its end, whichever is more; pairs are one to one, as many as possible; counts are summed "
    "over operations. `f1_onset` asks for the beginning only. Every event that the rules tell counts, "
    "whatever its score. None where no event is true or told.",
)


@dataclass(frozen=True)
class Span:
    """One event of an operation."""

    kind: str
    start_ms: int
    end_ms: int


@dataclass(frozen=True)
class Counts:
    """Events found, invented and missed."""

    hits: int = 0
    invented: int = 0
    missed: int = 0

    def __add__(self, other: Counts) -> Counts:
        return Counts(self.hits + other.hits, self.invented + other.invented, self.missed + other.missed)

    @property
    def f1(self) -> float | None:
        """2 TP / (2 TP + FP + FN); None where there is nothing to count."""
        whole = 2 * self.hits + self.invented + self.missed
        return 2 * self.hits / whole if whole else None


def count_events(
    found: Sequence[Span], truth: Sequence[Span], *, tolerance_ms: int = TOLERANCE_MS, ends: bool = True
) -> Counts:
    """Match events of one kind in one operation.

    Args:
        found: what was told.
        truth: what happened.
        tolerance_ms: how far a beginning may be off, inclusive.
        ends: whether ends are compared as well.
    """
    hits = _most_pairs(_fits(found, truth, tolerance_ms, ends=ends))
    return Counts(hits, len(found) - hits, len(truth) - hits)


def event_scores(operations: Sequence[tuple[Sequence[Span], Sequence[Span]]], kinds: Sequence[str]) -> Scores:
    """F1 and counts of every kind.

    Args:
        operations: found and true events of each.
        kinds: which to score; others are left out.
    """
    figures: dict[str, object] = {"operations": len(operations)}
    for kind in kinds:
        pairs = [(_of_kind(kind, found), _of_kind(kind, truth)) for found, truth in operations]
        whole = sum((count_events(*pair) for pair in pairs), Counts())
        onset = sum((count_events(*pair, ends=False) for pair in pairs), Counts())
        figures[kind] = {
            "f1": whole.f1,
            "f1_onset": onset.f1,
            "found": whole.hits,
            "invented": whole.invented,
            "missed": whole.missed,
        }
    return Scores(EVENTS, figures)


def _of_kind(kind: str, spans: Sequence[Span]) -> list[Span]:
    return [span for span in spans if span.kind == kind]


def _fits(found: Sequence[Span], truth: Sequence[Span], tolerance_ms: int, *, ends: bool) -> NDArray[np.bool_]:
    """Which found event [n] may be which true one [m]."""
    said = np.array([(s.start_ms, s.end_ms) for s in found], dtype=np.int64).reshape(-1, 1, 2)
    wanted = np.array([(s.start_ms, s.end_ms) for s in truth], dtype=np.int64).reshape(1, -1, 2)
    off = np.abs(said - wanted)
    fits: NDArray[np.bool_] = off[..., 0] <= tolerance_ms
    if ends:
        lengths = wanted[..., 1] - wanted[..., 0]
        fits &= off[..., 1] <= np.maximum(tolerance_ms, END_SHARE * lengths)
    return fits


def _most_pairs(fits: NDArray[np.bool_]) -> int:
    """Size of the greatest one-to-one matching, by augmenting paths (Kuhn 1955)."""
    holder = [-1] * fits.shape[1]

    def place(row: int, tried: set[int]) -> bool:
        for column in np.flatnonzero(fits[row]).tolist():
            if column not in tried:
                tried.add(column)
                if holder[column] < 0 or place(holder[column], tried):
                    holder[column] = row
                    return True
        return False

    return sum(place(row, set()) for row in range(fits.shape[0]))
