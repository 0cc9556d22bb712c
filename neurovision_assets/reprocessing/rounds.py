"""One round over the open requests: what has ended, which runs are wanted next, which requests are over.

Belongs here: moving rows on by what is seen of runs. Does not belong here: Dagster (``sensors.review_requests`` finds
runs and asks for new ones), what a request comes to for a video (``decide``).

A round may be killed at any point and may be repeated. A run is asked for until it is seen, always under the same key,
and Dagster starts one run a key: so none is lost and none starts twice.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from functools import cached_property

from neurovision_assets.artifacts import ArtifactReader
from neurovision_assets.profiles import ProfileCatalog
from neurovision_assets.reprocessing import plans
from neurovision_assets.reprocessing.decide import Launch, NoRun, persons_request, planned
from neurovision_assets.reprocessing.outcomes import (
    counts_of,
    end_where_all_ended,
    mark_launched,
    refuse_waiting,
    set_item,
)
from neurovision_assets.reprocessing.present import standards_now
from neurovision_assets.reprocessing.requests import Item, Request, State, items_of, open_requests
from neurovision_assets.stage.failures import failure_of_run
from neurovision_assets.stage.judgement import Stored, judge
from neurovision_assets.stage.pipeline import Pipeline
from neurovision_assets.stage.resolve import questions_of, upload_version
from neurovision_assets.staleness import basis_of
from neurovision_assets.uploads.record import find_record
from resources.database.engine import Database
from resources.errors import ConfigurationError, PermanentFailure
from resources.inference.client import InferenceResource
from resources.object_store import ObjectStore

RUNS_OF_PERSONS_AT_ONCE = 10
"""Asked for and not ended, over all persons' requests: a run asked for costs a tick up to a second of its sixty."""

DECISIONS_A_ROUND = 200
"""Most videos looked at for a request in a round, also where none of them needs a run."""


@dataclass(frozen=True)
class RunSeen:
    """A run of an item.

    Attributes:
        run_id: Dagster's.
        has_ended: and will not be started again by itself.
        problem: why it ended badly, None where it ended well or goes on.
    """

    run_id: str
    has_ended: bool
    problem: str | None = None


@dataclass(frozen=True)
class Wanted:
    """A run to ask for.

    Attributes:
        request: on whose word.
        video_id: the partition.
        launch: stages and force.
    """

    request: Request
    video_id: str
    launch: Launch

    @property
    def run_key(self) -> str:
        """One a request and video, for ever."""
        return f"{self.request.id}:{self.video_id}"


