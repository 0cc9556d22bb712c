"""The sensor that turns requests to compute again, and approved plans, into runs, and follows them to their outcome.

Belongs here: finding and asking for Dagster's runs. Does not belong here: which runs are wanted and what has ended
(``neurovision_assets.reprocessing.rounds``).
"""

import dagster as dg

from jobs.process_video import PROCESS_VIDEO
from neurovision_assets.partitions import video_ids
from neurovision_assets.profiles import ProfileCatalog
from neurovision_assets.reprocessing.requests import REQUEST_TAG
from neurovision_assets.reprocessing.rounds import Round, RunSeen, Wanted
from neurovision_assets.runs import PARTITION_TAG
from neurovision_assets.stage.pipeline import Pipeline
from neurovision_assets.stage.runner import FORCE_TAG
from neurovision_assets.surgery.pipeline import SURGERY
from resources.database.engine import Database
from resources.inference.client import InferenceResource
from resources.object_store import ObjectStore
from resources.settings import load_settings

REQUESTER_TAG = "neurovision/requester"
REASON_TAG = "neurovision/reason"
PLAN_TAG = "neurovision/plan_id"
PRIORITY_TAG = "dagster/priority"
WILL_RETRY_TAG = "dagster/will_retry"


def requests_sensor(pipeline: Pipeline, job_name: str) -> dg.SensorDefinition:
    """The sensor for one domain.

    Args:
        pipeline: the domain.
        job_name: the job over all of its stages; a run selects some of them.
    """

    @dg.sensor(
        name="review_requests_sensor",
        job_name=job_name,
        minimum_interval_seconds=load_settings().sensor_interval_s,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Gives requests to compute again and approved plans their runs, and every request its outcome.",
    )
    def sensor(
        context: dg.SensorEvaluationContext,
        database: Database,
        object_store: ObjectStore,
        profiles: ProfileCatalog,
        inference: InferenceResource,
    ) -> dg.SensorResult:
        """One round. Where database or store cannot be used the tick fails, and the next one takes the work up."""
        instance = context.instance
        wanted = Round(
            pipeline=pipeline,
            database=database,
            store=object_store,
            catalog=profiles,
            inference=inference,
            known=set(instance.get_dynamic_partitions(str(video_ids.name))),
            find_run=lambda request_id, video_id: newest_run(instance, request_id, video_id),
            plan_runs_at_once=load_settings().plan_runs_at_once,
        ).execute()
        return dg.SensorResult(
            run_requests=[run_request(one, pipeline) for one in wanted],
            skip_reason=None if wanted else "No run is wanted.",
        )

    return sensor


def run_request(wanted: Wanted, pipeline: Pipeline) -> dg.RunRequest:
    """A run that says on whose word it runs."""
    request = wanted.request
    return dg.RunRequest(
        run_key=wanted.run_key,
        partition_key=wanted.video_id,
        asset_selection=[dg.AssetKey([pipeline.domain, stage]) for stage in wanted.launch.stages],
        tags={
            REQUEST_TAG: request.id,
            REQUESTER_TAG: request.requester,
            REASON_TAG: request.reason,
            PRIORITY_TAG: str(request.priority),
            **({PLAN_TAG: request.plan_id} if request.plan_id else {}),
            **({FORCE_TAG: wanted.launch.force} if wanted.launch.force else {}),
        },
    )


def newest_run(instance: dg.DagsterInstance, request_id: str, video_id: str) -> RunSeen | None:
    """The run of a request for a video; of a crashed one and its retries the last."""
    runs = instance.get_runs(dg.RunsFilter(tags={REQUEST_TAG: request_id, PARTITION_TAG: video_id}), limit=1)
    if not runs:
        return None
    [run] = runs
    if not run.is_finished or run.tags.get(WILL_RETRY_TAG) == "true":
        return RunSeen(run.run_id, has_ended=False)
    if run.is_success:
        return RunSeen(run.run_id, has_ended=True)
    said = "was cancelled" if run.status is dg.DagsterRunStatus.CANCELED else "failed outside of the stages"
    return RunSeen(run.run_id, has_ended=True, problem=f"Run {run.run_id} {said}.")


review_requests_sensor = requests_sensor(SURGERY, PROCESS_VIDEO)
