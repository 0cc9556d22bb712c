"""Whether corrections fit their operations, before any of them is kept.

Belongs here: times, boxes and masks against the operation, words that contradict each other, who and when. Does not
belong here: the form of the file (``corrections``). What passes here must pass the checkpoint too (``training/
validation``): one person's slip, once kept, would stop every model.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any, Final, NamedTuple, Protocol

from neurovision_assets.training.annotations.draft import AnnotationError
from neurovision_assets.training.dataset.corrections import AnatomyWord, BoxWord, Correction, EventsWord
from neurovision_assets.training.dataset.layout import KINDS
from neurovision_assets.training.dataset.masks import read_mask
from neurovision_assets.training.validation.expectations import EDGE_TOLERANCE_PX

CLOCK_TOLERANCE: Final = timedelta(minutes=5)
"""How far the clocks of two machines may differ (RFC 4120, section 1.6: typically five minutes)."""
EARLIEST: Final = datetime(1970, 1, 1, tzinfo=UTC)
"""An earlier time is a slip."""

SMALLEST_BOX_PX: Final = 1.0
"""By hand: what is smaller than a pixel shows no instrument, and tables round it away."""


class Fault(NamedTuple):
    """What is wrong with one correction: where in it, a sentence, what to do."""

    place: str
    problem: str
    remedy: str


class _Timed(Protocol):
    @property
    def start_ms(self) -> int: ...

    @property
    def end_ms(self) -> int: ...


def check_corrections(
    corrections: Sequence[Correction], path: Path, operations: Mapping[str, Mapping[str, Any]], now: datetime
) -> None:
    """Refuse words that are on no operation, do not fit theirs, or contradict each other.

    Args:
        corrections: what was said.
        path: the file, for messages.
        operations: rows of the operations table by name.
        now: the present, with its zone.

    Raises:
        AnnotationError: the first fault, with its place in the file.
    """
    for number, correction in enumerate(corrections):
        for fault in faults_of(correction, operations.get(correction.operation), now):
            place = ".".join(filter(None, (f"corrections.{number}", fault.place)))
            raise AnnotationError(
                f"{correction.operation}: {fault.problem}", path=path, line=place, remedy=fault.remedy
            )


def faults_of(correction: Correction, row: Mapping[str, Any] | None, now: datetime) -> Iterator[Fault]:
    """All that is wrong with one correction.

    Args:
        correction: what was said.
        row: its operation's, None where there is none of that name.
        now: the present, with its zone.
    """
    if row is None:
        remedy = "Give its name in the data set, or the video_id of a processed video."
        yield Fault("operation", "There is no operation of that name.", remedy)
        return
    if not EARLIEST <= correction.annotated_at <= now + CLOCK_TOLERANCE:
        said = f"It was said at {correction.annotated_at.isoformat()}, and now it is {now.isoformat('T', 'seconds')}."
        yield Fault("annotated_at", said, "Give the time at which it was said: the latest word counts.")
    if not any(getattr(correction, kind) for kind in KINDS):
        yield Fault("", "The correction says nothing.", f"Fill one of {', '.join(KINDS)}, or leave the correction out.")
    yield from _beyond_the_end(correction, row["duration_ms"])
    yield from _contradictions(correction)
    for place, window in enumerate(correction.events):
        yield from _outside_of_window(window, f"events.{place}")
    for place, seen in enumerate(correction.instruments):
        for number, box in enumerate(seen.boxes):
            yield from _of_box(box, row, f"instruments.{place}.boxes.{number}")
    for place, mask in enumerate(correction.anatomy):
        yield from _of_mask(mask, row, f"anatomy.{place}")


def _beyond_the_end(correction: Correction, duration_ms: int) -> Iterator[Fault]:
    ends = {f"phases.{place}": span.end_ms for place, span in enumerate(correction.phases)}
    for place, window in enumerate(correction.events):
        ends[f"events.{place}"] = window.end_ms
        ends |= {f"events.{place}.events.{number}": event.end_ms for number, event in enumerate(window.events)}
    ends |= {f"instruments.{place}": seen.timestamp_ms + 1 for place, seen in enumerate(correction.instruments)}
    ends |= {f"anatomy.{place}": mask.timestamp_ms + 1 for place, mask in enumerate(correction.anatomy)}
    for place_in_it, end_ms in ends.items():
        if end_ms > duration_ms:
            said = f"It goes to {end_ms} ms, and the operation ends at {duration_ms} ms."
            yield Fault(place_in_it, said, "Correct the times.")


def _contradictions(correction: Correction) -> Iterator[Fault]:
    """Words of one correction on the same time: none of them is the later one."""
    for kind, spans in (("phases", correction.phases), ("events", correction.events)):
        yield from _overlaps(kind, spans)
    yield from _twice("instruments", [seen.timestamp_ms for seen in correction.instruments])
    yield from _twice("anatomy", [mask.timestamp_ms for mask in correction.anatomy])


def _twice(kind: str, moments_ms: Sequence[int]) -> Iterator[Fault]:
    for place, moment_ms in enumerate(moments_ms):
        first = moments_ms.index(moment_ms)
        if first != place:
            said = f"It speaks of {moment_ms} ms, and {kind}.{first} does too."
            yield Fault(f"{kind}.{place}", said, "Say all of a moment at one place.")


def _overlaps(kind: str, spans: Sequence[_Timed]) -> Iterator[Fault]:
    in_order = sorted(enumerate(spans), key=lambda each: each[1].start_ms)
    for (earlier, before), (later, after) in pairwise(in_order):
        if after.start_ms < before.end_ms:
            said = f"It begins at {after.start_ms} ms, and {kind}.{earlier} ends at {before.end_ms} ms only."
            yield Fault(f"{kind}.{later}", said, "Let spans of one correction follow each other.")


def _outside_of_window(window: EventsWord, place: str) -> Iterator[Fault]:
    for number, event in enumerate(window.events):
        if event.end_ms <= window.start_ms or event.start_ms >= window.end_ms:
            said = f"The event does not touch the span from {window.start_ms} to {window.end_ms} ms that it is told of."
            yield Fault(f"{place}.events.{number}", said, "Make the span wider, or leave the event out.")


def _of_box(box: BoxWord, row: Mapping[str, Any], place: str) -> Iterator[Fault]:
    if row["width_px"] is None or row["height_px"] is None:
        yield Fault(place, "The operation has no pictures that a box could lie in.", "Leave its boxes out.")
        return
    corners = f"x {box.x_min_px:g} to {box.x_max_px:g}, y {box.y_min_px:g} to {box.y_max_px:g}"
    if min(box.x_max_px - box.x_min_px, box.y_max_px - box.y_min_px) < SMALLEST_BOX_PX:
        said = f"The box ({corners}) is inverted, or smaller than {SMALLEST_BOX_PX:g} pixel."
        yield Fault(place, said, "Give the smaller coordinate as the minimum.")
    lowest = min(box.x_min_px, box.y_min_px)
    beyond = max(box.x_max_px - row["width_px"], box.y_max_px - row["height_px"])
    if lowest < -EDGE_TOLERANCE_PX or beyond > EDGE_TOLERANCE_PX:
        said = f"The box ({corners}) lies outside of the picture of {row['width_px']}x{row['height_px']} pixels."
        yield Fault(place, said, "Give its corners in pixels of the source picture.")


def _of_mask(mask: AnatomyWord, row: Mapping[str, Any], place: str) -> Iterator[Fault]:
    if row["width_px"] is None or row["height_px"] is None:
        yield Fault(place, "The operation has no pictures that a mask could lie over.", "Leave its masks out.")
        return
    height_px, width_px = read_mask(mask.png).shape
    if (width_px, height_px) != (row["width_px"], row["height_px"]):
        said = f"The mask has {width_px}x{height_px} pixels, the picture {row['width_px']}x{row['height_px']}."
        yield Fault(place, said, "Give the mask in the size of the source picture.")
