"""Why a stage has no result for a video: a small record beside where the result would lie.

Belongs here: writing, reading and clearing the record. Does not belong here: deciding what a failure stops
(``runner``). A later stage of the same run reads it, in whatever process it runs; people read the newest one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime

from pydantic import BaseModel, ConfigDict, ValidationError
from sqlalchemy.exc import DBAPIError

from resources.errors import ConfigurationError, NeuroVisionError, PermanentFailure, TransientFailure
from resources.object_store import ObjectStore

KIND_OF_FAILURE: dict[type[Exception], str] = {
    PermanentFailure: "permanent",
    TransientFailure: "transient",
    ConfigurationError: "configuration",
}
UNEXPECTED = "unexpected"


class FailureRecord(BaseModel):
    """One failure of one stage for one video.

    Attributes:
        asset: asset key of the stage.
        video_id: the partition.
        run_id: Dagster's run.
        kind: permanent, transient, configuration or unexpected (a fault of ours).
        reason: what is wrong, with which object, what to do.
        cause: asset key of the stage that failed first; the same as ``asset`` unless an input was to blame.
        failed_at: UTC.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    asset: str
    video_id: str
    run_id: str
    kind: str
    reason: str
    cause: str
    failed_at: datetime


def failure_key(asset: str, video_id: str) -> str:
    """Object key of the record."""
    return f"{asset}/{video_id}.failure.json"


def failure_of(error: Exception, asset: str, video_id: str, run_id: str) -> FailureRecord:
    """The record of an exception."""
    error = _database_failure(error, video_id) or error
    kind = next((name for known, name in KIND_OF_FAILURE.items() if isinstance(error, known)), UNEXPECTED)
    if isinstance(error, NeuroVisionError):
        reason = str(error)
    else:
        reason = (
            f"{video_id}: A fault in stage {asset} ({type(error).__name__}: {error}). Report it with the run's log."
        )
    return FailureRecord(
        asset=asset,
        video_id=video_id,
        run_id=run_id,
        kind=kind,
        reason=reason,
        cause=asset,
        failed_at=datetime.now(UTC),
    )


def _database_failure(error: Exception, video_id: str) -> TransientFailure | None:
    """What Dagster's own storage raises while its database is gone, which is no fault of a stage; None for all else."""
    told = next((cause for cause in _causes(error) if isinstance(cause, DBAPIError)), None)
    if told is None or isinstance(error, NeuroVisionError):
        return None
    reason = str(told.orig or type(told).__name__).strip().partition("\n")[0]
    remedy = "See that it runs and lets us in; the video is asked for again by itself."
    return TransientFailure(f"Dagster's database cannot be used ({reason}).", subject=video_id, remedy=remedy)


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def write_failure(store: ObjectStore, record: FailureRecord) -> None:
    """Keep a record; a storage that refuses even this small write does not hide the failure itself."""
    store.write_bytes(failure_key(record.asset, record.video_id), record.model_dump_json(indent=1).encode())


def read_failure(store: ObjectStore, asset: str, video_id: str) -> FailureRecord | None:
    """The newest failure, None where the stage's last try succeeded or there was none."""
    data = store.find_bytes(failure_key(asset, video_id))
    try:
        return None if data is None else FailureRecord.model_validate_json(data)
    except ValidationError:
        return None


def failure_of_run(store: ObjectStore, assets: Iterable[str], video_id: str, run_id: str) -> FailureRecord | None:
    """The failure of the stage that failed first in a run, None where none did.

    Args:
        store: where failures are kept.
        assets: asset keys, upstream first.
        video_id: the partition.
        run_id: Dagster's run.
    """
    failures = (read_failure(store, asset, video_id) for asset in assets)
    return next((failure for failure in failures if failure is not None and failure.run_id == run_id), None)


def clear_failure(store: ObjectStore, asset: str, video_id: str) -> None:
    """Forget a failure after a success."""
    store.delete(failure_key(asset, video_id))
