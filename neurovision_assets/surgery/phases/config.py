"""What a user may choose about phases.

Belongs here: settings and their defaults. Does not belong here: the phases' names (`taxonomy`, data of the model).
"""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

DEFAULT_MIN_SEGMENT_MS = 2000
"""Flicker is shorter, phases are longer: the shortest of 139 labelled phases of Cholec80 (operations 41 to 60) lasts
21 s, and operations that the simulator compresses to four minutes keep theirs above 1.9 s."""


class PhasesConfig(BaseModel):
    """Settings of the phases stage.

    Attributes:
        model: name of the segmenter in the model repository.
        taxonomy: which of the model's taxonomies names its output channels.
        min_segment_ms: segments shorter than this are joined to a neighbour; 0 keeps every change. It touches the
            segments only: the table of frames always holds the model's own answer.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: str = Field(default="phase_segmenter", min_length=1)
    taxonomy: str = Field(default="default", pattern=r"^[a-z0-9][a-z0-9_-]*$")
    min_segment_ms: int = Field(default=DEFAULT_MIN_SEGMENT_MS, ge=0)
