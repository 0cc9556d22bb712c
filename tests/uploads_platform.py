"""A code location with the real sensors of uploads and a main job of one small stage, for tests with a real daemon.

Belongs here: the stand-in for the stages, which would need models. Does not belong here: tests. Settings come from the
environment, as in production.
"""

import dagster as dg

from jobs.process_video import PROCESS_VIDEO
from neurovision_assets.partitions import video_ids
from neurovision_assets.profiles import ProfileCatalog
from neurovision_assets.uploads.asset import UPLOADS_KEY, uploads, uploads_accepted
from neurovision_assets.uploads.record import load_record
from neurovision_assets.uploads.registration import claim_parts
from resources.errors import PermanentFailure
from resources.object_store import ObjectStore
from resources.progress import ProgressBoard, StageProgress
from resources.settings import load_settings
from sensors.callbacks import callback_sensors
from sensors.uploads import uploads_sensor

UNREADABLE = b"unreadable"


@dg.asset(key=["surgery", "video"], partitions_def=video_ids, deps=[UPLOADS_KEY])
def video(context: dg.AssetExecutionContext, object_store: ObjectStore, progress: ProgressBoard) -> None:
    """Claims the files; fails as a stage does on those that begin with ``unreadable``."""
    for video_id in context.partition_keys:
        (key, *_) = claim_parts(object_store, load_record(object_store, video_id))
        told = StageProgress(progress, video_id, context.run.run_id, "video", (0, 100))
        if object_store.read_bytes(key).startswith(UNREADABLE):
            failure = PermanentFailure("It cannot be decoded.", subject=video_id, remedy="Upload it again.")
            told.failed(str(failure))
            raise failure
        told(1.0, "done")


def build_defs() -> dg.Definitions:
    """The stand-in platform."""
    settings = load_settings()
    store = ObjectStore(url=settings.objects_url)
    return dg.Definitions(
        assets=[uploads, video],
        asset_checks=[uploads_accepted],
        jobs=[dg.define_asset_job(PROCESS_VIDEO, selection=[video])],
        sensors=[uploads_sensor, *callback_sensors],
        resources={
            "object_store": store,
            "progress": ProgressBoard(object_store=store),
            "profiles": ProfileCatalog(user_folder=str(settings.user_profiles), default=settings.default_profile),
        },
        executor=dg.in_process_executor,
    )


defs = build_defs()
