"""A person's request where it comes in, by command or form: what it names must be there.

Belongs here: videos and stages that exist. Does not belong here: the row (``requests``), what the request comes to
(``decide``). A request for what is not there would be refused at the next round too, where nobody is looking any more.
"""

from __future__ import annotations

from collections.abc import Sequence

from neurovision_assets.partitions import check_video_id
from neurovision_assets.stage.pipeline import Pipeline
from neurovision_assets.uploads.record import load_record
from resources.errors import ConfigurationError
from resources.object_store import ObjectStore


def require_known(pipeline: Pipeline, store: ObjectStore, video_ids: Sequence[str], stages: Sequence[str]) -> None:
    """Refuse a request for what is not there.

    Raises:
        PermanentFailure: a video was never uploaded, or is no video_id.
        ConfigurationError: there is no stage of some name.
    """
    for video_id in video_ids:
        load_record(store, check_video_id(video_id))
    known = [stage.name for stage in pipeline.stages]
    if unknown := [name for name in stages if name not in known]:
        raise ConfigurationError(
            f"There is no stage {', '.join(unknown)}.", subject="STAGES", remedy=f"Stages are {', '.join(known)}."
        )
