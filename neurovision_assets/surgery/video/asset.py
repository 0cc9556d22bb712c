"""The asset ``surgery/video``: an upload becomes a clean recording.

Belongs here: the recipe and the small facts it leaves for later stages. Does not belong here: probing and copying.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from neurovision_assets.stage.recipe import stage_recipe
from neurovision_assets.stage.work import Outcome, Work
from neurovision_assets.surgery.frames.config import FramesConfig
from neurovision_assets.surgery.frames.decode import MediaPart
from neurovision_assets.surgery.pipeline import FRAMES, SURGERY, VIDEO
from neurovision_assets.surgery.video.config import VideoConfig
from neurovision_assets.surgery.video.probe import VideoProbe, probe_video
from neurovision_assets.surgery.video.remux import RemuxResult, remux
from neurovision_assets.surgery.video.space import check_space
from neurovision_assets.uploads.registration import claim_parts
from resources.object_store import sha256_of_file


class RecordedPart(BaseModel):
    """One file of a recording as later stages know it.

    Attributes:
        part: name of the artifact's part that holds the copy.
        upload_sha256: of the file that was uploaded.
        probe: of the file that was uploaded.
        remuxed: what the copy without metadata is.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    part: str
    upload_sha256: str
    probe: VideoProbe
    remuxed: RemuxResult


@stage_recipe(SURGERY, VIDEO.name)
def video(work: Work[VideoConfig]) -> Outcome:
    """The uploaded recording, probed and copied without metadata tags; the pictures are bit-identical (NV-168)."""
    work.progress(0.0, "Загрузка видео...")
    keys = claim_parts(work.store, work.upload)
    sources = [work.store.local_file(key, folder=work.scratch) for key in keys]
    probes = [
        probe_video(source, work.config.limits, subject=subject_of(work, index)) for index, source in enumerate(sources)
    ]
    check_space(work.store, work.video_id, probes, work.config_of(FRAMES.name, FramesConfig))
    parts = [take_in(work, index, source, probes[index]) for index, source in enumerate(sources)]
    duration_ms = sum(probe.duration_ms for probe in probes)
    first = probes[0]
    return Outcome(
        counts={
            "parts": len(parts),
            "duration_s": round(duration_ms / 1000, 3),
            "size": f"{first.display_width_px}×{first.display_height_px}",
            "codec": first.codec,
            "fps": round(first.frame_rate_fps, 3),
            "frame_rate_mode": first.frame_rate_mode,
        },
        facts={"duration_ms": duration_ms, "parts": [part.model_dump(mode="json") for part in parts]},
    )


def take_in(work: Work[VideoConfig], index: int, source: Path, probe: VideoProbe) -> RecordedPart:
    """Copy one file without metadata into the draft."""
    copy = work.scratch / f"copy_{index:03}"
    result = remux(
        source, copy, keep_audio=work.config.keep_audio, subject=subject_of(work, index), limits=work.config.limits
    )
    name = f"{index:03}{result.suffix}"
    copy.rename(work.draft.path(name))
    work.draft.add_file(name, result.video_sha256)
    work.progress((index + 1) / len(work.upload.parts))
    return RecordedPart(part=name, upload_sha256=sha256_of_file(source), probe=probe, remuxed=result)


def subject_of(work: Work[Any], index: int) -> str:
    """A neutral name of one file for messages: its own may be a patient's."""
    return work.video_id if len(work.upload.parts) == 1 else f"{work.video_id}, file {index + 1}"


def media_parts(work: Work[Any]) -> Iterator[MediaPart]:
    """The recording's files in order, verified, for a stage downstream of ``video``."""
    for fact in work.facts(VIDEO.name)["parts"]:
        part = RecordedPart.model_validate(fact)
        yield MediaPart(source=work.source(VIDEO.name, part.part), probe=part.probe)
