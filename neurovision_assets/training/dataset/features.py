"""Feature vectors of the stored pictures (NV-015, NV-023).

Belongs here: one table an operation, and what need not be computed again. Does not belong here: the backbone and
running it (``surgery/features``, ``resources/inference``). Vectors belong to videos, whatever split they are in.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator

import pyarrow as pa
import pyarrow.parquet as pq

from neurovision_assets.provenance import canonical_json
from neurovision_assets.schemas import FEATURES
from neurovision_assets.surgery.features.compute import features_tables
from neurovision_assets.surgery.features.config import FeaturesConfig
from neurovision_assets.surgery.pictures import PictureBatch, decode_frames
from neurovision_assets.training.dataset.layout import Layout
from neurovision_assets.training.dataset.schemas import FRAMES
from neurovision_assets.training.params import FeaturesParams
from resources.inference.client import InferenceResource
from resources.object_store import sha256_of_file

BASIS_METADATA = b"neurovision.source"
BATCH_ROWS = 32


def extract_features(
    layout: Layout,
    params: FeaturesParams,
    inference: InferenceResource,
    on_operation: Callable[[str], None] = lambda _: None,
) -> dict[str, int]:
    """Compute the vectors of every operation with pictures; those that are as they would be stay.

    Returns:
        How many operations were computed, kept, and removed because their pictures are gone.

    Raises:
        ConfigurationError: there is no such backbone.
    """
    config = FeaturesConfig(**params.model_dump())
    digest = inference.pin(config.model).identity.digest
    operations, counts = layout.version.operations_with(FRAMES), {"computed": 0, "kept": 0, "removed": 0}
    folder = layout.features("any").parent
    folder.mkdir(parents=True, exist_ok=True)
    for operation in operations:
        frames, path = layout.version.pictures_path(FRAMES, operation), layout.features(operation)
        basis = [digest, params.model_dump(), sha256_of_file(frames)]
        stamp = hashlib.sha256(canonical_json(basis).encode()).hexdigest().encode()
        if path.is_file() and (pq.read_schema(path).metadata or {}).get(BASIS_METADATA) == stamp:
            counts["kept"] += 1
            continue
        on_operation(operation)
        partial = path.with_suffix(".partial")
        schema = FEATURES.arrow_schema.with_metadata({BASIS_METADATA: stamp})
        with pq.ParquetWriter(partial, schema, compression="zstd") as writer:
            for table in features_tables(_pictures(layout, operation), inference, config):
                writer.write_table(table.cast(schema))
        partial.replace(path)
        counts["computed"] += 1
    for path in folder.glob("*.parquet"):
        if path.stem not in operations:
            path.unlink()
            counts["removed"] += 1
    return counts


def _pictures(layout: Layout, operation: str) -> Iterator[PictureBatch]:
    """The stored pictures, decoded, a batch at a time."""
    first = 0
    with pq.ParquetFile(layout.version.pictures_path(FRAMES, operation)) as file:

        def batches() -> Iterator[pa.RecordBatch]:
            nonlocal first
            for batch in file.iter_batches(batch_size=BATCH_ROWS, columns=["timestamp_ms", "jpeg"]):
                index = pa.array(range(first, first + batch.num_rows), pa.int32())
                first += batch.num_rows
                names = ["frame_index", "timestamp_ms", "jpeg"]
                yield pa.RecordBatch.from_arrays([index, batch["timestamp_ms"], batch["jpeg"]], names)

        yield from decode_frames(batches())
