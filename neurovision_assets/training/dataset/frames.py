"""The pictures that are learned from: the platform's own sampling, on imported videos and pictures (NV-012).

Belongs here: one operation's pictures, and what need not be made again. Does not belong here: decoding and scaling,
which are those of the stage ``surgery/frames``. A video is sampled at the rate; a set of single pictures keeps all.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from typing import Any

import pyarrow.parquet as pq

from neurovision_assets.provenance import canonical_json
from neurovision_assets.surgery.frames.config import SAMPLING_POLICY_VERSION, FramesConfig
from neurovision_assets.training.dataset.folder import DatasetFolder, write_rows
from neurovision_assets.training.dataset.layout import Layout
from neurovision_assets.training.dataset.schemas import FRAMES, OPERATIONS, PICTURES
from neurovision_assets.training.params import ExtractFramesParams
from resources.errors import PermanentFailure
from resources.object_store import sha256_of_file

CODE_VERSION = "1"
SOURCE_METADATA = b"neurovision.source"


def extract_frames(
    layout: Layout, params: ExtractFramesParams, on_operation: Callable[[str], None] = lambda _: None
) -> dict[str, int]:
    """Make the stored pictures of every operation that has a video or pictures; those that are as they would be stay.

    Returns:
        How many operations were made, kept, and removed because their set is gone.

    Raises:
        PermanentFailure: a video or a picture cannot be decoded.
    """
    version, wanted = layout.version, set()
    counts = {"made": 0, "kept": 0, "removed": 0}
    (version.root / FRAMES.name).mkdir(parents=True, exist_ok=True)
    for name in layout.sets():
        folder = layout.imported(name)
        for row in folder.rows(OPERATIONS):
            source = _source(layout, folder, row)
            if source is None:
                continue
            wanted.add(row["operation"])
            path, basis = version.pictures_path(FRAMES, row["operation"]), _basis(source, params)
            if path.is_file() and pq.read_schema(path).metadata.get(SOURCE_METADATA) == basis:
                counts["kept"] += 1
                continue
            on_operation(row["operation"])
            path.unlink(missing_ok=True)
            rows = _rows(layout, folder, row, params)
            write_rows(path, FRAMES, rows, metadata={SOURCE_METADATA: basis})
            counts["made"] += 1
    for operation in set(version.operations_with(FRAMES)) - wanted:
        version.pictures_path(FRAMES, operation).unlink()
        counts["removed"] += 1
    return counts


def _source(layout: Layout, folder: DatasetFolder, row: dict[str, Any]) -> Any:
    """The file that an operation's pictures come from, None where it has none."""
    if row["video"]:
        return layout.root / row["video"]
    paths = [folder.pictures_path(contract, row["operation"]) for contract in (FRAMES, PICTURES)]
    return next((path for path in paths if path.is_file()), None)


def _basis(source: Any, params: ExtractFramesParams) -> bytes:
    """What stored pictures follow from."""
    if not source.is_file():
        raise PermanentFailure("The file is missing.", subject=str(source), remedy="Fetch it: dvc pull.")
    basis = [CODE_VERSION, SAMPLING_POLICY_VERSION, params.model_dump(), sha256_of_file(source)]
    return hashlib.sha256(canonical_json(basis).encode()).hexdigest().encode()


def _rows(
    layout: Layout, folder: DatasetFolder, row: dict[str, Any], params: ExtractFramesParams
) -> Iterator[dict[str, Any]]:
    operation = row["operation"]
    if row["video"]:
        return _sampled(layout, row, params)
    if folder.pictures_path(FRAMES, operation).is_file():
        return folder.pictures(FRAMES, operation)
    return _fitted(folder, operation, params)


def _sampled(layout: Layout, row: dict[str, Any], params: ExtractFramesParams) -> Iterator[dict[str, Any]]:
    """Pictures of a video at the rate, each the nearest to its moment: annotations are of exact moments."""
    from neurovision_assets.surgery.frames.decode import MediaPart
    from neurovision_assets.surgery.frames.encode import sample_to_batches
    from neurovision_assets.surgery.video.probe import probe_video

    path = layout.root / row["video"]
    width_px, height_px = params.resolution
    config = FramesConfig(
        fps=params.fps, sampling="exact", width_px=width_px, height_px=height_px, jpeg_quality=params.quality
    )
    part = MediaPart(path, probe_video(path, subject=row["operation"]))
    for batch in sample_to_batches([part], config, subject=row["operation"]):
        for timestamp_ms, jpeg in zip(batch["timestamp_ms"].to_pylist(), batch["jpeg"].to_pylist(), strict=True):
            yield {"operation": row["operation"], "timestamp_ms": timestamp_ms, "jpeg": jpeg}


def _fitted(folder: DatasetFolder, operation: str, params: ExtractFramesParams) -> Iterator[dict[str, Any]]:
    """Single pictures, fitted as the pictures of videos are."""
    import cv2
    import numpy as np

    from models.letterbox import letterbox
    from neurovision_assets.surgery.frames.encode import encode_jpeg

    for row in folder.pictures(PICTURES, operation):
        image = cv2.imdecode(np.frombuffer(row["picture"], dtype=np.uint8), cv2.IMREAD_COLOR)
        if image is None:
            raise PermanentFailure(
                f"The picture at {row['timestamp_ms']} ms cannot be decoded.",
                subject=operation,
                remedy="Take the file from the data set again, and import it.",
            )
        fitted, _ = letterbox(np.asarray(image, dtype=np.uint8), *params.resolution)
        jpeg = encode_jpeg(fitted, params.quality)
        yield {"operation": operation, "timestamp_ms": row["timestamp_ms"], "jpeg": jpeg}
