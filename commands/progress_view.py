"""Progress of one video on a terminal: a line a finished stage, a bar for the one that takes long.

Belongs here: drawing what the progress board and the artifact records say. Does not belong here: making progress. On a
pipe the bar is left out and the lines stay.
"""

from __future__ import annotations

import threading
import time
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

from neurovision_assets.artifacts import ArtifactReader, ArtifactRecord
from neurovision_assets.profiles import ResolvedProfile
from neurovision_assets.stage.failures import read_failure
from neurovision_assets.stage.pipeline import Pipeline
from neurovision_assets.stage.spec import StageSpec
from resources.object_store import ObjectStore
from resources.progress import ProgressBoard, ProgressRecord

POLL_S = 0.1
NAME_WIDTH = 12


class ProgressView:
    """Watches a video in a thread while the block runs.

    Args:
        console: where to draw.
        pipeline: the stages in order.
        profile: which of them run, and which may fail.
        store: where progress and records lie.
        video_id: the video.
    """

    def __init__(
        self, console: Console, pipeline: Pipeline, profile: ResolvedProfile, store: ObjectStore, video_id: str
    ) -> None:
        self._console = console
        self._stages = tuple(pipeline.enabled(profile))
        self._profile = profile.profile
        self._store = store
        self._reader = ArtifactReader(store)
        self._board = ProgressBoard(object_store=store)
        self._video_id = video_id
        self._since_s = time.time()
        self._told: set[str] = set()
        self._ended = threading.Event()
        self._bar = Progress(
            TextColumn(f"  {{task.description:<{NAME_WIDTH}}}"),
            BarColumn(bar_width=30),
            TaskProgressColumn(),
            TimeElapsedColumn(),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self._thread = threading.Thread(target=self._watch, name="progress", daemon=True)

    def __enter__(self) -> Self:
        self._bar.start()
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._thread.join()
        self._bar.stop()
        self._tell_finished()

    def _watch(self) -> None:
        task = self._bar.add_task("starting", total=1.0)
        while not self._ended.wait(POLL_S):
            record = self._board.read(self._video_id)
            if record is None or record.updated_s < self._since_s:
                continue
            self._tell_finished(before=record)
            if record.stage != self._bar.tasks[0].description:
                self._bar.reset(task, description=record.stage, total=1.0)
            self._bar.update(task, completed=record.stage_fraction)

    def _tell_finished(self, before: ProgressRecord | None = None) -> None:
        """A line for every stage that this run came past and that was not told yet.

        Behind a required stage that failed, older results may lie; the run did not come to them.
        """
        for stage in self._stages:
            if before is not None and stage.name == before.stage:
                return
            if stage.name in self._told:
                continue
            failure = read_failure(self._store, stage.asset, self._video_id)
            if failure is not None and self._profile.is_required(stage.name):
                return
            record = self._reader.record(stage.asset, self._video_id)
            line = self._left_out(stage, failure.reason) if failure else self._line(stage, record) if record else None
            if line is not None:
                self._told.add(stage.name)
                self._console.print(line, highlight=False, markup=False, soft_wrap=True)

    def _left_out(self, stage: StageSpec, reason: str) -> str:
        return f"  {stage.name:<{NAME_WIDTH}} {'left out':>10}   {reason}"

    def _line(self, stage: StageSpec, record: ArtifactRecord) -> str:
        counts = ", ".join(f"{name} {value}" for name, value in record.counts.items())
        reused = record.provenance.started.timestamp() < self._since_s
        spent = "up to date" if reused else f"{record.provenance.duration_ms / 1000:.1f} s"
        return f"  {stage.name:<{NAME_WIDTH}} {spent:>10}   {counts}"
