"""Telling the sender how a video ended: one POST to the upload's ``callback_url`` (NV-132).

Belongs here: which runs count, what is said, delivery. Does not belong here: anything that changes a result. Where no
URL was given, nobody is told. Logs name the video, never the URL: it may carry somebody's token.
"""

import dagster as dg
from tenacity import Retrying, retry_if_exception_type, stop_after_attempt, wait_exponential

from jobs.process_video import PROCESS_VIDEO
from neurovision_assets.reprocessing.requests import REQUEST_TAG
from neurovision_assets.runs import videos_of
from neurovision_assets.stage.runner import CALLER_RUN_ID_TAG
from neurovision_assets.uploads.record import UploadRecord, find_record
from resources.errors import NeuroVisionError, PermanentFailure, TransientFailure
from resources.object_store import ObjectStore
from resources.progress import ERROR_STAGE, ProgressBoard

REPORT_KEY = dg.AssetKey(["surgery", "report"])
# Together under the 60 s that a sensor's tick may take.
ATTEMPTS = 4
TIMEOUT_S = 5.0
LONGEST_PAUSE_S = 8.0
ERROR_TEXT_MAX = 1000
RETRIED_STATUSES = frozenset({408, 425, 429, *range(500, 600)})


def message_of(record: UploadRecord, error: str | None) -> dict[str, str | None]:
    """What is posted: exactly the fields of NV-132, and ``error`` after a failure."""
    if error is None:
        return {"status": "completed", "operation_id": record.operation_id}
    return {"status": "failed", "operation_id": record.operation_id, "error": error[:ERROR_TEXT_MAX]}


def post(url: str, message: dict[str, str | None], video_id: str) -> None:
    """Deliver a message; redirects are not followed, because they could lead anywhere.

    Raises:
        PermanentFailure: the receiver refuses it, or the URL is not http(s).
        TransientFailure: nobody took it in several attempts.
    """
    if not url.startswith(("http://", "https://")):
        raise PermanentFailure("The callback's URL is not http(s).", subject=video_id, remedy="Correct the sidecar.")
    for attempt in Retrying(
        retry=retry_if_exception_type(TransientFailure),
        stop=stop_after_attempt(ATTEMPTS),
        wait=wait_exponential(max=LONGEST_PAUSE_S),
        reraise=True,
    ):
        with attempt:
            _post_once(url, message, video_id)


def _post_once(url: str, message: dict[str, str | None], video_id: str) -> None:
    import requests

    remedy = "Ask the receiver's owner; the result itself is not affected."
    try:
        answer = requests.post(url, json=message, timeout=TIMEOUT_S, allow_redirects=False)
    except requests.RequestException as error:
        problem = f"The callback was not delivered ({type(error).__name__})."
        raise TransientFailure(problem, subject=video_id, remedy=remedy) from None  # its text quotes the URL
    if not answer.ok or answer.is_redirect:
        kind = TransientFailure if answer.status_code in RETRIED_STATUSES else PermanentFailure
        raise kind(f"The callback was answered with {answer.status_code}.", subject=video_id, remedy=remedy)


def makes_reports(run: dg.DagsterRun) -> bool:
    """Whether a run's end is the end of a video: the main job, or a backfill that selects the report.

    What is computed again on a request has its requester, who is told otherwise; the sender was told long ago.
    """
    if REQUEST_TAG in run.tags:
        return False
    return run.job_name == PROCESS_VIDEO or REPORT_KEY in (run.asset_selection or ())


def error_of(run: dg.DagsterRun, video_id: str, board: ProgressBoard) -> str | None:
    """Why a video failed in a run, None when it did not: of several in one run, some may have."""
    last = board.read(video_id)
    if last is not None and last.run_id == run.tags.get(CALLER_RUN_ID_TAG, run.run_id):
        if last.stage == ERROR_STAGE:
            return last.message
        if run.is_success or last.percent == 100:
            return None
    return None if run.is_success else f"{video_id}: The run ended before the video was done. Start it again."


def tell(context: dg.RunStatusSensorContext, store: ObjectStore, board: ProgressBoard) -> None:
    """Tell the senders of all videos of a finished run.

    Raises:
        TransientFailure: some could not be told; all were tried.
    """
    run = context.dagster_run
    if not makes_reports(run):
        return
    failures = []
    for video_id in videos_of(run, context.instance):
        try:
            record = find_record(store, video_id)
            if record is not None and record.callback_url:
                post(record.callback_url, message_of(record, error_of(run, video_id, board)), video_id)
                context.log.info(f"{video_id}: callback delivered.")
        except NeuroVisionError as error:
            failures.append(str(error))
    if failures:
        raise TransientFailure("\n".join(failures), subject="callbacks", remedy="The results are not affected.")


def _sensor(status: dg.DagsterRunStatus) -> dg.SensorDefinition:
    @dg.run_status_sensor(
        run_status=status,
        name=f"callback_after_{status.value.lower()}",
        default_status=dg.DefaultSensorStatus.RUNNING,
        description=f"Tells the sender of an upload that its run ended as {status.value.lower()} (NV-132).",
    )
    def callback(context: dg.RunStatusSensorContext, object_store: ObjectStore, progress: ProgressBoard) -> None:
        tell(context, object_store, progress)

    return callback


callback_sensors = [
    _sensor(status)
    for status in (dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED)
]
