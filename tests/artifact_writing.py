"""A small artifact as a stage would write it.

Belongs here: contract, rows and provenance of a made-up stage. Does not belong here: tests.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pyarrow as pa

from neurovision_assets.artifacts import MAIN_TABLE, ArtifactDraft, ArtifactRecord, scratch_folder
from neurovision_assets.provenance import ModelUse, Provenance
from neurovision_assets.tables import ColumnContract, TableContract
from resources.object_store import ObjectStore

ASSET, VIDEO_ID = "toy/numbers", "video-0123abcd"
FINISHED = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
NUMBERS = TableContract("numbers", 1, (ColumnContract("value", pa.int64(), "A number.", minimum=0),))
MODEL = ModelUse(name="backbone", version=1, release="1.0.0", digest="a" * 64, engine="onnxruntime", precision="fp32")


def provenance(**changes: Any) -> Provenance:
    """What made the artifact, with changes."""
    return Provenance(
        asset=ASSET,
        video_id=VIDEO_ID,
        run_id="callers-own",
        dagster_run_id="dagsters-own",
        profile="production",
        config_hash="c" * 64,
        stage_config_hash="5" * 64,
        sampling_policy_version="1",
        dataprocessor_version="source",
        code_version="1",
        schema_version=1,
        inputs={"toy/uploads": "0123abcd"},
        models=(MODEL,),
        device="cpu",
        started=FINISHED,
        finished=FINISHED,
        duration_ms=0,
    ).model_copy(update=changes)


def rows(*values: int) -> pa.RecordBatch:
    """Rows of the table."""
    return pa.RecordBatch.from_pylist([{"value": value} for value in values], schema=NUMBERS.arrow_schema)


def publish(store: ObjectStore, *batches: pa.RecordBatch, **more: Any) -> ArtifactRecord:
    """Write an artifact with a table, a document and a preview."""
    with scratch_folder(store) as folder:
        draft = ArtifactDraft(store, ASSET, VIDEO_ID, folder)
        for batch in batches or (rows(1, 2), rows(3)):
            draft.append(MAIN_TABLE, NUMBERS, batch)
        draft.write_json("json", {"sum": 6})
        draft.write_bytes("preview.png", b"\x89PNG of no meaning")
        return draft.publish(more.get("provenance", provenance()), more.get("counts", {}), more.get("facts", {}))
