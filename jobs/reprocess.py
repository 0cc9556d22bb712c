"""The job by which a person asks, in the Dagster UI, to have videos computed again.

Belongs here: the form and the row that it writes. Does not belong here: the computation; the request sensor starts it.
"""

import dagster as dg
from pydantic import Field

from neurovision_assets.reprocessing.asking import require_known
from neurovision_assets.reprocessing.requests import load_request, submit
from neurovision_assets.stage.pipeline import Pipeline
from neurovision_assets.surgery.pipeline import SURGERY
from resources.database.engine import Database
from resources.errors import NeuroVisionError
from resources.object_store import ObjectStore

REPROCESS = "reprocess"


class RequestForm(dg.Config):
    """What is asked for; empty defaults, so that the launchpad opens with these lines and not with resources."""

    video_ids: list[str] = Field(default=[], description="The videos, for example operation_001-1f3a9c2b.")
    reason: str = Field(default="", description="Why, in one line; the UI shows it, so it must not name a patient.")
    requester: str = Field(default="", description="Who asks.")
    stages: list[str] = Field(default=[], description="Stages, for example phases; all without any.")
    only_stale: bool = Field(default=False, description="Leave what is up to date as it is.")
    priority: int = Field(default=0, description="0–99, greater first among requests.")


def request_job(pipeline: Pipeline) -> dg.JobDefinition:
    """The form of one domain."""

    @dg.op(description="Writes the request; the sensor review_requests_sensor gives it its runs.")
    def write_request(
        context: dg.OpExecutionContext, config: RequestForm, database: Database, object_store: ObjectStore
    ) -> None:
        """One row; its id stands in the step's metadata."""
        try:
            require_known(pipeline, object_store, config.video_ids, config.stages)
            request_id = submit(database, **config.model_dump())
        except NeuroVisionError as error:
            raise dg.Failure(str(error), allow_retries=False) from error
        request = load_request(database, request_id)
        told = f"make requests ID={request.id} tells how it goes"
        context.log.info(f"Request {request.id} by {request.requester}: {told}.")
        context.add_output_metadata({"request_id": request.id, "videos": len(config.video_ids)})

    @dg.job(name=REPROCESS, description="Ask to have videos computed again, on a person's word.")
    def job() -> None:
        write_request()

    return job


reprocess_job = request_job(SURGERY)
