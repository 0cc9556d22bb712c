"""What a user may choose about features (NV-023).

Belongs here: settings and their defaults. Does not belong here: how they are carried out.
"""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class FeaturesConfig(BaseModel):
    """Settings of the features stage.

    Attributes:
        model: name of the backbone in the model repository; any one with 2048 wide ``features`` will do.
        batch_size: pictures that are decoded and handed over together; the engine splits them further where the model
            takes fewer.
        normalize: scale every vector to length one (L2), where the backbone does not do it itself.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: str = Field(default="feature_extractor", min_length=1)
    batch_size: int = Field(default=32, ge=1, le=1024)
    normalize: bool = True
