"""Whether the disk has room for a video's artifacts, asked before the work starts.

Belongs here: the estimate and the refusal. Does not belong here: what happens when the disk fills up later
(``resources.object_store`` tells).
"""

from __future__ import annotations

from collections.abc import Sequence

from neurovision_assets.surgery.frames.config import FramesConfig
from neurovision_assets.surgery.video.probe import VideoProbe
from resources.errors import PermanentFailure
from resources.object_store import ObjectStore

JPEG_BYTES_A_PIXEL = 0.5
"""JPEG 95 of endoscopic pictures takes 0.2–0.4 bytes a pixel (the two real clips: 0.23 and 0.27)."""
TABLES_BYTES_A_FRAME = 20_000
RESERVE_BYTES = 200_000_000


def required_bytes(probes: Sequence[VideoProbe], frames: FramesConfig) -> int:
    """Bytes that all artifacts of a video will take, an upper estimate."""
    copies = sum(probe.size_bytes for probe in probes)
    stored = sum(
        min(probe.frame_count, probe.duration_ms / 1000 * min(frames.fps, max(probe.frame_rate_fps, 0.0)) + 1)
        for probe in probes
    )
    per_frame = frames.width_px * frames.height_px * JPEG_BYTES_A_PIXEL + TABLES_BYTES_A_FRAME
    return round(copies + stored * per_frame) + RESERVE_BYTES


def check_space(store: ObjectStore, video_id: str, probes: Sequence[VideoProbe], frames: FramesConfig) -> None:
    """Refuse to start what cannot end.

    Raises:
        PermanentFailure: there is too little space; both figures are named.
    """
    needed, free = required_bytes(probes, frames), min(store.free_bytes(), store.scratch_free_bytes())
    if free < needed:
        raise PermanentFailure(
            f"Too little disk space: about {needed / 1e6:,.0f} MB are needed and {free / 1e6:,.0f} MB are free.",
            subject=video_id,
            remedy="Free disk space and start it again.",
        )
