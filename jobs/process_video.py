"""The main job: every stage of a surgical video, from the upload to the report.

Belongs here: the job's name, selection and tags. Does not belong here: the stages.
"""

import dagster as dg

from neurovision_assets.stage.step import RUN_TIME_S, RUN_TIME_TAG

PROCESS_VIDEO = "process_video"

process_video_job = dg.define_asset_job(
    PROCESS_VIDEO,
    selection=dg.AssetSelection.key_prefixes(["surgery"])
    - dg.AssetSelection.assets(["surgery", "uploads"])
    - dg.AssetSelection.key_prefixes(["surgery", "dataset"]),
    description="Everything that is made of an uploaded operation: frames, predictions, events, report.",
    tags={RUN_TIME_TAG: str(round(RUN_TIME_S))},
)
