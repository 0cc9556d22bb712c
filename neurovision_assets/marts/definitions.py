"""The code location ``marts``: dbt's assets and what feeds them, apart because importing ``dagster_dbt`` takes seconds.

Belongs here: which assets, jobs, schedules and resources exist together. Does not belong here: any logic. The stages
that the tables come from are assets of the other location; lineage joins them by their keys.
"""

from collections.abc import Mapping
from typing import Any

import dagster as dg

from jobs.marts import daily_marts, marts_job
from neurovision_assets.marts.assets import marts_assets
from neurovision_assets.marts.project import MartsProject
from neurovision_assets.marts.sources import sources
from neurovision_assets.profiles import ProfileCatalog
from neurovision_assets.training.candidate.home import TrainingHome
from resources.database.engine import Database
from resources.inference.client import InferenceResource
from resources.object_store import ObjectStore
from resources.settings import Settings, load_settings
from resources.warehouse import Warehouse


def build_resources(settings: Settings, project: MartsProject) -> dict[str, Any]:
    """What the marts are made from and built with."""
    return {
        "object_store": ObjectStore.of(settings),
        "database": Database.of(settings),
        "inference": InferenceResource.of(settings),
        "profiles": ProfileCatalog(user_folder=str(settings.user_profiles), default=settings.default_profile),
        "training": TrainingHome(folder=str(settings.training), preset=settings.training_preset),
        "warehouse": project.warehouse,
        "dbt": project.cli(),
    }


def build_defs(resource_overrides: Mapping[str, Any] | None = None) -> dg.Definitions:
    """The whole location; ``resource_overrides`` replace resources by key."""
    settings = load_settings()
    project = MartsProject(Warehouse(folder=str(settings.warehouse)))
    return dg.Definitions(
        assets=[sources, marts_assets(project)],
        jobs=[marts_job],
        schedules=[daily_marts],
        resources={**build_resources(settings, project), **(resource_overrides or {})},
        executor=dg.in_process_executor,
    )


@dg.definitions
def defs() -> dg.Definitions:
    """What Dagster loads."""
    return build_defs()
