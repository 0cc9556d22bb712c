"""From the platform's own state to a plan that waits for somebody's approval.

Belongs here: joining index, uploads, models and Dagster's runs; trying the plan on a few videos; which change of models
or code a plan answers. Does not belong here: which pairs are stale (``draft``), the rows (``plans``), who asks
(``asset``, ``commands``).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import dagster as dg

from neurovision_assets.partitions import video_ids
from neurovision_assets.profiles import ProfileCatalog
from neurovision_assets.provenance import config_hash
from neurovision_assets.provenance_index import results_by_video
from neurovision_assets.reprocessing import plans
from neurovision_assets.reprocessing.draft import IN_FLIGHT, Draft, draw_up
from neurovision_assets.reprocessing.present import gather, standards_now
from neurovision_assets.reprocessing.requests import State, items_of, open_requests
from neurovision_assets.reprocessing.sample import Compare, Laboratory
from neurovision_assets.runs import videos_in_flight
from neurovision_assets.stage.pipeline import Pipeline
from resources.database.engine import Database
from resources.inference.client import InferenceResource
from resources.object_store import ObjectStore


def occasion_of(pipeline: Pipeline, inference: InferenceResource) -> str:
    """The models that are served and the code of the stages, one text: a promotion, a rollback or new code changes it.

    A rollback gives an old file a new number, so it is a new occasion. Profiles are left out: who changes his own
    settings asks for a plan himself.
    """
    repository = inference.models
    identities = [repository.describe(name).identity for name in sorted(repository.names())]
    models = [[one.name, one.version, one.digest] for one in identities]
    return config_hash([models, [[spec.asset, spec.code_version, spec.schema_version] for spec in pipeline.stages]])


def approve_now(
    pipeline: Pipeline, database: Database, catalog: ProfileCatalog, inference: InferenceResource, plan_id: str, by: str
) -> str:
    """Let a plan run, where what it was made for is what would be computed now.

    Returns:
        The id of the request that runs it.

    Raises:
        PermanentFailure: it cannot be approved; see ``plans.approve``.
    """
    standards = plans.load_plan(database, plan_id).standards
    return plans.approve(database, plan_id, by, standards_now(pipeline, catalog, inference, standards))


@dataclass(frozen=True)
class Proposal:
    """What asking for a plan came to.

    Attributes:
        plan_id: the plan; None where nothing is stale.
        draft: what is stale; None where the plan was there before, and nothing was looked at.
    """

    plan_id: str | None
    draft: Draft | None


@dataclass(frozen=True)
class Planner:
    """Everything that a plan is made from.

    Attributes:
        pipeline: the domain.
        assets: its definitions.
        compared: how to tell two results of a stage apart, by stage name.
        resources: of the deployment.
        instance: Dagster's.
    """

    pipeline: Pipeline
    assets: Sequence[dg.AssetsDefinition]
    compared: Mapping[str, Compare]
    resources: Mapping[str, Any]
    instance: dg.DagsterInstance

    @property
    def _database(self) -> Database:
        database: Database = self.resources["database"]
        return database

    def draft(self) -> Draft:
        """Every stale pair of every video, those left out that something works on or waits for."""
        store: ObjectStore = self.resources["object_store"]
        profiles: ProfileCatalog = self.resources["profiles"]
        inference: InferenceResource = self.resources["inference"]
        known = self.instance.get_dynamic_partitions(str(video_ids.name))
        in_flight = videos_in_flight(self.instance) | self._awaited()
        present = gather(self.pipeline, self._database, store, profiles, inference, known)
        with self._database.reading() as connection:
            return draw_up(present, results_by_video(connection), in_flight)

    def propose(self, by: str, sample: int, log: Callable[[str], None]) -> Proposal:
        """A plan on a person's word: it takes the place of one that nobody has decided upon.

        Args:
            by: who asks for it.
            sample: how many videos to compute aside and compare.
            log: for what takes long.
        """
        return self._propose(by, sample, log, once=False)

    def answer_change(self, by: str, sample: int, log: Callable[[str], None]) -> Proposal:
        """A plan for the models and the code of now; the one that was made for them, where there is one.

        Whoever asks first makes it: a promotion's command, the platform. Where nothing is stale, a plan for what was
        served before is put aside.

        Args:
            by: who asks for it.
            sample: how many videos to compute aside and compare.
            log: for what takes long.
        """
        occasion = occasion_of(self.pipeline, self.resources["inference"])
        if known := plans.plan_of(self._database, occasion):
            return Proposal(known, None)
        return self._propose(by, sample, log, once=True)

    def _propose(self, by: str, sample: int, log: Callable[[str], None], *, once: bool) -> Proposal:
        occasion = occasion_of(self.pipeline, self.resources["inference"])
        draft = self.draft()
        if not draft.items:
            if IN_FLIGHT not in draft.summary.left_out:
                plans.supersede_proposed(self._database, "Nothing is stale any more.")
            return Proposal(None, draft)
        looked_at = self._look_at(draft, sample, log) if sample else None
        plan_id = plans.propose(self._database, draft, by, looked_at, occasion=occasion, once=once)
        return Proposal(plan_id, draft)

    def _look_at(self, draft: Draft, sample: int, log: Callable[[str], None]) -> dict[str, Any]:
        laboratory = Laboratory(self.pipeline, self.assets, self.compared, self.resources)
        looked_at = {}
        for video_id, stages in laboratory.choose(draft, sample, seed=str(draft.standards)).items():
            log(f"computing aside: {video_id}: {', '.join(stages)}")
            looked_at[video_id] = laboratory.look(video_id, stages)
        return looked_at

    def _awaited(self) -> set[str]:
        """Videos that an open request will give a run; those of a plan that no longer fits will get none."""
        found: set[str] = set()
        for request in open_requests(self._database):
            is_over = request.plan_id is not None and not self._fits(request.plan_id)
            states = [State.LAUNCHED] if is_over else [State.WAITING, State.LAUNCHED]
            found.update(item.video_id for item in items_of(self._database, request.id, *states))
        return found

    def _fits(self, plan_id: str) -> bool:
        standards = plans.load_plan(self._database, plan_id).standards
        profiles, inference = self.resources["profiles"], self.resources["inference"]
        return standards == standards_now(self.pipeline, profiles, inference, standards)
