"""The provenance index: one row for every stored result, so that questions about all videos need not open every record.

Belongs here: writing a record's row, reading rows, making all of them again from the store. Does not belong here: what
the rows are asked (``reprocessing``). The records in the store are the truth; a row that could not be written makes a
plan name a pair that turns out to be up to date, and ``make index`` mends it.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import groupby
from typing import Any

from sqlalchemy import Connection, Row, Text, and_, bindparam, cast, delete, select

from neurovision_assets.artifacts import RECORD_ENDING, ArtifactReader, ArtifactRecord
from neurovision_assets.provenance import Provenance
from neurovision_assets.stage.judgement import Stored
from neurovision_assets.staleness import Basis
from resources.database.engine import Database
from resources.database.tables import PROVENANCE_INDEX
from resources.object_store import ObjectStore

ROWS_AT_ONCE = 1000


@dataclass(frozen=True)
class IndexedResult:
    """One row, as far as plans ask.

    Attributes:
        asset: asset key, ``surgery/phases``.
        stored: data version and basis.
        started: when its computation began, UTC.
        duration_s: how long it took.
    """

    asset: str
    stored: Stored
    started: dt.datetime
    duration_s: float


def index_result(database: Database, record: ArtifactRecord) -> None:
    """Write the row of a result, in place of the one before.

    Raises:
        NeuroVisionError: the database cannot be used.
    """
    with database.writing() as connection:
        _replace(connection, [row_of(record)])


def row_of(record: ArtifactRecord) -> dict[str, Any]:
    """A record as a row."""
    made = record.provenance
    return {
        **made.model_dump(include=set(Provenance.model_fields) - {"models"}),
        "models": [model.model_dump() for model in made.models],
        "data_version": record.data_version,
        "indexed_at": dt.datetime.now(dt.UTC),
    }


def results_by_video(connection: Connection) -> Iterator[tuple[str, list[IndexedResult]]]:
    """Every row, video by video in the order of their keys, in little memory."""
    asked = [PROVENANCE_INDEX.c[name] for name in _ASKED]
    query = (
        select(*asked, cast(PROVENANCE_INDEX.c.models, Text).label("models"))
        .order_by(PROVENANCE_INDEX.c.video_id)
        .execution_options(yield_per=ROWS_AT_ONCE)
    )
    for video_id, rows in groupby(connection.execute(query), lambda row: str(row[0])):
        yield video_id, [_result_of(row) for row in rows]


def rebuild_index(database: Database, store: ObjectStore, assets: Sequence[str]) -> int:
    """Make the index again from the records in the store; stages may go on writing rows meanwhile.

    Args:
        database: where the index is.
        store: where the records are.
        assets: asset keys of every stage.

    Returns:
        How many results there are.

    Raises:
        TransientFailure: a folder cannot be listed; the index stays as it was.
    """
    began = dt.datetime.now(dt.UTC)
    rows = [row_of(record) for asset in assets for record in records_of(store, asset)]
    with database.writing() as connection:
        indexed = {
            (row.video_id, row.asset): (row.finished, row.indexed_at)
            for row in connection.execute(select(PROVENANCE_INDEX))
        }
        ours = {(row["video_id"], row["asset"]): row for row in rows}
        newer = [row for key, row in ours.items() if key not in indexed or row["finished"] >= indexed[key][0]]
        gone = [key for key, (_, indexed_at) in indexed.items() if key not in ours and indexed_at < began]
        _replace(connection, newer)
        _delete(connection, gone)
    return len(rows)


def records_of(store: ObjectStore, asset: str) -> Iterator[ArtifactRecord]:
    """The records of all videos of a stage; those of an incompatible version are left out, as everywhere."""
    reader = ArtifactReader(store)
    for info in store.list_folder(asset):
        name = info.key.rpartition("/")[2]
        if name.endswith(f".{RECORD_ENDING}"):
            record = reader.record(asset, name.removesuffix(f".{RECORD_ENDING}"))
            if record is not None:
                yield record


_ASKED = (
    "video_id",
    "asset",
    "data_version",
    "code_version",
    "schema_version",
    "sampling_policy_version",
    "stage_config_hash",
    "inputs",
    "started",
    "duration_ms",
)


def _result_of(row: Row[Any]) -> IndexedResult:
    """A row of :data:`_ASKED` and the models' text."""
    _, asset, data_version, code, schema, policy, config, inputs, started, duration_ms, models = row
    basis = Basis(
        code_version=code,
        schema_version=schema,
        sampling_policy_version=policy,
        stage_config_hash=config,
        inputs=inputs,
        models=_digests(models),
    )
    return IndexedResult(asset, Stored(data_version, basis), started, duration_ms / 1000)


@lru_cache(maxsize=1024)
def _digests(models: str) -> dict[str, str]:
    """Digests by name from a row's text; of thousands of rows most have the same."""
    return {model["name"]: model["digest"] for model in json.loads(models)}


def _replace(connection: Connection, rows: Sequence[dict[str, Any]]) -> None:
    _delete(connection, [(row["video_id"], row["asset"]) for row in rows])
    if rows:
        connection.execute(PROVENANCE_INDEX.insert(), rows)


def _delete(connection: Connection, keys: Sequence[tuple[str, str]]) -> None:
    statement = delete(PROVENANCE_INDEX).where(
        and_(PROVENANCE_INDEX.c.video_id == bindparam("of_video"), PROVENANCE_INDEX.c.asset == bindparam("of_asset"))
    )
    if keys:
        connection.execute(statement, [{"of_video": video_id, "of_asset": asset} for video_id, asset in keys])
