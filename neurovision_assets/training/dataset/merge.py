"""All sets and all corrections become one version: the latest author's word counts.

Belongs here: which rows are in the version. Does not belong here: reading layouts, checking what the rows say
(``training/validation``).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import Any

from neurovision_assets.tables import TableContract
from neurovision_assets.training.annotations.importing import read_people
from neurovision_assets.training.dataset.corrections import Correction
from neurovision_assets.training.dataset.kept import kept_corrections
from neurovision_assets.training.dataset.layout import Layout
from neurovision_assets.training.dataset.schemas import (
    ANNOTATIONS,
    BOXES,
    BOXES_KIND,
    EVENT_SPANS,
    MASKS,
    OPERATIONS,
    PHASE_SPANS,
    SEEN_MOMENTS,
)

Row = dict[str, Any]
Rows = dict[str, list[Row]]
"""Rows of a table by operation."""


def merged_tables(layout: Layout) -> dict[TableContract, list[Row]]:
    """The rows of every table of the version, in order of operation and time.

    Raises:
        PermanentFailure: a set, a correction or the people's file cannot be read.
    """
    people = read_people(layout)
    tables = {contract: _by_operation(_all_rows(layout, contract)) for contract in (OPERATIONS, *ANNOTATIONS)}
    for rows in tables[OPERATIONS].values():
        for row in rows:
            row.update(people.get(row["operation"], {}))
    for correction in kept_corrections(layout):
        if correction.operation in tables[OPERATIONS]:
            apply_correction(tables, correction)
    return {contract: _in_order(rows) for contract, rows in tables.items()}


def apply_correction(tables: dict[TableContract, Rows], correction: Correction) -> None:
    """Put a person's word in the place of what was said before."""
    operation, said = correction.operation, _said(correction)
    phases, events = tables[PHASE_SPANS][operation], tables[EVENT_SPANS][operation]
    phases[:] = with_phases(phases, correction)
    for window in correction.events:
        outside = [row for row in events if row["end_ms"] <= window.start_ms or row["start_ms"] >= window.end_ms]
        events[:] = [*outside, *({**said, **event.model_dump()} for event in window.events)]
    for seen in correction.instruments:
        moment = {**said, "timestamp_ms": seen.timestamp_ms}
        for contract in (BOXES, SEEN_MOMENTS):
            _forget(tables[contract][operation], seen.timestamp_ms)
        tables[SEEN_MOMENTS][operation].append({**moment, "kind": BOXES_KIND})
        tables[BOXES][operation] += [{**moment, **box.model_dump()} for box in seen.boxes]
    for mask in correction.anatomy:
        _forget(tables[MASKS][operation], mask.timestamp_ms)
        tables[MASKS][operation].append({**said, "timestamp_ms": mask.timestamp_ms, "png": mask.png})


def with_phases(spans: list[Row], correction: Correction) -> list[Row]:
    """An operation's phases with a person's word on them."""
    for word in correction.phases:
        spans = [*cut_out(spans, word.start_ms, word.end_ms), {**_said(correction), **word.model_dump()}]
    return spans


def cut_out(spans: list[Row], start_ms: int, end_ms: int) -> list[Row]:
    """The spans without what lies from `start_ms` to before `end_ms`."""
    left = []
    for span in spans:
        if span["start_ms"] < min(span["end_ms"], start_ms):
            left.append({**span, "end_ms": min(span["end_ms"], start_ms)})
        if span["end_ms"] > max(span["start_ms"], end_ms):
            left.append({**span, "start_ms": max(span["start_ms"], end_ms)})
    return left


def _said(correction: Correction) -> Row:
    return {
        "operation": correction.operation,
        "author": correction.author,
        "annotated_at": correction.annotated_at,
    }


def _forget(rows: list[Row], timestamp_ms: int) -> None:
    rows[:] = [row for row in rows if row["timestamp_ms"] != timestamp_ms]


def _all_rows(layout: Layout, contract: TableContract) -> Iterable[Row]:
    for name in layout.sets():
        yield from layout.imported(name).rows(contract)


def _by_operation(rows: Iterable[Row]) -> Rows:
    found: Rows = defaultdict(list)
    for row in rows:
        found[row["operation"]].append(row)
    return found


def _in_order(rows: Rows) -> list[Row]:
    def time_of(row: Row) -> tuple[int, str]:
        moment_ms: int = row["start_ms"] if "start_ms" in row else row.get("timestamp_ms", 0)
        return moment_ms, str(row.get("instrument", row.get("kind", "")))

    return [row for operation in sorted(rows) for row in sorted(rows[operation], key=time_of)]
