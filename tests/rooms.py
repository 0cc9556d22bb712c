"""What the tests of the analysing rooms share: stored frames, models, contracts.

Belongs here: builders of inputs. Does not belong here: expectations.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from neurovision_assets.surgery.pictures import Images
from neurovision_assets.tables import ContractChecker, TableContract
from resources.inference.client import SEED_REPOSITORY, InferenceResource
from simulator.operation import plan_operation
from simulator.render import render_frame

INTERVAL_MS = 500
JPEG_QUALITY = 95


def violations(contract: TableContract, table: pa.Table) -> list[str]:
    """Where a table breaks its contract."""
    checker = ContractChecker(contract)
    for batch in table.to_batches() or [pa.RecordBatch.from_pylist([], schema=table.schema)]:
        checker.add(batch)
    return checker.violations()


def simulated_frames(count: int, width_px: int = 640, height_px: int = 480, seed: int = 7) -> Images:
    """Pictures of an operation, evenly over its minute."""
    plan = plan_operation(seed, 60.0)
    times = np.linspace(0, plan.duration_ms - 1, count)
    return np.stack([render_frame(plan, float(time), width_px, height_px).image for time in times])


def frame_batches(images: Images, rows: int = 32) -> list[pa.RecordBatch]:
    """Pictures as the frames table holds them, two a second."""
    jpegs = [cv2.imencode(".jpg", image[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])[1] for image in images]
    table = pa.table(
        {
            "frame_index": pa.array(np.arange(len(images)), pa.int32()),
            "timestamp_ms": pa.array(np.arange(len(images)) * INTERVAL_MS, pa.int64()),
            "jpeg": pa.array([jpeg.tobytes() for jpeg in jpegs], pa.binary()),
        }
    )
    return table.to_batches(max_chunksize=rows)


def default_models(folder: Path) -> InferenceResource:
    """A runtime repository of its own, filled with the default models."""
    return InferenceResource(repository=str(folder), threads=1)


def edited_model(folder: Path, name: str, replacements: Iterable[tuple[str, str]]) -> InferenceResource:
    """The default models, one of them with another ``config.pbtxt``."""
    shutil.copytree(SEED_REPOSITORY / name, folder / name, ignore=shutil.ignore_patterns("*.py", "__pycache__"))
    config = folder / name / "config.pbtxt"
    text = config.read_text(encoding="utf-8")
    for old, new in replacements:
        assert old in text, f"{name}: {old!r} is not in config.pbtxt"
        text = text.replace(old, new)
    config.write_text(text, encoding="utf-8")
    return default_models(folder)


def frame_times(count: int) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int64]]:
    """Index and time of frames, two a second."""
    return np.arange(count, dtype=np.int32), np.arange(count, dtype=np.int64) * INTERVAL_MS
