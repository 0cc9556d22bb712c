"""Why a candidate is not promoted: one reason a cause, stable, for people and for programs (NV-058, T13).

Belongs here: the reasons. Does not belong here: how one is found out.
"""

from __future__ import annotations

from typing import Final

from pydantic import BaseModel, ConfigDict

METRICS_BELOW_THRESHOLD: Final = "metrics_below_threshold"
TOO_FEW_TEST_VIDEOS: Final = "too_few_test_videos"
NOT_BETTER: Final = "not_better_than_production"
EXTRACTOR_REPLACED: Final = "feature_extractor_replaced"
STAGING_TEST_FAILED: Final = "staging_test_failed"
SERVED_MEANWHILE: Final = "production_changed_meanwhile"


class Refusal(BaseModel):
    """One reason against a promotion.

    Attributes:
        reason: one of the constants of this module; a failed staging test adds its name after a colon.
        detail: a sentence with the figures.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    reason: str
    detail: str
