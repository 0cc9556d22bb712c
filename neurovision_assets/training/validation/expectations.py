"""What is allowed: one expectation and one reason for each column of the facts.

Belongs here: bounds and words. Does not belong here: how they are looked at (``checkpoint``).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

from neurovision_assets.training.dataset.schemas import EVENT_KINDS, INSTRUMENTS, PHASES

EDGE_TOLERANCE_MS: Final = 1000
"""Labels come at most a second apart (Cholec80's tools, CholecT50): the first or last second may lack one."""
EDGE_TOLERANCE_PX: Final = 1.0
"""Boxes drawn by hand are rounded outward."""
LARGEST_CHANGE: Final = 0.1
"""By hand: a class whose share moves by a tenth of all between two versions is looked at by a person."""


@dataclass(frozen=True)
class Wanted:
    """One expectation.

    Attributes:
        table: of the facts.
        column: of that table.
        reason: what it means when it is broken.
        kind: class of Great Expectations, without ``ExpectColumn``.
        bounds: its arguments.
        blocks: whether nothing may be learned from data that break it.
    """

    table: str
    column: str
    reason: str
    kind: str = "ValuesToBeBetween"
    bounds: dict[str, Any] = field(default_factory=dict)
    blocks: bool = True


def _zero(table: str, column: str, reason: str, most: float = 0) -> Wanted:
    return Wanted(table, column, reason, bounds={"min_value": 0, "max_value": most})


def _among(table: str, column: str, reason: str, values: tuple[Any, ...]) -> Wanted:
    return Wanted(table, column, reason, "ValuesToBeInSet", {"value_set": list(values)})


def _said(column: str, what: str) -> Wanted:
    return Wanted("operations", column, f"nobody says {what}", "ValueLengthsToBeBetween", {"min_value": 1})


def _known_and_in_time(table: str) -> tuple[Wanted, ...]:
    return (
        _among(table, "has_operation", "the operation is in no set", (True,)),
        _zero(table, "beyond_end_ms", "it lies beyond the end of the operation", EDGE_TOLERANCE_MS),
    )


DATA: Final = (
    Wanted("operations", "operation", "the operation is there twice", "ValuesToBeUnique"),
    _said("surgeon", "who operated"),
    _said("patient", "whom"),
    _said("operation_type", "what was operated"),
    _zero("operations", "unlabelled_at_start_ms", "no phase at the beginning", EDGE_TOLERANCE_MS),
    _zero("operations", "unlabelled_at_end_ms", "no phase at the end", EDGE_TOLERANCE_MS),
    _among("phases", "phase", "the phase is unknown", PHASES),
    _zero("phases", "gap_ms", "no phase between the one before and this one"),
    _zero("phases", "overlap_ms", "it begins before the one before has ended"),
    Wanted("phases", "length_ms", "it ends before it begins", bounds={"min_value": 1}),
    *_known_and_in_time("phases"),
    _among("events", "kind", "the kind of event is unknown", EVENT_KINDS),
    *_known_and_in_time("events"),
    _among("boxes", "instrument", "the instrument is unknown", INSTRUMENTS),
    _zero("boxes", "outside_px", "the box lies outside of the picture", EDGE_TOLERANCE_PX),
    Wanted("boxes", "smaller_side_px", "the box is empty", bounds={"min_value": 0, "strict_min": True}),
    *_known_and_in_time("boxes"),
    _among("presence", "instrument", "the instrument is unknown", INSTRUMENTS),
    *_known_and_in_time("presence"),
    *_known_and_in_time("moments"),
    _among("masks", "size", "the mask has not the size of the picture", ("right",)),
    _among("masks", "content", "the mask cannot be used", ("whole",)),
    *_known_and_in_time("masks"),
    Wanted(
        "class_shares",
        "change",
        "the class is much more or less frequent than in the version before",
        bounds={"min_value": -LARGEST_CHANGE, "max_value": LARGEST_CHANGE},
        blocks=False,
    ),
)
SPLIT: Final = (
    *(
        _among("splits", f"splits_of_{kind}", f"the {kind} is in more than one split", (1,))
        for kind in ("operation", "patient", "surgeon", "recording")
    ),
    _among("operations_in_splits", "has_split", "the operation is in no split", (True,)),
)
