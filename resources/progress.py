"""How far a video is, readable while it runs (NV-123…134).

Belongs here: the stages' shares of the whole and the record that others poll. Does not belong here: drawing bars
(``commands``). The record is one small JSON object a video, written atomically, so any process may read it.
"""

import logging
import time
from functools import cached_property
from typing import Protocol

import dagster as dg
from pydantic import BaseModel, ConfigDict, ValidationError

from resources.errors import NeuroVisionError
from resources.object_store import ObjectStore

LOG = logging.getLogger(__name__)

PROGRESS = "progress"
"""Folder of the records in the store; every video that a run has begun has one."""
WRITE_INTERVAL_S = 0.25
REFUSED_PAUSE_S = 60.0
ERROR_PERCENT = -1
ERROR_STAGE = "error"


class ProgressRecord(BaseModel):
    """One look at a running video.

    Attributes:
        stage: name of the stage, or ``error``.
        percent: of the whole operation, 0–100; −1 after an error.
        stage_fraction: of this stage, 0–1.
        message: for people.
        run_id: the run that works on it.
        updated_s: seconds since 1970.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    stage: str
    percent: float
    stage_fraction: float
    message: str
    run_id: str
    updated_s: float


class ProgressSink(Protocol):
    """Whoever takes progress records."""

    def update(self, video_id: str, record: ProgressRecord) -> None:
        """Take a record."""


class ProgressBoard(dg.ConfigurableResource):  # type: ignore[type-arg]
    """Writes and reads progress records; writes are thinned to one each quarter of a second."""

    object_store: dg.ResourceDependency[ObjectStore]

    def update(self, video_id: str, record: ProgressRecord) -> None:
        """Publish a record. Progress is a courtesy: a storage that refuses it stops no work, it is only logged.

        Each refusal took half a minute of tries, so what follows is left out for a while, but for a stage's end.
        """
        is_end = record.stage == ERROR_STAGE or record.stage_fraction >= 1
        if not is_end and time.monotonic() < self._pause["until_s"]:
            return
        try:
            self.object_store.write_bytes(progress_key(video_id), record.model_dump_json().encode())
        except NeuroVisionError as error:
            LOG.warning("%s", error)
            self._pause["until_s"] = time.monotonic() + REFUSED_PAUSE_S

    @cached_property
    def _pause(self) -> dict[str, float]:
        return {"until_s": 0.0}

    def read(self, video_id: str) -> ProgressRecord | None:
        """The newest record; None before the first, and for one that another version wrote."""
        data = self.object_store.find_bytes(progress_key(video_id))
        try:
            return None if data is None else ProgressRecord.model_validate_json(data)
        except ValidationError:
            return None


class StageProgress:
    """What a stage calls while it works on one video.

    Args:
        board: where records go.
        video_id: the video.
        run_id: the run.
        stage: the stage's name.
        span_percent: first and last percent of the whole that belong to this stage (NV-125…131).
    """

    def __init__(
        self, board: ProgressSink, video_id: str, run_id: str, stage: str, span_percent: tuple[float, float]
    ) -> None:
        self._board = board
        self._video_id = video_id
        self._run_id = run_id
        self._stage = stage
        self._span_percent = span_percent
        self._written_s = 0.0

    def __call__(self, fraction: float, message: str = "") -> None:
        """Say how much of this stage is done, 0–1."""
        now = time.monotonic()
        if 0 < fraction < 1 and now - self._written_s < WRITE_INTERVAL_S:
            return
        self._written_s = now
        start, end = self._span_percent
        done = min(max(fraction, 0.0), 1.0)
        self._publish(self._stage, start + (end - start) * done, done, message)

    def failed(self, message: str) -> None:
        """The stage ended with an error (NV-134)."""
        self._publish(ERROR_STAGE, ERROR_PERCENT, 0.0, message)

    def _publish(self, stage: str, percent: float, fraction: float, message: str) -> None:
        record = ProgressRecord(
            stage=stage,
            percent=percent,
            stage_fraction=fraction,
            message=message,
            run_id=self._run_id,
            updated_s=time.time(),
        )
        self._board.update(self._video_id, record)


def progress_key(video_id: str) -> str:
    """Object key of a video's progress record."""
    return f"{PROGRESS}/{video_id}.json"
