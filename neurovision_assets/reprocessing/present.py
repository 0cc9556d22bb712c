"""What every video is compared with: its upload, its profile, the models that are served now.

Belongs here: gathering that for thousands of videos in seconds. Does not belong here: the comparison (``draft``).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import bindparam, delete, select

from neurovision_assets.profiles import ProfileCatalog
from neurovision_assets.stage.judgement import StageQuestion, fingerprint_of
from neurovision_assets.stage.pipeline import Pipeline
from neurovision_assets.stage.resolve import questions_of, upload_version
from neurovision_assets.uploads.record import load_record, record_key
from resources.database.engine import Database
from resources.database.tables import UPLOAD_INDEX
from resources.errors import ConfigurationError, PermanentFailure
from resources.inference.client import InferenceResource
from resources.object_store import ObjectInfo, ObjectStore


@dataclass(frozen=True)
class Upload:
    """What staleness asks of an upload.

    Attributes:
        profile: that its record names, None for the deployment's default.
        version: its data version.
    """

    profile: str | None
    version: str


@dataclass(frozen=True)
class Present:
    """What results are compared with.

    Attributes:
        uploads: by video_id.
        questions: by profile; profiles that cannot be used are absent.
        default_profile: of uploads that name none.
        unjudged: reasons why videos cannot be judged, with how many they are.
    """

    uploads: Mapping[str, Upload]
    questions: Mapping[str, Sequence[StageQuestion]]
    default_profile: str
    unjudged: Mapping[str, int]

    def profile_of(self, video_id: str) -> str:
        """The profile that a video is judged by."""
        return self.uploads[video_id].profile or self.default_profile

    def standards(self, profiles: Iterable[str]) -> dict[str, str]:
        """What results under each profile would stand on now, a fingerprint each."""
        return {name: fingerprint_of(self.questions[name]) for name in sorted(profiles) if name in self.questions}


def gather(
    pipeline: Pipeline,
    database: Database,
    store: ObjectStore,
    catalog: ProfileCatalog,
    inference: InferenceResource,
    video_ids: Sequence[str],
) -> Present:
    """Everything that the comparison needs, for videos that the platform knows.

    Raises:
        NeuroVisionError: database or store cannot be used.
    """
    uploads, unjudged = uploads_of(database, store, video_ids)
    names = {upload.profile or catalog.default for upload in uploads.values()}
    questions: dict[str, Sequence[StageQuestion]] = {}
    for name in sorted(names):
        try:
            questions[name] = questions_of(pipeline, pipeline.resolve(catalog, name), inference)
        except ConfigurationError as error:
            unjudged[str(error)] = sum((upload.profile or catalog.default) == name for upload in uploads.values())
    return Present(uploads, questions, catalog.default, unjudged)


def standards_now(
    pipeline: Pipeline, catalog: ProfileCatalog, inference: InferenceResource, profiles: Iterable[str]
) -> dict[str, str]:
    """What results under each profile would stand on now; a profile that cannot be used any more is absent."""
    standards = {}
    for name in profiles:
        try:
            standards[name] = fingerprint_of(questions_of(pipeline, pipeline.resolve(catalog, name), inference))
        except ConfigurationError:
            continue
    return standards


def uploads_of(
    database: Database, store: ObjectStore, video_ids: Sequence[str]
) -> tuple[dict[str, Upload], dict[str, int]]:
    """Uploads by video_id, and why some cannot be read; a record is opened only where it changed since it was seen."""
    with database.reading() as connection:
        rows = connection.execute(select(UPLOAD_INDEX)).mappings()
        seen: dict[str, Mapping[str, Any]] = {str(row["video_id"]): dict(row) for row in rows}
    uploads: dict[str, Upload] = {}
    changed = []
    unjudged: dict[str, int] = {}
    for video_id in video_ids:
        info = store.stat(record_key(video_id))
        row = seen.get(video_id)
        if info is None:
            continue
        if row is None or (row["size_bytes"], row["modified_s"]) != (info.size_bytes, info.modified_s):
            try:
                row = _row_of(store, video_id, info)
            except PermanentFailure as error:
                unjudged[error.problem] = unjudged.get(error.problem, 0) + 1
                continue
            changed.append(row)
        uploads[video_id] = Upload(row["profile"], row["upload_version"])
    _keep(database, changed, gone=seen.keys() - uploads.keys())
    return uploads, unjudged


def _row_of(store: ObjectStore, video_id: str, info: ObjectInfo) -> dict[str, Any]:
    record = load_record(store, video_id)
    return {
        "video_id": video_id,
        "size_bytes": info.size_bytes,
        "modified_s": info.modified_s,
        "profile": record.profile,
        "upload_version": upload_version(record),
    }


def _keep(database: Database, rows: Sequence[Mapping[str, Any]], gone: Iterable[str]) -> None:
    old = [{"of_video": video_id} for video_id in (*(row["video_id"] for row in rows), *gone)]
    if old:
        with database.writing() as connection:
            connection.execute(delete(UPLOAD_INDEX).where(UPLOAD_INDEX.c.video_id == bindparam("of_video")), old)
            if rows:
                connection.execute(UPLOAD_INDEX.insert(), rows)
