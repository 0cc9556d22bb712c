"""When a week counts as drifted.

Belongs here: the rates, sizes and scales of the test, with their reasons. Does not belong here: the test itself
(``compare``).
"""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

ALARM_SCORE = 0.3
"""Above it is an alarm (NV-155, NV-159)."""


class DriftConfig(BaseModel):
    """Settings of the weekly test.

    Attributes:
        false_alarm_rate: chance that a week without any drift raises an alarm, all figures of all models together.
        min_videos: least videos of the week that a model needs to be judged; fewer get no score.
        min_reference: least operations of the reference.
        resamples: permutations. One in ``resamples + 1`` is the smallest chance that can be told.
        seed: of the permutations, so that the same week gives the same score.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    false_alarm_rate: float = Field(default=0.01, gt=0, lt=1)
    min_videos: int = Field(default=5, ge=2)
    min_reference: int = Field(default=10, ge=2)
    resamples: int = Field(default=49_999, ge=999)
    seed: int = Field(default=0, ge=0)


DEFAULT = DriftConfig()
