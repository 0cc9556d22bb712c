"""Uploads in the asset graph: what a hospital drops, and whether it could be taken.

Belongs here: the external asset and its check. Does not belong here: the sensor that reports to them.
"""

import dagster as dg

from neurovision_assets.stage.spec import PIPELINE_OWNER
from neurovision_assets.uploads.names import REJECTED
from neurovision_assets.uploads.refusal import REASON_ENDING
from resources.object_store import ObjectStore

UPLOADS_KEY = dg.AssetKey(["surgery", "uploads"])
ACCEPTED_CHECK = "accepted"

uploads = dg.AssetSpec(
    UPLOADS_KEY,
    description="Video files and sidecars that somebody dropped into incoming/. They come from outside.",
    group_name="ingest",
    owners=[PIPELINE_OWNER],
    kinds={"video", "file"},
)


@dg.asset_check(asset=UPLOADS_KEY, name=ACCEPTED_CHECK)
def uploads_accepted(object_store: ObjectStore) -> dg.AssetCheckResult:
    """Uploads can be taken: the sensor reports each as it comes; run by hand, it looks whether rejected/ is empty."""
    refused = sum(info.key.endswith(REASON_ENDING) for info in object_store.list_folder(REJECTED))
    return dg.AssetCheckResult(
        passed=not refused,
        description="Every refused file lies in rejected/ with its reason beside it." if refused else None,
        metadata={"refused_files": refused},
    )
