"""What a user may choose about instruments (NV-110).

Belongs here: settings and their defaults. Does not belong here: how they are carried out.
"""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class InstrumentsConfig(BaseModel):
    """Settings of the instruments stage.

    Attributes:
        model: name of the detector in the model repository.
        score_threshold: detections with a score strictly above it are kept.
        track_gap_ms: an instrument that is unseen for longer than this is another one when it comes back.
        track_similarity: least Distance-IoU of two boxes of one instrument in neighbouring frames; −0.4 lets a square
            box move by twice its side.
        use_gap_ms: an instrument that comes back within this time was in use all the while (it was hidden, or the
            detector missed it).
        use_min_frames: a use needs at least this many frames: one frame is more often a mistake than a use.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: str = Field(default="instrument_detector", min_length=1)
    score_threshold: float = Field(default=0.5, ge=0, lt=1)
    track_gap_ms: int = Field(default=2000, ge=0)
    track_similarity: float = Field(default=-0.4, ge=-1, le=1)
    use_gap_ms: int = Field(default=3000, ge=0)
    use_min_frames: int = Field(default=2, ge=1)
