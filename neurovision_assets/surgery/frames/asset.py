"""The asset ``surgery/frames``: stored pictures of a recording with their true times.

Belongs here: the recipe. Does not belong here: decoding, sampling, quality (their own files).
"""

from collections.abc import Iterator
from typing import Any

from models.letterbox import FrameGeometry
from neurovision_assets.artifacts import MAIN_TABLE
from neurovision_assets.schemas import FRAMES as CONTRACT
from neurovision_assets.stage.recipe import stage_recipe
from neurovision_assets.stage.work import Outcome, Work
from neurovision_assets.surgery.frames.config import FramesConfig
from neurovision_assets.surgery.frames.encode import sample_to_batches
from neurovision_assets.surgery.frames.preview import StripSampler
from neurovision_assets.surgery.pictures import FRAME_COLUMNS, PictureBatch, decode_frames
from neurovision_assets.surgery.pipeline import FRAMES, SURGERY, VIDEO
from neurovision_assets.surgery.video.asset import media_parts

BATCH_ROWS = 32
PICTURES_SHARE = 0.99
"""Progress that a stage has made when it has looked at every picture; the rest is writing."""


@stage_recipe(SURGERY, FRAMES.name)
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
        preview=strip.strip(),
    )


def geometry_of(work: Work[Any]) -> FrameGeometry:
    """How the source picture lies in the stored frames, for a stage downstream."""
    return FrameGeometry.model_validate(work.facts(FRAMES.name)["geometry"])


def pictures_of(work: Work[Any], *, reduction: int = 1) -> Iterator[PictureBatch]:
    """The stored pictures, decoded, a batch at a time, for a stage downstream; tells progress as they are taken.

    Args:
        work: of that stage.
        reduction: divisor of the sides (1, 2, 4, 8).
    """
    total, done = work.row_count(FRAMES.name), 0
    for batch in work.together(f"pictures at 1/{reduction}", lambda: _decoded(work, reduction)):
        yield batch
        done += len(batch.frame_index)
        work.progress(done / total * PICTURES_SHARE)


def _decoded(work: Work[Any], reduction: int) -> Iterator[PictureBatch]:
    return decode_frames(work.batches(FRAMES.name, list(FRAME_COLUMNS), BATCH_ROWS), reduction=reduction)
