"""Asks again for videos whose run failed on what has passed since: a server that was gone, a disk that was full.

Belongs here: which failed runs get another, and when. Does not belong here: retries inside a stage (``stage.runner``),
runs whose process died (Dagster's run retries), what a failure is (``stage.failures``).

A run that was requested once is never requested again under the same key, so without this a failed upload would wait
for somebody to notice. Permanent failures are never asked for again, and every video only a few times.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from itertools import islice

import dagster as dg

from jobs.process_video import PROCESS_VIDEO
from neurovision_assets.artifacts import ArtifactReader
from neurovision_assets.runs import PARTITION_TAG, videos_of
from neurovision_assets.stage.failures import failure_of_run
from neurovision_assets.surgery.pipeline import REPORT, SURGERY
from resources.errors import NeuroVisionError
from resources.inference.client import InferenceResource
from resources.object_store import ObjectStore

INTERVAL_S = 60
LOOKS_BACK = dt.timedelta(days=1)
FIRST_PAUSE_S = 60.0
"""Each further pause is twice as long; Dagster's own retries of dead runs have begun long before the first ends."""
MOST_TRIES = 6
"""The last begins an hour after the first failure."""
RUNS_SEEN = 200
REQUESTS_PER_TICK = 10
TRY_TAG = "neurovision/recovery"
_REPORT_KEY = dg.AssetKey.from_user_string(REPORT.asset)
NEVER_AGAIN = frozenset({"permanent", "unexpected"})
"""Kinds of failure that the same input would meet again. A configuration may be corrected meanwhile."""


@dg.sensor(
    job_name=PROCESS_VIDEO,
    minimum_interval_seconds=INTERVAL_S,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Asks again for videos whose run failed on what has passed since, a few times with growing pauses.",
)
def recovery_sensor(
    context: dg.SensorEvaluationContext, object_store: ObjectStore, inference: InferenceResource
) -> dg.SensorResult:
    """One look; nothing is asked for while store or engine do not answer."""
    try:
        object_store.check()
    except NeuroVisionError as error:
        return dg.SensorResult(skip_reason=f"The object store does not answer: {error}")
    if not inference.is_server_ready():
        return dg.SensorResult(skip_reason="The inference engine does not answer.")
    now_s = dt.datetime.now(dt.UTC).timestamp()
    wanted = list(islice(requests(context.instance, object_store, now_s), REQUESTS_PER_TICK))
    return dg.SensorResult(run_requests=wanted, skip_reason=None if wanted else "No video waits for another try.")


def requests(instance: dg.DagsterInstance, store: ObjectStore, now_s: float) -> Iterator[dg.RunRequest]:
    """Runs to ask for, oldest failure first: of the main job's videos, and of those of a backfill up to the report.

    Args:
        instance: with the failed runs.
        store: with the reasons.
        now_s: seconds since 1970.
    """
    since = dt.datetime.fromtimestamp(now_s, dt.UTC) - LOOKS_BACK
    failed = dg.RunsFilter(statuses=[dg.DagsterRunStatus.FAILURE], updated_after=since)
    known = set(instance.get_dynamic_partitions("video_id"))
    for record in reversed(instance.get_run_records(failed, limit=RUNS_SEEN)):
        run, tries = record.dagster_run, int(record.dagster_run.tags.get(TRY_TAG, "0"))
        pause_s = FIRST_PAUSE_S * 2**tries
        if tries >= MOST_TRIES or record.end_time is None or now_s - record.end_time < pause_s:
            continue
        if run.job_name != PROCESS_VIDEO and _REPORT_KEY not in (run.asset_selection or ()):
            continue
        for video_id in videos_of(run, instance):
            if video_id in known and _may_succeed(store, video_id, run.run_id) and _is_newest(instance, run, video_id):
                yield dg.RunRequest(
                    partition_key=video_id,
                    run_key=f"recovery:{video_id}:{run.run_id}",
                    tags={TRY_TAG: str(tries + 1)},
                )


def _may_succeed(store: ObjectStore, video_id: str, run_id: str) -> bool:
    """A failure without a record is one that the storage refused to note, or a run that was cut off."""
    failure = failure_of_run(store, [stage.asset for stage in SURGERY.stages], video_id, run_id)
    if failure is not None:
        return failure.kind not in NEVER_AGAIN
    return ArtifactReader(store).record(REPORT.asset, video_id) is None


def _is_newest(instance: dg.DagsterInstance, run: dg.DagsterRun, video_id: str) -> bool:
    """Whether nobody has asked for the video since: a person, a request, Dagster's own retries."""
    newest = instance.get_runs(dg.RunsFilter(tags={PARTITION_TAG: video_id}), limit=1)
    return not newest or newest[0].run_id == run.run_id or _began(instance, newest[0]) < _began(instance, run)


def _began(instance: dg.DagsterInstance, run: dg.DagsterRun) -> float:
    record = instance.get_run_record_by_id(run.run_id)
    return record.create_timestamp.timestamp() if record is not None else 0.0
