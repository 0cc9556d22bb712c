"""Tells Dagster of videos that the store has and its database does not know: that database was lost.

Belongs here: finding them, telling their results, asking for the runs of those that were not done. Does not belong
here: uploads that still lie in ``incoming/`` (``uploads``), the tables (``resources.dagster_storage``), backups.

The store is the truth: nothing is computed again, nobody is told again. The look goes once through all videos that a
run has ever begun, page by page; whoever loses the database loses the cursor with it, and so the look begins anew.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import PurePosixPath

import dagster as dg

from jobs.process_video import PROCESS_VIDEO
from neurovision_assets.artifacts import ArtifactReader
from neurovision_assets.partitions import video_ids
from neurovision_assets.profiles import ProfileCatalog
from neurovision_assets.provenance_index import index_result
from neurovision_assets.stage import events
from neurovision_assets.stage.pipeline import Pipeline
from neurovision_assets.surgery.pipeline import SURGERY
from neurovision_assets.uploads.record import UploadRecord, find_record
from resources.database.engine import Database
from resources.errors import PermanentFailure
from resources.object_store import ObjectStore
from resources.progress import PROGRESS
from sensors.uploads import run_request

LOG = logging.getLogger(__name__)
INTERVAL_S = 15
PAGE = 50
"""Videos of one look: their previews are read, their runs asked for, all within the minute that a tick may take."""
ALL_SEEN = "all seen"
"""The cursor behind the last video; every key of the store has a slash."""


@dataclass(frozen=True)
class Found:
    """What a look found.

    Attributes:
        unknown: videos that Dagster did not know; it has been told of their results.
        undone: those of them that have no report yet.
        cursor: where the next look begins.
    """

    unknown: list[UploadRecord]
    undone: list[UploadRecord]
    cursor: str


@dg.sensor(
    job_name=PROCESS_VIDEO,
    minimum_interval_seconds=INTERVAL_S,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="After the loss of Dagster's database: tells it what the store has, goes on with the rest.",
)
def known_videos_sensor(
    context: dg.SensorEvaluationContext, object_store: ObjectStore, profiles: ProfileCatalog, database: Database
) -> dg.SensorResult:
    """A page of videos. Where store or database cannot be used the tick fails, and the next one looks again."""
    if context.cursor == ALL_SEEN:
        return dg.SensorResult(skip_reason="Dagster knows the videos of the store.", cursor=ALL_SEEN)
    found = look(context.instance, SURGERY, object_store, database, context.cursor or "")
    if found.unknown:
        context.log.warning(f"{len(found.unknown)} videos were not known, {len(found.undone)} of them get a run.")
    keys = [record.video_id for record in found.unknown]
    return dg.SensorResult(
        run_requests=[run_request(record, profiles.default) for record in found.undone],
        skip_reason=None if found.undone else f"{len(found.unknown)} videos were not known, all of them are done.",
        dynamic_partitions_requests=[video_ids.build_add_request(keys)] if keys else [],
        cursor=found.cursor,
    )


def look(instance: dg.DagsterInstance, pipeline: Pipeline, store: ObjectStore, database: Database, after: str) -> Found:
    """Tell Dagster of a page of videos.

    Args:
        instance: that is told.
        pipeline: the domain.
        store: with the results.
        database: with the index, which is told too.
        after: key behind which the page begins, empty for the first.

    Raises:
        TransientFailure: store or database cannot be used.
    """
    page = store.list_folder(PROGRESS, after=after, limit=PAGE)
    known = set(instance.get_dynamic_partitions(str(video_ids.name)))  # asked after the page: none of it is newer
    names = [name for info in page if (name := PurePosixPath(info.key).stem) not in known]
    unknown = [record for name in names if (record := _upload(store, name)) is not None]
    done = {record.video_id for record in unknown if _tell(instance, pipeline, store, database, record.video_id)}
    undone = [record for record in unknown if record.video_id not in done]
    return Found(unknown, undone, page[-1].key if len(page) == PAGE else ALL_SEEN)


def _tell(
    instance: dg.DagsterInstance, pipeline: Pipeline, store: ObjectStore, database: Database, video_id: str
) -> bool:
    """Tell of every result of a video, upstream first; whether it has the last."""
    reader = ArtifactReader(store)
    for stage in pipeline.stages:
        record = reader.record(stage.asset, video_id)
        if record is not None:
            instance.report_runless_asset_event(events.materialization(stage, record, reader, instance, reused=True))
            for check in events.checks_passed(stage, video_id):
                instance.report_runless_asset_event(check)
            index_result(database, record)
    return record is not None


def _upload(store: ObjectStore, video_id: str) -> UploadRecord | None:
    """What was uploaded under the key; what cannot be read is a person's matter and must not stop the others."""
    try:
        return find_record(store, video_id)
    except PermanentFailure as error:
        LOG.warning("%s", error)
        return None
