"""The reference of a model that was trained on this platform: operations of its data that it did not learn from.

Belongs here: which operations these are, their pictures, making the file where a version has none. Does not belong
here: rows (``reference``). The splits ``val`` and ``test`` are drawn as ``train`` is, so they stand for it.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.parquet as pq

from models.letterbox import FrameGeometry
from neurovision_assets.drift.figures import FIGURES_VERSION
from neurovision_assets.drift.reference import (
    DriftReference,
    Pictured,
    basis_of_model,
    find_reference,
    reference_path,
    rows_of,
)
from neurovision_assets.profiles import ResolvedProfile
from neurovision_assets.training.candidate.data import TEST, VALIDATION, fetch_data
from neurovision_assets.training.candidate.home import TrainingHome
from neurovision_assets.training.dataset.folder import DatasetFolder
from neurovision_assets.training.dataset.schemas import FRAMES, OPERATIONS, SPLITS
from resources.datasets import DatasetRepository
from resources.errors import PermanentFailure
from resources.inference.client import InferenceResource
from resources.inference.notes import DATA_PARAMETER, read_note

BATCH_ROWS: Final = 32
HELD_OUT: Final = (VALIDATION, TEST)


def reference_of_served(
    model: str,
    profile: ResolvedProfile,
    inference: InferenceResource,
    datasets: DatasetRepository,
    training: TrainingHome,
) -> tuple[DriftReference, bool]:
    """The reference of the version that is served now, made where there is none, and whether it was made.

    Raises:
        PermanentFailure: the model came without a reference that fits, or its data are not there.
        TransientFailure: the data cannot be fetched at this moment.
    """
    basis = basis_of_model(model, profile, inference)
    known = find_reference(model, basis, inference.models)
    if known is not None:
        return known, False
    version = inference.pin(model).identity.version
    note = read_note(inference.models.root / model / str(version))
    if note is None:
        raise PermanentFailure(
            "Its reference was made with other models, settings or code than are used now.",
            subject=inference.pin(model).identity.label,
            remedy="Use the profile production, or make it again: python -m commands.drift_reference.",
        )
    data = fetch_data(datasets, training, note.parameters[DATA_PARAMETER])
    rows = {one.name: rows_of(one, [model], profile, inference)[model] for one in held_out(data.folder)}
    reference = DriftReference(
        model=model,
        figures_version=FIGURES_VERSION,
        basis=basis,
        source=f"held out of the data {data.tag or data.revision[:12]}",
        operations=rows,
    )
    path = reference_path(inference.models.root, model, version)
    reference.write(path)
    inference.models.share(path)
    return reference, True


def held_out(folder: Path) -> Iterator[Pictured]:
    """Operations of a version that no model learned from, where they have pictures."""
    data = DatasetFolder(folder)
    names = {row["operation"] for row in data.rows(SPLITS) if row["split"] in HELD_OUT}
    pictured = names & set(data.operations_with(FRAMES))
    for row in data.rows(OPERATIONS):
        if row["operation"] in pictured:
            path = data.pictures_path(FRAMES, row["operation"])
            yield Pictured(row["operation"], _geometry(path, row["width_px"], row["height_px"]), _batches(path))


def _geometry(path: Path, width_px: int, height_px: int) -> FrameGeometry:
    """How the source lies in the stored pictures, whose size the first one tells."""
    from neurovision_assets.surgery.pictures import decode_frames

    height, width = next(decode_frames(_batches(path, rows=1))).images.shape[1:3]
    return FrameGeometry.fit(width_px, height_px, width, height)


def _batches(path: Path, rows: int = BATCH_ROWS) -> Iterator[pa.RecordBatch]:
    """Stored pictures with the columns of `pictures.FRAME_COLUMNS`."""
    first = 0
    with pq.ParquetFile(path) as file:
        for batch in file.iter_batches(batch_size=rows, columns=["timestamp_ms", "jpeg"]):
            index = pa.array(range(first, first + batch.num_rows), pa.int32())
            first += batch.num_rows
            yield pa.RecordBatch.from_arrays(
                [index, batch["timestamp_ms"], batch["jpeg"]], names=["frame_index", "timestamp_ms", "jpeg"]
            )
