"""The asset ``surgery/frames``: stored pictures of a recording with their true times.

Belongs here: the recipe. Does not belong here: decoding, sampling, quality (their own files).
"""

from neurovision_assets.artifacts import MAIN_TABLE
from neurovision_assets.schemas import FRAMES as CONTRACT
from neurovision_assets.stage.asset import stage_asset
from neurovision_assets.stage.work import Outcome, Work
from neurovision_assets.surgery.frames.config import FramesConfig
from neurovision_assets.surgery.frames.encode import sample_to_batches
from neurovision_assets.surgery.frames.preview import StripSampler
from neurovision_assets.surgery.pipeline import FRAMES, SURGERY, VIDEO
from neurovision_assets.surgery.video.asset import media_parts


@stage_asset(SURGERY, FRAMES.name)
def frames(work: Work[FramesConfig]) -> Outcome:
    """Pictures at the profile's rate, upright, aspect kept, as JPEG with quality figures and true times."""
    batches = sample_to_batches(list(media_parts(work)), work.config, subject=work.video_id, on_progress=work.progress)
    rows, strip = 0, StripSampler()
    for batch in batches:
        work.append(MAIN_TABLE, CONTRACT, batch)
        strip.add(batch)
        rows += batch.num_rows
    report = batches.report
    return Outcome(
        counts={"rows": rows, "lost_packets": report.lost_packets, "lost_ms": report.lost_ms},
        facts={
            "geometry": batches.geometry.model_dump(mode="json"),
            "decoding": report.model_dump(mode="json"),
            "duration_ms": work.facts(VIDEO.name)["duration_ms"],
        },
        preview=strip.png(),
    )
