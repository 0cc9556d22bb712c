"""What the checkpoint looks at: tables with one column for each thing that can be wrong.

Belongs here: distances, overlaps and joins, one row a row of the version. Does not belong here: what is allowed
(``expectations``). Every table has ``operation`` and ``row``, the place in its table from 0, so that a finding names
where to look.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from neurovision_assets.training.dataset.folder import DatasetFolder
from neurovision_assets.training.dataset.masks import read_mask
from neurovision_assets.training.dataset.schemas import (
    BOXES,
    EVENT_SPANS,
    MASKS,
    OPERATIONS,
    PHASE_SPANS,
    PRESENCE,
    SEEN_MOMENTS,
    SPLITS,
    THROUGHOUT,
)
from neurovision_assets.training.dataset.summary import balance_of, recording_of

if TYPE_CHECKING:
    import pandas as pd

Row = dict[str, Any]
Balance = dict[str, dict[str, float]]
WHOLE = "whole"
SIDES = ("x_min", "y_min", "x_max", "y_max")


def facts_of(folder: DatasetFolder, before: Balance | None) -> dict[str, pd.DataFrame]:
    """Tables to look at, those without rows left out.

    Args:
        folder: the version.
        before: class balance of the version before, None where there is none.
    """
    operations = {row["operation"]: row for row in folder.rows(OPERATIONS)}
    found = {
        "operations": _operations(list(operations.values()), folder.rows(PHASE_SPANS)),
        "phases": _phases(folder.rows(PHASE_SPANS), operations),
        "events": _timed(folder.rows(EVENT_SPANS), operations, "end_ms", ("kind",)),
        "boxes": _boxes(folder.rows(BOXES), operations),
        "presence": _timed(folder.rows(PRESENCE), operations, "timestamp_ms", ("instrument",)),
        "moments": _timed(folder.rows(SEEN_MOMENTS), operations, "timestamp_ms", ("kind",)),
        "masks": _masks(folder.rows(MASKS), operations),
        "class_shares": _class_shares(balance_of(folder), before),
    }
    return _frames(found)


def split_facts_of(folder: DatasetFolder, *, surgeons: bool) -> dict[str, pd.DataFrame]:
    """Who is in how many splits.

    Args:
        folder: the version with its splits.
        surgeons: whether surgeons may not be divided either.
    """
    rows, operations = folder.rows(SPLITS), {row["operation"]: row for row in folder.rows(OPERATIONS)}
    keys = {name: _keys(folder, name, operations.get(name)) for name in {row["operation"] for row in rows}}
    where: dict[tuple[str, str], set[str]] = {}
    for row in rows:
        for key in keys[row["operation"]].items():
            where.setdefault(key, set()).add(row["split"])
    facts = []
    for number, row in enumerate(rows):
        own = keys[row["operation"]]
        spread = {f"splits_of_{kind}": len(where[kind, value]) for kind, value in own.items()}
        if not surgeons:
            spread["splits_of_surgeon"] = 1
        facts.append({"row": number, "operation": row["operation"], "split": row["split"], **spread})
    divided = {row["operation"] for row in rows}
    covered = [
        {"row": number, "operation": name, "has_split": name in divided} for number, name in enumerate(operations)
    ]
    return _frames({"splits": facts, "operations_in_splits": covered})


def _keys(folder: DatasetFolder, name: str, row: Row | None) -> dict[str, str]:
    patient, surgeon = (row["patient"], row["surgeon"]) if row else (name, name)
    return {
        "operation": name,
        "patient": patient,
        "surgeon": surgeon,
        "recording": recording_of(folder, name) or name,
    }


def _operations(rows: list[Row], spans: list[Row]) -> list[Row]:
    first: dict[str, int] = {}
    last: dict[str, int] = {}
    for span in spans:
        name = span["operation"]
        first[name] = min(first.get(name, span["start_ms"]), span["start_ms"])
        last[name] = max(last.get(name, 0), span["end_ms"])
    facts = []
    for number, row in enumerate(rows):
        name = row["operation"]
        whole = row["labelled"] == THROUGHOUT and name in first
        facts.append(
            {
                "row": number,
                **{key: row[key] for key in ("operation", "patient", "surgeon", "operation_type")},
                "unlabelled_at_start_ms": first[name] if whole else 0,
                "unlabelled_at_end_ms": max(0, row["duration_ms"] - last[name]) if whole else 0,
            }
        )
    return facts


def _phases(rows: list[Row], operations: dict[str, Row]) -> list[Row]:
    facts = _timed(rows, operations, "end_ms", ("phase", "start_ms", "end_ms"))
    before: Row | None = None
    for fact in facts:
        gap_ms = fact["start_ms"] - before["end_ms"] if before and before["operation"] == fact["operation"] else 0
        owner = operations.get(fact["operation"])
        whole = owner is not None and owner["labelled"] == THROUGHOUT
        fact["gap_ms"] = max(0, gap_ms) if whole else 0
        fact["overlap_ms"] = max(0, -gap_ms)
        fact["length_ms"] = fact["end_ms"] - fact["start_ms"]
        before = fact
    return facts


def _boxes(rows: list[Row], operations: dict[str, Row]) -> list[Row]:
    facts = _timed(rows, operations, "timestamp_ms", ("instrument",))
    for fact, row in zip(facts, rows, strict=True):
        owner = operations.get(row["operation"])
        fact["outside_px"] = _outside_px(row, owner) if owner else 0.0
        fact["smaller_side_px"] = min(row["x_max_px"] - row["x_min_px"], row["y_max_px"] - row["y_min_px"])
    return facts


def _outside_px(box: Row, owner: Row) -> float:
    """How far a box reaches out of its picture; without pictures every box is outside."""
    width_px, height_px = owner["width_px"] or 0, owner["height_px"] or 0
    if not all(math.isfinite(box[f"{side}_px"]) for side in SIDES):
        return math.inf  # a comparison with NaN finds nothing wrong
    return float(max(0.0, -box["x_min_px"], -box["y_min_px"], box["x_max_px"] - width_px, box["y_max_px"] - height_px))


def _masks(rows: list[Row], operations: dict[str, Row]) -> list[Row]:
    facts = _timed(rows, operations, "timestamp_ms", ())
    for fact, row in zip(facts, rows, strict=True):
        owner = operations.get(row["operation"], {})
        expected = f"{owner.get('width_px')}x{owner.get('height_px')}"
        try:
            mask = read_mask(row["png"])
        except ValueError as error:
            fact["content"], fact["size"] = str(error), "right"
        else:
            size = f"{mask.shape[1]}x{mask.shape[0]}"
            fact["content"], fact["size"] = WHOLE, "right" if size == expected else f"{size}, not {expected}"
    return facts


def _timed(rows: list[Row], operations: dict[str, Row], time: str, columns: tuple[str, ...]) -> list[Row]:
    """Rows with what is common to all that happens at a time."""
    facts = []
    for number, row in enumerate(rows):
        owner = operations.get(row["operation"])
        end_ms = row[time] + (0 if time == "end_ms" else 1)
        facts.append(
            {
                "row": number,
                "operation": row["operation"],
                **{column: row[column] for column in columns},
                "said_by": _said_by(row),
                "has_operation": owner is not None,
                "beyond_end_ms": max(0, end_ms - owner["duration_ms"]) if owner else 0,
            }
        )
    return facts


def _said_by(row: Row) -> str:
    """Author and time, with which a correction is found; empty where nobody wrote the time down, as in most sets."""
    said_at = row.get("annotated_at")
    return f"{row['author']} at {said_at:%Y-%m-%dT%H:%M:%SZ}" if said_at else ""


def _class_shares(now: Balance, before: Balance | None) -> list[Row]:
    """Every class with its share now and before; nothing without a version before."""
    if before is None:
        return []
    pairs = sorted({(kind, name) for each in (now, before) for kind, names in each.items() for name in names})
    shares: list[Row] = [
        {
            "kind": kind,
            "class_name": name,
            "share": now.get(kind, {}).get(name, 0.0),
            "share_before": before[kind].get(name, 0.0),
        }
        for kind, name in pairs
        if before.get(kind)
    ]
    return [
        {"row": number, "operation": "all", **each, "change": each["share"] - each["share_before"]}
        for number, each in enumerate(shares)
    ]


def _frames(found: dict[str, list[Row]]) -> dict[str, pd.DataFrame]:
    import pandas as pd

    return {name: pd.DataFrame(rows) for name, rows in found.items() if rows}
