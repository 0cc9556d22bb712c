"""One step of a run: one stage or several side by side, for every video of the step.

Belongs here: which stages run, what they read together, and what one video's failure stops: its own way, nobody
else's. Does not belong here: a single stage's result (``runner``). The rules:

* videos go one after another; the stages of a video go side by side where none needs another's result;
* a video whose stage failed goes no further in this run where the stage is required, and on without it where optional;
* a step ends with an error at once when no video is left to go on, else the last step of the run names the failed ones.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import Future, wait
from functools import partial

import dagster as dg

from neurovision_assets.artifacts import ArtifactRecord
from neurovision_assets.stage import aside, events
from neurovision_assets.stage.failures import FailureRecord
from neurovision_assets.stage.recipe import Stage
from neurovision_assets.stage.runner import Ended, Event, StageRun
from neurovision_assets.stage.sharing import Sharing
from neurovision_assets.stage.turns import ProgressInTurns

RUN_TIME_S = 7200.0
"""A run has two hours (NV-117), and more where its videos are long."""
RUN_TIME_TAG = "dagster/max_runtime"
CANCEL_WAIT_S = 30.0
"""A stage of a cancelled run ends at its next picture or network call; one that does not come to it is left behind."""


class StepRun:
    """The stages of one step in one Dagster run.

    Args:
        context: of the step; it says which assets and which partitions were selected.
        stages: of the step, upstream first.
    """

    def __init__(self, context: dg.AssetExecutionContext, stages: Sequence[Stage]) -> None:
        self._context = context
        self._stages = [stage for stage in stages if events.asset_key(stage.spec) in context.selected_asset_keys]
        self._board = context.resources.progress

    def execute(self) -> Iterator[Event]:
        """Every video of the step.

        Raises:
            dg.Failure: no video can go on, or this is the run's last step and some video failed on the way.
        """
        failed: dict[str, FailureRecord] = {}
        allowed_s = 0.0
        video_ids = list(self._context.partition_keys)
        for video_id in video_ids:
            for ended in self._video(video_id):
                yield from ended.events
                if ended.failure is not None:
                    failed.setdefault(video_id, ended.failure)
                allowed_s += run_time_s(self._stages, ended.record)
        allow_time(self._context, allowed_s)
        if (figures := self._context.resources.inference.client_figures()) is not None:
            self._context.log.info(f"Triton, since this run first asked it: {figures}.")
        if failed and (len(failed) == len(video_ids) or self._is_last_step()):
            raise dg.Failure(
                description="\n".join(failure.reason for failure in failed.values()),
                metadata={video_id: failure.reason for video_id, failure in failed.items()},
                allow_retries=False,
            )

    def _video(self, video_id: str) -> Iterator[Ended]:
        if len(self._stages) == 1:
            yield StageRun(self._context, self._stages[0], self._board, Sharing()).of_video(video_id)
            return
        names = [stage.spec.name for stage in self._stages]
        sharing = Sharing(stage.spec.name for stage in self._stages if not set(stage.spec.inputs) & set(names))
        board = ProgressInTurns(self._board, names)
        futures: dict[str, Future[Ended]] = {}
        try:
            for stage in self._stages:
                upstream = [futures[name] for name in _reads(stage) if name in futures]
                run = StageRun(self._context, stage, board, sharing)
                work = partial(_side_by_side, run, video_id, upstream, sharing, board)
                futures[stage.spec.name] = aside.begin(f"stage-{stage.spec.name}", work)
            for name, future in futures.items():
                yield self._ended(name, video_id, future)
        except BaseException:
            sharing.stop()
            wait(futures.values(), CANCEL_WAIT_S)
            raise

    def _ended(self, name: str, video_id: str, future: Future[Ended]) -> Ended:
        """How the stage ended.

        Raises:
            dg.Failure: it did not end in the time that the whole run has.
        """
        run = self._context.instance.get_run_by_id(self._context.run.run_id)
        limit_s = float(run.tags.get(RUN_TIME_TAG, RUN_TIME_S)) if run else RUN_TIME_S
        if wait([future], limit_s).not_done:
            raise dg.Failure(
                description=f"{video_id}: The stage '{name}' did not end within {limit_s:.0f} s. "
                "Start it again; if it hangs again, report it with the run's log.",
                allow_retries=False,
            )
        return future.result()

    def _is_last_step(self) -> bool:
        """Whether no step behind this one in this run could still tell of a failure."""
        selected = self._context.job_def.asset_layer.executable_asset_keys
        pipeline = self._stages[-1].pipeline
        position = pipeline.stages.index(self._stages[-1].spec)
        return not any(events.asset_key(later) in selected for later in pipeline.stages[position + 1 :])


def run_time_s(stages: Sequence[Stage], record: ArtifactRecord | None) -> float:
    """What a result says about how long a run may take for its video; 0 where it says nothing."""
    if record is None:
        return 0.0
    [spec] = [stage.spec for stage in stages if stage.spec.asset == record.provenance.asset]
    return 0.0 if spec.run_time_s is None else spec.run_time_s(record.facts)


def allow_time(context: dg.AssetExecutionContext, seconds: float) -> None:
    """Give a run of long videos more than the usual time; Dagster's run monitoring reads the tag at every look."""
    if seconds > RUN_TIME_S:
        context.instance.add_run_tags(context.run.run_id, {RUN_TIME_TAG: str(round(seconds))})


def _side_by_side(
    run: StageRun, video_id: str, upstream: list[Future[Ended]], sharing: Sharing, board: ProgressInTurns
) -> Ended:
    """A stage in its thread, behind those of the same step whose results it reads."""
    wait(upstream)
    try:
        sharing.check()
        return run.of_video(video_id)
    finally:
        sharing.leave(run.spec.name)
        board.ended(run.spec.name)


def _reads(stage: Stage) -> tuple[str, ...]:
    return (*stage.spec.inputs, *stage.spec.optional_inputs)
