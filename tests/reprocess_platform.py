"""A code location with the toy stages and the real request sensor and job, for a test with a real daemon.

Belongs here: the stand-in for the surgical stages, which would need models. Does not belong here: tests. Settings come
from the environment, as in production.
"""

import dagster as dg

from jobs.reprocess import request_job
from neurovision_assets.profiles import ProfileCatalog
from resources.database.engine import Database
from resources.inference.client import InferenceResource
from resources.object_store import ObjectStore
from resources.progress import ProgressBoard
from resources.settings import load_settings
from sensors.review_requests import requests_sensor
from tests.toy_domain import TOY, Script, toy_assets

SETTINGS = load_settings()
STORE = ObjectStore(url=SETTINGS.objects_url)

defs = dg.Definitions(
    assets=toy_assets(Script({}, [])),
    jobs=[dg.define_asset_job("toy", selection=dg.AssetSelection.all()), request_job(TOY)],
    sensors=[requests_sensor(TOY, "toy")],
    resources={
        "object_store": STORE,
        "progress": ProgressBoard(object_store=STORE),
        "database": Database.of(SETTINGS),
        "inference": InferenceResource(repository=str(SETTINGS.model_repository)),
        "profiles": ProfileCatalog(user_folder=str(SETTINGS.user_profiles), default="toy"),
    },
    executor=dg.in_process_executor,
)
