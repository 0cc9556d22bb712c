"""The only place that assembles Definitions.

Belongs here: which assets, jobs, sensors, resources exist together. Does not belong here: logic.
"""

from collections.abc import Mapping
from typing import Any

import dagster as dg

from jobs.dataset import dataset_job
from jobs.drift import watch_drift_job, weekly_drift
from jobs.plan import plan_jobs
from jobs.process_video import process_video_job
from jobs.reprocess import reprocess_job
from jobs.retrain import retrain_job, weekly_retraining
from neurovision_assets.drift.asset import drift_assets
from neurovision_assets.profiles import ProfileCatalog
from neurovision_assets.registry import registry_assets
from neurovision_assets.surgery.plan import plan
from neurovision_assets.surgery.steps import STEPS
from neurovision_assets.training.assets import training_assets, training_checks, training_resources
from neurovision_assets.uploads.asset import uploads, uploads_accepted
from resources.database.engine import Database
from resources.inference.client import InferenceResource
from resources.object_store import ObjectStore
from resources.progress import ProgressBoard
from resources.settings import Settings, load_settings
from sensors.callbacks import callback_sensors
from sensors.known_videos import known_videos_sensor
from sensors.learning import learning_sensors
from sensors.recovery import recovery_sensor
from sensors.reprocessing import reprocessing_sensors
from sensors.uploads import uploads_sensor


def build_resources(settings: Settings) -> dict[str, Any]:
    """The outside world of one deployment."""
    store = ObjectStore.of(settings)
    return {
        "object_store": store,
        "progress": ProgressBoard(object_store=store),
        "database": Database.of(settings),
        "inference": InferenceResource.of(settings),
        "profiles": ProfileCatalog(user_folder=str(settings.user_profiles), default=settings.default_profile),
        **training_resources(settings),
    }


def build_defs(resource_overrides: Mapping[str, Any] | None = None) -> dg.Definitions:
    """The whole platform; ``resource_overrides`` replace resources by key."""
    return dg.Definitions(
        assets=[uploads, *STEPS, plan, *registry_assets, *training_assets, *drift_assets],
        asset_checks=[uploads_accepted, *training_checks],
        jobs=[process_video_job, reprocess_job, *plan_jobs, dataset_job, retrain_job, watch_drift_job],
        schedules=[weekly_retraining, weekly_drift],
        sensors=[
            uploads_sensor,
            known_videos_sensor,
            recovery_sensor,
            *reprocessing_sensors,
            *learning_sensors,
            *callback_sensors,
        ],
        resources={**build_resources(load_settings()), **(resource_overrides or {})},
        executor=dg.in_process_executor,
    )


@dg.definitions
def defs() -> dg.Definitions:
    """What Dagster loads."""
    return build_defs()
