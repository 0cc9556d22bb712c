"""Small annotated sets for tests, made by the simulator or by hand.

Belongs here: making them. Does not belong here: tests.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np

from neurovision_assets.tables import TableContract
from neurovision_assets.training.dataset.folder import DatasetFolder, write_rows
from neurovision_assets.training.dataset.schemas import (
    BOXES,
    EVENT_SPANS,
    FRAMES,
    MASKS,
    OPERATIONS,
    PHASE_SPANS,
    PRESENCE,
    SEEN_MOMENTS,
    SPLITS,
)
from simulator.cohort import cohort
from simulator.dataset import Recording, write_set

SIZE_PX = (320, 240)


def simulated_set(out: Path, count: int, *, seed: int = 0, duration_s: float = 20.0, videos: bool = True) -> Path:
    """Write a set of short operations with small pictures at 4 a second, boxes and masks at one; gives the folder."""
    recording = Recording(fps=4.0, size_px=SIZE_PX, truth_fps=1.0, videos=videos, layouts=False)
    write_set(cohort(count, seed, duration_s), out, recording, lambda _: lambda *_: None)
    return out


def small_version(folder: DatasetFolder, *, operations: int = 6) -> None:
    """Write a version by hand that every expectation holds on: three phases, boxes, masks, an event, splits."""
    names = [f"operation_{number:03d}" for number in range(operations)]
    said = [{"operation": name, "author": "test", "annotated_at": None} for name in names]
    splits = ["train"] * (operations - 2) + ["val", "test"]
    rows: dict[TableContract, list[dict[str, Any]]] = {
        OPERATIONS: [operation_row(name, number) for number, name in enumerate(names)],
        PHASE_SPANS: [{**each, **span} for each in said for span in SPANS],
        EVENT_SPANS: [{**each, "start_ms": 1000, "end_ms": 2000, "kind": "bleeding"} for each in said],
        BOXES: [{**each, **BOX} for each in said],
        SEEN_MOMENTS: [{**each, "timestamp_ms": 1000, "kind": "boxes"} for each in said],
        PRESENCE: [{"operation": name, "timestamp_ms": 2000, "instrument": "hook"} for name in names],
        MASKS: [{**each, "timestamp_ms": 1000, "png": mask_png(*SIZE_PX)} for each in said],
        SPLITS: [{"operation": name, "split": split} for name, split in zip(names, splits, strict=True)],
    }
    for contract, each in rows.items():
        folder.write(contract, each)
    for number, name in enumerate(names):
        frames = [
            {"operation": name, "timestamp_ms": at, "jpeg": f"{number} {at}".encode()} for at in range(0, 30000, 5000)
        ]
        write_rows(folder.pictures_path(FRAMES, name), FRAMES, frames)


SPANS = (
    {"start_ms": 0, "end_ms": 10000, "phase": "preparation"},
    {"start_ms": 10000, "end_ms": 20000, "phase": "calot-triangle-dissection"},
    {"start_ms": 20000, "end_ms": 30000, "phase": "gallbladder-dissection"},
)
BOX = {
    "timestamp_ms": 1000,
    "instrument": "hook",
    "x_min_px": 10.0,
    "y_min_px": 20.0,
    "x_max_px": 110.0,
    "y_max_px": 90.0,
}


def operation_row(name: str, number: int) -> dict[str, Any]:
    """A row of the operations table."""
    return {
        "operation": name,
        "patient": f"patient-{number}",
        "surgeon": f"surgeon-{number % 3}",
        "hospital": "north",
        "operation_type": "laparoscopic-cholecystectomy",
        "source": "test",
        "duration_ms": 30000,
        "width_px": SIZE_PX[0],
        "height_px": SIZE_PX[1],
        "fps": 25.0,
        "video": "",
        "labelled": "throughout",
    }


def mask_png(width_px: int, height_px: int, tissue: int = 2) -> bytes:
    """A mask with one class everywhere."""
    return bytes(cv2.imencode(".png", np.full((height_px, width_px), tissue, np.uint8))[1])
