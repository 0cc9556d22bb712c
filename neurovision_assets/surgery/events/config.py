"""What a user may choose about events.

Belongs here: settings and their defaults. Does not belong here: rules and thresholds, which are data (`rules.yaml`).
"""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

BUILT_IN = "default"


class EventsConfig(BaseModel):
    """Settings of the events stage.

    Attributes:
        rules: ``default``, or the path of a user's own file in the form of ``rules.yaml``.
        reference: ``default``, or the path of a file with a hospital's own phases in the form of
            ``phase_reference.yaml``.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    rules: str = Field(default=BUILT_IN, min_length=1)
    reference: str = Field(default=BUILT_IN, min_length=1)
