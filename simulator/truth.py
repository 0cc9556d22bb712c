"""Writes the truth of an operation to files.

Belongs here: the layout of our own truth folder. Does not belong here: the layouts of public data sets (`layouts`),
what is true (`operation`, `render`).

    phases.csv         start_ms, end_ms, phase
    instruments.csv    start_ms, end_ms, instrument, track, slot   (in the body, the way in and out included)
    events.csv         start_ms, end_ms, kind
    operation.json     seed, duration_ms, hospital, surgeon, patient, operation_type, day, disturbances
    boxes.csv          timestamp_ms, instrument, track, x_min_px, y_min_px, x_max_px, y_max_px   (only if sampled)
    anatomy/NNNNNNNN.png   class ids of the picture at that millisecond                          (only if sampled)
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path

import numpy as np

from simulator.operation import OperationPlan
from simulator.png import write_png
from simulator.render import truth_at


def write_truth(plan: OperationPlan, folder: Path) -> None:
    """Write phases, instruments, events and the rest of the plan; the folder is made, older files replaced."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    _write_rows(folder / "phases.csv", ("start_ms", "end_ms", "phase"), map(asdict, plan.phases))
    columns = ("start_ms", "end_ms", "instrument", "track", "slot")
    _write_rows(folder / "instruments.csv", columns, map(asdict, plan.instruments))
    _write_rows(folder / "events.csv", ("start_ms", "end_ms", "kind"), map(asdict, plan.events))
    rest = {
        "seed": plan.seed,
        "duration_ms": plan.duration_ms,
        "hospital": plan.hospital.name,
        "surgeon": plan.surgeon,
        "patient": plan.patient,
        "operation_type": plan.operation_type,
        "day": plan.day.isoformat(),
        "disturbances": [asdict(span) for span in plan.disturbances],
    }
    (folder / "operation.json").write_text(json.dumps(rest, indent=2) + "\n", encoding="utf-8")


def write_sampled_truth(plan: OperationPlan, folder: Path, fps: float, width: int = 640, height: int = 480) -> int:
    """Write boxes and class ids of pictures sampled at `fps`; returns how many pictures that were."""
    folder = Path(folder)
    (folder / "anatomy").mkdir(parents=True, exist_ok=True)
    moments = np.arange(0, plan.duration_ms, 1000.0 / fps).round().astype(int)
    moments = moments[moments < plan.duration_ms].tolist()  # the last may be rounded up to the end
    rows = []
    for timestamp_ms in moments:
        frame = truth_at(plan, timestamp_ms, width, height)
        write_png(folder / "anatomy" / f"{timestamp_ms:08d}.png", frame.anatomy)
        for seen in frame.instruments:
            corners = dict(zip(("x_min_px", "y_min_px", "x_max_px", "y_max_px"), seen.box_px, strict=True))
            rows.append({"timestamp_ms": timestamp_ms, "instrument": seen.instrument, "track": seen.track, **corners})
    columns = ("timestamp_ms", "instrument", "track", "x_min_px", "y_min_px", "x_max_px", "y_max_px")
    _write_rows(folder / "boxes.csv", columns, rows)
    return len(moments)


def sidecar(plan: OperationPlan, operation_id: str, department: str) -> dict[str, str]:
    """What accompanies an upload: who operated what, where and when; never a patient."""
    return {
        "operation_id": operation_id,
        "operation_type": plan.operation_type,
        "surgeon": plan.surgeon,
        "department": department,
        "date": plan.day.isoformat(),
    }


def _write_rows(path: Path, columns: tuple[str, ...], rows: Iterable[dict[str, object]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, columns)
        writer.writeheader()
        writer.writerows(rows)
