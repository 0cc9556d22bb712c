"""A data set that a segmenter learns in seconds: every phase has a colour of its own. And a home to train in.

Belongs here: making both. Does not belong here: tests. The pictures are those of an imported set, so everything behind
the import is the platform's own: frames, merging, the checkpoint, splits, DVC.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from models.labels import PHASES
from neurovision_assets.training.dataset.layout import EXTERNAL, Layout
from neurovision_assets.training.dataset.schemas import OPERATIONS, PHASE_SPANS, PICTURES
from resources.datasets import DatasetRepository
from resources.settings import Settings

SET = "coloured"
PICTURES_A_PHASE = 8
STEP_MS = 500
SIZE_PX = (160, 120)
SHOWN: Sequence[str] = PHASES[:3]
COLOURS = ((200, 40, 40), (40, 200, 40), (40, 40, 200))


def coloured_set(settings: Settings, operations: int, *, seed: int = 0) -> None:
    """Import operations of three phases in any order, each picture in its phase's colour with noise on it."""
    datasets = DatasetRepository.of(settings)
    rng = np.random.default_rng(seed)
    with datasets.lock():
        folder = Layout(datasets.root).imported(SET)
        people, spans = [], []
        for number in range(operations):
            name = f"{SET}_{number:03}"
            order = rng.permutation(len(SHOWN))
            people.append(_person(name, number, len(order)))
            for place, phase in enumerate(order):
                start_ms = place * PICTURES_A_PHASE * STEP_MS
                end_ms = start_ms + PICTURES_A_PHASE * STEP_MS
                said = {"author": SET, "annotated_at": None}
                spans.append({"operation": name, "start_ms": start_ms, "end_ms": end_ms, "phase": SHOWN[phase], **said})
            path = folder.pictures_path(PICTURES, name)
            path.parent.mkdir(parents=True, exist_ok=True)
            _write_pictures(path, name, order, rng)
        folder.write(OPERATIONS, people)
        folder.write(PHASE_SPANS, spans)
        datasets.add([f"{EXTERNAL}/{SET}"], "Import a coloured set")


def _person(name: str, number: int, phases: int) -> dict[str, object]:
    return {
        "operation": name,
        "patient": f"patient-{number}",
        "surgeon": f"surgeon-{number % 3}",
        "hospital": "hospital",
        "operation_type": ("laparoscopic-cholecystectomy", "diagnostic-laparoscopy")[number % 2],
        "source": SET,
        "duration_ms": phases * PICTURES_A_PHASE * STEP_MS,
        "width_px": SIZE_PX[0],
        "height_px": SIZE_PX[1],
        "fps": None,
        "video": "",
        "labelled": "throughout",
    }


def _write_pictures(path: Path, name: str, order: Sequence[int], rng: np.random.Generator) -> None:
    import cv2

    from neurovision_assets.training.dataset.folder import write_rows

    rows = []
    for moment, phase in enumerate(np.repeat(order, PICTURES_A_PHASE)):
        noise = rng.normal(0, 12, size=(SIZE_PX[1], SIZE_PX[0], 3))
        picture = np.clip(np.array(COLOURS[phase]) + noise, 0, 255).astype(np.uint8)
        encoded = cv2.imencode(".png", picture)[1].tobytes()
        rows.append({"operation": name, "timestamp_ms": moment * STEP_MS, "picture": encoded})
    write_rows(path, PICTURES, rows)