@dataclass
class Round:
    """One look at all open requests.

    Attributes:
        pipeline: the domain.
        database: where requests are.
        store: where results are.
        catalog: profiles.
        inference: models; none pinned yet, so that what is served now is seen.
        known: every video_id there is.
        find_run: the newest run of (request id, video_id), None where there is none.
        plan_runs_at_once: limit of runs for all plans together.
    """

    pipeline: Pipeline
    database: Database
    store: ObjectStore
    catalog: ProfileCatalog
    inference: InferenceResource
    known: Collection[str]
    find_run: Callable[[str, str], RunSeen | None]
    plan_runs_at_once: int

    def execute(self) -> list[Wanted]:
        """Note what ended, ask for what is next, give outcomes.

        Raises:
            TransientFailure: database or store could not be used; nothing is lost.
        """
        requests = open_requests(self.database)
        lost = {request.id: self._look_at_runs(request) for request in requests}
        wanted = []
        free = {False: RUNS_OF_PERSONS_AT_ONCE, True: self.plan_runs_at_once}
        for request in requests:
            free[request.plan_id is not None] -= counts_of(self.database, request.id)[State.LAUNCHED]
        for request in requests:
            is_plans = request.plan_id is not None
            found, used = self._launch(request, lost[request.id], max(free[is_plans], 0))
            free[is_plans] -= used
            wanted += found
            self._end(request)
        return wanted

    def _look_at_runs(self, request: Request) -> list[Item]:
        """Give outcomes to items whose run has ended; return those whose run was asked for and never came to be."""
        lost = []
        for item in items_of(self.database, request.id, State.LAUNCHED):
            run = self.find_run(request.id, item.video_id)
            if run is None:
                lost.append(item)
            elif not run.has_ended:
                set_item(
                    self.database, request.id, item.video_id, State.LAUNCHED, run_id=run.run_id, why=item.explanation
                )
            else:
                state, why = self._outcome(request, item, run)
                set_item(self.database, request.id, item.video_id, state, run_id=run.run_id, why=why)
        return lost

    def _outcome(self, request: Request, item: Item, run: RunSeen) -> tuple[State, str | None]:
        """Done; or failed, also where the run succeeded without a stage that was asked for by name."""
        failure = failure_of_run(self.store, self._assets, item.video_id, run.run_id)
        if run.problem is not None:
            return State.FAILED, failure.reason if failure else f"{item.video_id}: {run.problem}"
        if failure is not None and failure.asset.rpartition("/")[2] in request.stages:
            return State.FAILED, failure.reason
        return State.DONE, f"{item.explanation}; without: {failure.reason}" if failure else item.explanation

    def _launch(self, request: Request, lost: list[Item], free: int) -> tuple[list[Wanted], int]:
        """Runs to ask for, and how many of them are new."""
        waiting = items_of(self.database, request.id, State.WAITING, limit=DECISIONS_A_ROUND) if free else []
        if waiting and request.plan_id is not None and not self._still_fits(request.plan_id):
            self._supersede(request.id, request.plan_id)
            waiting = []
        wanted = []
        new = 0
        for item in (*lost, *waiting):
            if new == free and item.state is State.WAITING:
                break
            decision = self._decide(request, item.video_id)
            if isinstance(decision, NoRun):
                state = State.REFUSED if decision.is_refusal else State.NOTHING_TO_DO
                set_item(self.database, request.id, item.video_id, state, why=decision.why)
                continue
            wanted.append(Wanted(request, item.video_id, decision))
            new += item.state is State.WAITING
            self._note_launch(request, item.video_id, decision)
        return wanted, new

    def _supersede(self, request_id: str, plan_id: str) -> None:
        """Stop a plan: what it was approved for is not what would be computed now."""
        refuse_waiting(self.database, request_id, plans.OUTDATED)
        done = counts_of(self.database, request_id)[State.DONE]
        with self.database.writing() as connection:
            why = f"{plans.OUTDATED} {done} videos were done before."
            plans.end_plan(connection, plan_id, plans.PlanState.SUPERSEDED, why)

    def _note_launch(self, request: Request, video_id: str, launch: Launch) -> None:
        set_item(self.database, request.id, video_id, State.LAUNCHED, why=", ".join(launch.stages))
        with self.database.writing() as connection:
            mark_launched(connection, request.id)
            if request.plan_id is not None:
                plans.mark_running(connection, request.plan_id)

    def _decide(self, request: Request, video_id: str) -> Launch | NoRun:
        upload = find_record(self.store, video_id) if video_id in self.known else None
        if upload is None:
            return NoRun(f"{video_id}: There is no such video.", is_refusal=True)
        try:
            profile = self.pipeline.resolve(self.catalog, upload.profile or self.catalog.default)
            questions = questions_of(self.pipeline, profile, self.inference)
        except (ConfigurationError, PermanentFailure) as error:
            return NoRun(f"{video_id}: {error}", is_refusal=True)
        reader = ArtifactReader(self.store)
        records = {q.spec.name: reader.record(q.spec.asset, video_id) for q in questions}
        stored = {name: Stored(r.data_version, basis_of(r.provenance)) for name, r in records.items() if r is not None}
        verdicts = judge(questions, upload_version(upload), stored)
        if request.plan_id is not None:
            pairs = {asset for _, asset, _, _ in plans.pairs_of(self.database, request.plan_id, video_id)}
            return planned(pairs, questions, verdicts)
        return persons_request(
            request.stages,
            only_stale=request.only_stale,
            questions=questions,
            verdicts=verdicts,
            known=[stage.name for stage in self.pipeline.stages],
        )

    def _still_fits(self, plan_id: str) -> bool:
        """Whether what the plan was approved for is what would be computed now."""
        standards = plans.load_plan(self.database, plan_id).standards
        return standards == standards_now(self.pipeline, self.catalog, self.inference, standards)

    def _end(self, request: Request) -> None:
        with self.database.writing() as connection:
            outcome = end_where_all_ended(connection, request.id)
            if outcome is not None and request.plan_id is not None:
                plans.end_with_request(connection, request.id)

    @cached_property
    def _assets(self) -> list[str]:
        return [stage.asset for stage in self.pipeline.stages]
