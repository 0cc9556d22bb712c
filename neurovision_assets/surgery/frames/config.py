"""What a user may choose about frames, and the name of the rule that picks them.

Belongs here: settings and their defaults (NV-017, NV-018, NV-019). Does not belong here: how they are carried out.
"""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

SAMPLING_POLICY_VERSION = "1.1.0"
"""Version of the rule in `sampling.py` and `needed.py`; part of every provenance record, so change it with the rule."""

Sampling = Literal["exact", "near"]

MAX_SAMPLING_FPS = 240.0
"""No surgical recorder is faster; a larger figure is a typing error."""

MAX_FRAME_EDGE_PX = 4096
"""A stored frame is a working copy for models and reviewers, not an archive."""


class FramesConfig(BaseModel):
    """Settings of the frames stage.

    Attributes:
        fps: stored frames a second of video; a slower video is never upsampled.
        sampling: `exact` stores the source frame nearest to each grid instant and decodes all, so that all damage is
            counted; `near` leaves out what no stored frame needs, and may store the source frame directly before or
            after the nearest one, with its own time.
        width_px: width of every stored frame, padding included.
        height_px: height of every stored frame, padding included.
        jpeg_quality: libjpeg quality, 1 to 100.
        frozen_difference: two stored frames that differ by less than this are called frozen; mean absolute
            difference of grey levels (0 to 255) of the reduced pictures, see `quality.py`.
        batch_rows: frames in a record batch; bounds the memory that waiting frames take.
        encode_threads: threads that scale, measure and compress while the decoder goes on.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    fps: float = Field(default=2.0, gt=0, le=MAX_SAMPLING_FPS)
    sampling: Sampling = "near"
    width_px: int = Field(default=640, ge=16, le=MAX_FRAME_EDGE_PX)
    height_px: int = Field(default=480, ge=16, le=MAX_FRAME_EDGE_PX)
    jpeg_quality: int = Field(default=95, ge=1, le=100)
    frozen_difference: float = Field(default=0.25, ge=0)
    batch_rows: int = Field(default=32, ge=1, le=1024)
    encode_threads: int = Field(default=2, ge=1, le=64)
