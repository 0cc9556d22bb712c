"""Rows about videos: uploads, what is stored of each, what failed, what is stale.

Belongs here: one look at the records, the index and the judgement that ``make plan`` shows. Does not belong here: what
is in the stored tables (``contents``). Rows of videos that are gone are left out everywhere, so that tables agree.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
from sqlalchemy import select

from neurovision_assets.marts import tables
from neurovision_assets.profiles import ProfileCatalog
from neurovision_assets.provenance_index import results_by_video
from neurovision_assets.reprocessing.draft import draw_up
from neurovision_assets.reprocessing.present import Present, gather
from neurovision_assets.stage.failures import read_failure
from neurovision_assets.stage.pipeline import Pipeline
from neurovision_assets.tables import TableContract
from neurovision_assets.uploads.record import load_record
from resources.database.engine import Database
from resources.database.tables import PROVENANCE_INDEX
from resources.inference.client import InferenceResource
from resources.object_store import ObjectStore

FAILURE_ENDING = ".failure.json"


@dataclass(frozen=True)
class Platform:
    """Where the records are.

    Attributes:
        pipeline: the domain.
        database: the provenance index.
        store: uploads, results, failures.
        catalog: profiles.
        inference: models; none pinned yet, so that what is served now is seen.
    """

    pipeline: Pipeline
    database: Database
    store: ObjectStore
    catalog: ProfileCatalog
    inference: InferenceResource


def video_tables(platform: Platform, known: Sequence[str]) -> dict[str, pa.Table]:
    """Tables by name.

    Args:
        platform: where to look.
        known: every video_id that the platform knows; those without an upload's record are left out.

    Raises:
        NeuroVisionError: database or store cannot be used.
    """
    present = gather(platform.pipeline, platform.database, platform.store, platform.catalog, platform.inference, known)
    with platform.database.reading_some_seconds_late() as connection:  # the night's tables
        draft = draw_up(present, results_by_video(connection))
        index = connection.execute(select(PROVENANCE_INDEX)).mappings().all()
    found = [row for row in index if row["video_id"] in present.uploads]
    told: list[tuple[TableContract, Iterable[dict[str, Any]]]] = [
        (tables.UPLOADS, _uploads(platform.store, present)),
        (tables.PROFILE_STAGES, _profile_stages(platform, present)),
        (tables.RESULTS, (_result(row) for row in found)),
        (tables.MODEL_USES, (use for row in found for use in _uses(row))),
        (tables.FAILURES, _failures(platform, present)),
        (tables.STALE_PAIRS, (vars(item) for item in draft.items)),
    ]
    return {contract.name: pa.Table.from_pylist(list(rows), schema=contract.arrow_schema) for contract, rows in told}


def utc(moment: dt.datetime) -> dt.datetime:
    """A moment as the warehouse keeps it."""
    return moment.astimezone(dt.UTC).replace(tzinfo=None)


def _uploads(store: ObjectStore, present: Present) -> Iterator[dict[str, Any]]:
    for video_id in present.uploads:
        record = load_record(store, video_id)
        profile = present.profile_of(video_id)
        yield {
            "video_id": video_id,
            "operation_type": record.operation_type,
            "department": record.department,
            "profile": profile,
            "is_judged": profile in present.questions,
            "uploaded_at": utc(record.received_at),
            "size_bytes": record.size_bytes,
        }


def _profile_stages(platform: Platform, present: Present) -> Iterator[dict[str, Any]]:
    for name, questions in present.questions.items():
        profile = platform.pipeline.resolve(platform.catalog, name).profile
        for place, question in enumerate(questions):
            spec = question.spec
            yield {
                "profile": name,
                "asset": spec.asset,
                "place": place,
                "is_required": profile.is_required(spec.name),
            }


def _result(row: Any) -> dict[str, Any]:
    copied = ("video_id", "asset", "data_version", "profile", "config_hash", "code_version", "run_id", "device")
    return {
        **{name: row[name] for name in copied},
        "started_at": utc(row["started"]),
        "finished_at": utc(row["finished"]),
        "duration_ms": row["duration_ms"],
    }


def _uses(row: Any) -> Iterator[dict[str, Any]]:
    for model in row["models"]:
        told = {key: model[key] for key in ("version", "release", "digest", "engine", "precision")}
        yield {"video_id": row["video_id"], "asset": row["asset"], "model": model["name"], **told}


def _failures(platform: Platform, present: Present) -> Iterator[dict[str, Any]]:
    for stage in platform.pipeline.stages:
        for info in platform.store.list_folder(stage.asset):
            video_id = info.key.rpartition("/")[2].removesuffix(FAILURE_ENDING)
            if not info.key.endswith(FAILURE_ENDING) or video_id not in present.uploads:
                continue
            failure = read_failure(platform.store, stage.asset, video_id)
            if failure is not None:
                yield {
                    "video_id": video_id,
                    "asset": stage.asset,
                    "kind": failure.kind,
                    "cause": failure.cause,
                    "failed_at": utc(failure.failed_at),
                }
