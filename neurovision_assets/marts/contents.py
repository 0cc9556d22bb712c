"""Rows out of the stored tables of every video: phase segments, and how sure the models were.

Belongs here: reading one video's tables through the store, and reading only what changed since the last time: with
10,000 videos a daily look would otherwise open 30,000 files. Does not belong here: what is made of the rows (``dbt/``).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from neurovision_assets.artifacts import MAIN_TABLE, ArtifactReader, ArtifactRecord
from neurovision_assets.marts import tables
from neurovision_assets.surgery.phases.asset import SEGMENTS_PART
from neurovision_assets.surgery.pipeline import ANATOMY, INSTRUMENTS, PHASES
from neurovision_assets.tables import TableContract
from resources.errors import PermanentFailure
from resources.object_store import ObjectStore

SCORE_COLUMNS: Final = {PHASES.asset: "confidence", INSTRUMENTS.asset: "score", ANATOMY.asset: "confidence"}
"""By asset key, the column of its main table that says how sure the model is of the row."""
Rows = list[dict[str, Any]]


@dataclass(frozen=True)
class Content:
    """A table that is gathered from one file a video.

    Attributes:
        contract: of the gathered table; it has ``video_id`` and ``data_version``.
        assets: asset keys that it is read from.
        read: the rows of one result.
    """

    contract: TableContract
    assets: tuple[str, ...]
    read: Callable[[ArtifactReader, ArtifactRecord], Rows]


def phase_segments(reader: ArtifactReader, record: ArtifactRecord) -> Rows:
    """Every segment of one video."""
    columns = ["segment_index", "phase", "start_ms", "end_ms", "mean_confidence"]
    rows: Rows = reader.table(record, SEGMENTS_PART, columns).to_pylist()
    return rows


def confidences(reader: ArtifactReader, record: ArtifactRecord) -> Rows:
    """How many rows a stage's table has, and their mean score."""
    scores = reader.table(record, MAIN_TABLE, [SCORE_COLUMNS[record.provenance.asset]]).column(0)
    mean = pc.mean(pc.cast(scores, pa.float64())).as_py()
    return [{"asset": record.provenance.asset, "predictions": len(scores), "mean_confidence": mean}]


CONTENTS: Final = (
    Content(tables.PHASE_SEGMENTS, (PHASES.asset,), phase_segments),
    Content(tables.CONFIDENCES, tuple(SCORE_COLUMNS), confidences),
)


@dataclass(frozen=True)
class Gathered:
    """A table as it is now.

    Attributes:
        table: all of it.
        read: how many results were opened for it.
        unreadable: results that the index knows and the store does not give: ``asset/video_id``.
    """

    table: pa.Table
    read: int
    unreadable: tuple[str, ...]


def gather_contents(content: Content, store: ObjectStore, results: pa.Table, before: pa.Table | None) -> Gathered:
    """Bring a gathered table up to date.

    Args:
        content: which one.
        store: where the results are.
        results: what is stored now, a row a result (``tables.RESULTS``).
        before: the table as it was; None where there is none of the same columns.

    Raises:
        TransientFailure: the storage cannot be read just now.
    """
    wanted = {
        (row["video_id"], row["asset"], row["data_version"])
        for row in results.select(["video_id", "asset", "data_version"]).to_pylist()
        if row["asset"] in content.assets
    }
    kept = [row for row in (before.to_pylist() if before is not None else []) if _origin(content, row) in wanted]
    missing = sorted(wanted - {_origin(content, row) for row in kept})
    reader, rows = ArtifactReader(store), kept
    unreadable: list[str] = []
    for video_id, asset, _ in missing:
        try:
            record = reader.required_record(asset, video_id)
            found = content.read(reader, record)
        except PermanentFailure:
            unreadable.append(f"{asset}/{video_id}")
            continue
        rows += [{"video_id": video_id, "data_version": record.data_version, **row} for row in found]
    table = pa.Table.from_pylist(rows, schema=content.contract.arrow_schema)
    return Gathered(table, len(missing) - len(unreadable), tuple(unreadable))


def _origin(content: Content, row: Mapping[str, Any]) -> tuple[str, str, str]:
    return row["video_id"], row.get("asset", content.assets[0]), row["data_version"]


def unreadable_of(gathered: Sequence[Gathered]) -> list[str]:
    """Results that some table had to do without, each once."""
    return sorted({name for one in gathered for name in one.unreadable})
