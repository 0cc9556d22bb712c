"""The job by which a person asks, in the Dagster UI, to have videos computed again.

Belongs here: the form and the row that it writes. Does not belong here: the computation; the request sensor starts it.
"""

import dagster as dg
from pydantic import Field

from neurovision_assets.reprocessing.requests import load_request, submit
from resources.database.engine import Database
from resources.errors import NeuroVisionError

REPROCESS = "reprocess"


class RequestForm(dg.Config):
    """What is asked for."""

    video_ids: list[str] = Field(description="The videos, for example operation_001-1f3a9c2b.")
    reason: str = Field(description="Why, in one line; it is shown in the UI, so it must not name a patient.")
    requester: str = Field(description="Who asks.")
    stages: list[str] = Field(default_factory=list, description="Stages, for example phases; all without any.")
    only_stale: bool = Field(default=False, description="Leave what is up to date as it is.")
    priority: int = Field(default=0, description="0–99, greater first among requests.")


@dg.op(description="Writes the request; the sensor review_requests_sensor gives it its runs.")
def write_request(context: dg.OpExecutionContext, config: RequestForm, database: Database) -> None:
    """One row; its id stands in the step's metadata."""
    try:
        request_id = submit(database, **config.model_dump())
    except NeuroVisionError as error:
        raise dg.Failure(str(error), allow_retries=False) from error
    request = load_request(database, request_id)
    context.log.info(f"Request {request.id} by {request.requester}: make requests ID={request.id} tells how it goes.")
    context.add_output_metadata({"request_id": request.id, "videos": len(config.video_ids)})


@dg.job(name=REPROCESS, description="Ask to have videos computed again, on a person's word.")
def reprocess_job() -> None:
    """One step."""
    write_request()
