"""A plan from the platform's own state.

Belongs here: joining index, uploads, models and Dagster's runs into a plan. Does not belong here: the terminal
(``plans``), which pairs are stale (``neurovision_assets.reprocessing.draft``).
"""

from __future__ import annotations

import dagster as dg
from rich.console import Console

from neurovision_assets.definitions import STEPS, build_resources
from neurovision_assets.partitions import video_ids
from neurovision_assets.provenance_index import results_by_video
from neurovision_assets.reprocessing.draft import Draft, draw_up
from neurovision_assets.reprocessing.plans import propose
from neurovision_assets.reprocessing.present import gather
from neurovision_assets.reprocessing.requests import State, items_of, open_requests
from neurovision_assets.reprocessing.sample import Laboratory
from neurovision_assets.surgery.changes import detection_changes, phase_changes
from neurovision_assets.surgery.pipeline import INSTRUMENTS, PHASES, SURGERY
from resources.database.engine import Database
from resources.settings import Settings
from sensors.callbacks import videos_of

COMPARED = {PHASES.name: phase_changes, INSTRUMENTS.name: detection_changes}
UNFINISHED = [
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]


def make_plan(settings: Settings, by: str, sample: int, console: Console) -> tuple[str | None, Draft]:
    """Propose a plan of all that is stale.

    Args:
        settings: of this deployment.
        by: who asks for it.
        sample: how many videos to compute aside and compare.
        console: for what takes long.

    Returns:
        The plan's id, None where nothing is stale; and what is in it.
    """
    draft = draft_now(settings)
    if not draft.items:
        return None, draft
    laboratory = Laboratory(SURGERY, STEPS, COMPARED, build_resources(settings))
    looked_at = {}
    for video_id, stages in laboratory.choose(draft, sample, seed=str(draft.standards)).items():
        console.print(f"computing aside: {video_id}: {', '.join(stages)}")
        looked_at[video_id] = laboratory.look(video_id, stages)
    database = Database.of(settings)
    return propose(database, draft, by, looked_at if sample else None), draft


def draft_now(settings: Settings) -> Draft:
    """Every stale pair of every video, those left out that something works on or waits for."""
    resources = build_resources(settings)
    database: Database = resources["database"]
    with dg.DagsterInstance.get() as instance:
        known = instance.get_dynamic_partitions(str(video_ids.name))
        runs = instance.get_runs(dg.RunsFilter(statuses=UNFINISHED))
        in_flight = {video_id for run in runs for video_id in videos_of(run, instance)}
    for request in open_requests(database):
        in_flight.update(item.video_id for item in items_of(database, request.id, State.WAITING, State.LAUNCHED))
    present = gather(SURGERY, database, resources["object_store"], resources["profiles"], resources["inference"], known)
    with database.reading() as connection:
        return draw_up(present, results_by_video(connection), in_flight)
