"""What a user may choose about anatomy.

Belongs here: settings and their defaults. Does not belong here: how they are carried out.
"""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class AnatomyConfig(BaseModel):
    """Settings of the anatomy stage.

    Attributes:
        model: name of the segmenter in the model repository.
        min_area_fraction: structures that take a smaller share of the picture are left out; 0.002 is a blot of
            6 % of the picture's height across.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: str = Field(default="anatomy_segmenter", min_length=1)
    min_area_fraction: float = Field(default=0.002, ge=0, lt=1)
