"""What a set or a version holds, in figures.

Belongs here: counts, class balance, the merged JSON file, the preview. Does not belong here: whether it is any good
(``training/validation``).
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable
from typing import Any

import pyarrow.compute as pc

from neurovision_assets.training.dataset.folder import DatasetFolder
from neurovision_assets.training.dataset.schemas import (
    BOXES,
    BOXES_KIND,
    EVENT_SPANS,
    FRAMES,
    MASKS,
    OPERATIONS,
    PHASE_SPANS,
    PRESENCE,
    SEEN_MOMENTS,
)

COUNTED = (OPERATIONS, PHASE_SPANS, EVENT_SPANS, BOXES, PRESENCE, MASKS)
PREVIEW_PICTURES = 8
PREVIEW_TIMELINES = 5


def counts_of(folder: DatasetFolder) -> dict[str, int]:
    """Rows of every table, moments with boxes, and operations with pictures."""
    moments = folder.table(SEEN_MOMENTS)
    return {
        **{contract.name: folder.table(contract).num_rows for contract in COUNTED},
        "moments_with_boxes": int(pc.sum(pc.equal(moments["kind"], BOXES_KIND)).as_py() or 0),
        "operations_with_pictures": len(folder.operations_with(FRAMES)),
    }


def balance_of(folder: DatasetFolder) -> dict[str, dict[str, float]]:
    """Share of each class: phases by time, instruments by boxes (and seconds seen), operation types by number."""
    times: Counter[str] = Counter()
    for row in folder.rows(PHASE_SPANS):
        times[row["phase"]] += row["end_ms"] - row["start_ms"]
    return {
        "phase": _shares(times),
        "instrument": _shares(Counter(folder.table(BOXES)["instrument"].to_pylist())),
        "presence": _shares(Counter(folder.table(PRESENCE)["instrument"].to_pylist())),
        "operation_type": _shares(Counter(folder.table(OPERATIONS)["operation_type"].to_pylist())),
    }


def recording_of(folder: DatasetFolder, operation: str) -> str | None:
    """A digest of an operation's pictures, the same for one recording under two names; None without pictures."""
    digest = hashlib.sha256()
    found = False
    for row in folder.pictures(FRAMES, operation):
        digest.update(row["jpeg"])
        found = True
    return digest.hexdigest() if found else None


def merged_json(folder: DatasetFolder) -> dict[str, Any]:
    """One document over all operations (NV-011): who, phases, events, and how much there is of the rest."""
    phases, events = _spans(folder.rows(PHASE_SPANS), "phase"), _spans(folder.rows(EVENT_SPANS), "kind")
    boxes, masks, presence = (
        Counter(folder.table(contract)["operation"].to_pylist()) for contract in (BOXES, MASKS, PRESENCE)
    )
    return {
        row["operation"]: {
            **{key: row[key] for key in ("patient", "surgeon", "hospital", "operation_type", "source", "duration_ms")},
            "recording": recording_of(folder, row["operation"]),
            "phases": phases.get(row["operation"], []),
            "events": events.get(row["operation"], []),
            "boxes": boxes[row["operation"]],
            "masks": masks[row["operation"]],
            "presence": presence[row["operation"]],
        }
        for row in folder.rows(OPERATIONS)
    }


def spelt(document: Any) -> str:
    """A JSON document as it is written to files."""
    return json.dumps(document, indent=1, ensure_ascii=False, sort_keys=True) + "\n"


def preview_of(folder: DatasetFolder) -> list[bytes]:
    """A few pictures, one an operation."""
    operations = folder.operations_with(FRAMES)
    chosen = operations[:: max(1, len(operations) // PREVIEW_PICTURES)][:PREVIEW_PICTURES]
    return [_middle([row["jpeg"] for row in folder.pictures(FRAMES, operation)]) for operation in chosen]


def timelines_of(folder: DatasetFolder) -> list[tuple[list[tuple[str, int, int]], list[tuple[str, int]], int]]:
    """Phases, events and length of the first few operations, for the eye."""
    phases, events = _spans(folder.rows(PHASE_SPANS), "phase"), _spans(folder.rows(EVENT_SPANS), "kind")
    return [
        (
            [(span["phase"], span["start_ms"], span["end_ms"]) for span in phases[row["operation"]]],
            [(span["kind"], span["start_ms"]) for span in events.get(row["operation"], [])],
            row["duration_ms"],
        )
        for row in folder.rows(OPERATIONS)
        if row["operation"] in phases
    ][:PREVIEW_TIMELINES]


def _middle(pictures: list[bytes]) -> bytes:
    return pictures[len(pictures) // 2]


def _spans(rows: Iterable[dict[str, Any]], name: str) -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        span = {key: row[key] for key in ("start_ms", "end_ms", name, "author")}
        found.setdefault(row["operation"], []).append(span)
    return found


def _shares(counts: Counter[str]) -> dict[str, float]:
    total = sum(counts.values())
    return {name: round(count / total, 4) for name, count in sorted(counts.items())} if total else {}
