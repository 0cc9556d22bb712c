"""The main job: every stage of a surgical video, from the upload to the report.

Belongs here: the job's name, selection and tags. Does not belong here: the stages.
"""

import dagster as dg

MAX_RUNTIME_S = 7200
PROCESS_VIDEO = "process_video"

process_video_job = dg.define_asset_job(
    PROCESS_VIDEO,
    selection=dg.AssetSelection.key_prefixes(["surgery"]) - dg.AssetSelection.assets(["surgery", "uploads"]),
    description="Everything that is made of an uploaded operation: frames, predictions, events, report.",
    tags={"dagster/max_runtime": str(MAX_RUNTIME_S)},
)
