"""The sensor that sees what is dropped into ``incoming/``.

Belongs here: from a look's outcome to Dagster's partitions, runs and checks. Does not belong here: what is decided and
done (``neurovision_assets.uploads``).
"""

import time

import dagster as dg

from jobs.process_video import PROCESS_VIDEO
from neurovision_assets.partitions import video_ids
from neurovision_assets.profiles import ProfileCatalog
from neurovision_assets.uploads.asset import ACCEPTED_CHECK, UPLOADS_KEY
from neurovision_assets.uploads.intake import Outcome, RefusedFiles, look
from neurovision_assets.uploads.record import UploadRecord
from neurovision_assets.uploads.watch import IncomingState
from resources.object_store import ObjectStore
from resources.settings import load_settings
from sensors.upload_events import Looks

PROFILE_TAG = "neurovision/profile"
PRIORITY_TAG = "dagster/priority"
LOOKS = Looks()


@dg.sensor(
    job_name=PROCESS_VIDEO,
    minimum_interval_seconds=load_settings().sensor_interval_s,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Gives every complete upload in incoming/ its video_id and its run; refuses what cannot be taken.",
)
def uploads_sensor(
    context: dg.SensorEvaluationContext, object_store: ObjectStore, profiles: ProfileCatalog
) -> dg.SensorResult:
    """One look at ``incoming/``. When the folder cannot be listed, the tick fails and the cursor stays as it was."""
    settings, state = load_settings(), IncomingState.from_cursor(context.cursor)
    heard = LOOKS.heard(object_store) if settings.upload_events else None
    if not LOOKS.is_due(object_store, state, heard):
        return dg.SensorResult(skip_reason="The server tells of no new upload.", cursor=context.cursor)
    outcome = look(
        object_store,
        settings,
        state,
        known=context.instance.get_dynamic_partitions(str(video_ids.name)),
        profiles=profiles.names(),
        now_s=time.time(),
    )
    LOOKS.done(object_store, heard)
    for record in outcome.registered:
        context.log.info(f"{record.video_id}: {len(record.parts)} file(s), {record.size_bytes} bytes, registered.")
    for refused in outcome.refused:
        context.log.warning(f"upload {refused.upload_id} refused: {refused.reason}")
    for note in outcome.notes:
        context.log.warning(note)
    return result_of(outcome, profiles.default)


def result_of(outcome: Outcome, default_profile: str) -> dg.SensorResult:
    """What Dagster is asked for: keys, runs and checks of one look, together or not at all."""
    watching = f"{len(outcome.state.seen)} file(s) watched, {len(outcome.state.taken)} wait for their runs."
    keys = [record.video_id for record in outcome.registered]
    return dg.SensorResult(
        run_requests=[run_request(record, default_profile) for record in outcome.registered],
        skip_reason=None if outcome.registered else watching,
        cursor=outcome.state.model_dump_json(),
        dynamic_partitions_requests=[video_ids.build_add_request(keys)] if keys else [],
        # A check shows its newest evaluation: what was refused comes last, so that it is seen.
        asset_events=[
            *(_accepted(record) for record in outcome.registered),
            *(_refused(refused) for refused in outcome.refused),
        ],
    )


def run_request(record: UploadRecord, default_profile: str) -> dg.RunRequest:
    """The run of a registered upload; the same upload asks for the same run."""
    return dg.RunRequest(
        partition_key=record.video_id,
        run_key=record.run_key,
        tags={PRIORITY_TAG: str(record.priority), PROFILE_TAG: record.profile or default_profile},
    )


def _accepted(record: UploadRecord) -> dg.AssetCheckEvaluation:
    return dg.AssetCheckEvaluation(
        asset_key=UPLOADS_KEY,
        check_name=ACCEPTED_CHECK,
        passed=True,
        metadata={"video_id": record.video_id, "files": len(record.parts), "size_bytes": record.size_bytes},
    )


def _refused(refused: RefusedFiles) -> dg.AssetCheckEvaluation:
    return dg.AssetCheckEvaluation(
        asset_key=UPLOADS_KEY,
        check_name=ACCEPTED_CHECK,
        passed=False,
        description=refused.reason,
        metadata={"upload": refused.upload_id, "files": refused.files, "reason": refused.reason},
    )
