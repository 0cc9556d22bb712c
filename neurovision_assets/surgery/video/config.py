"""What a user may choose about taking a video in.

Belongs here: the parameters of the stage. Does not belong here: what is done with them.
"""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from neurovision_assets.surgery.video.probe import VideoLimits


class VideoConfig(BaseModel):
    """Parameters of the stage ``video``.

    Attributes:
        keep_audio: whether the sound stays; voices identify people, so it does not by default.
        limits: what is refused as too large or too long.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    keep_audio: bool = False
    limits: VideoLimits = Field(default_factory=VideoLimits)
