"""What the gate asks of each kind of model.

Belongs here: figures and their reasons. Does not belong here: the checks.
"""

from __future__ import annotations

from typing import Final

from pydantic import BaseModel, ConfigDict, Field

from models.contracts import ANATOMIST, DETECTOR, SEGMENTER
from neurovision_assets.training.gate.thresholds import DEFAULT_THRESHOLDS


class GateConfig(BaseModel):
    """One kind's gate.

    Attributes:
        thresholds: least figures on held-out videos (NV-076).
        figure: by which candidate and production are compared.
        confidence: of the interval of the difference.
        latency_budget_ms: longest time of one request, the best of some; of ``request_items`` at once.
        request_items: frames of a sequence, or pictures, of that request.
        largest_calibration_error: expected calibration error on held-out videos.
        least_share_of_mean: an operation type whose mean F1 falls below this share of all videos' mean has collapsed.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    thresholds: dict[str, float] = Field(default_factory=lambda: dict(DEFAULT_THRESHOLDS))
    figure: str = "f1"
    confidence: float = Field(default=0.9, gt=0, lt=1)
    latency_budget_ms: float = Field(default=2000.0, gt=0)
    request_items: int = Field(default=1, ge=1)
    largest_calibration_error: float = Field(default=0.15, gt=0)
    least_share_of_mean: float = Field(default=0.5, ge=0, le=1)


GATES: Final = {
    SEGMENTER: GateConfig(request_items=1200),  # ten minutes at two frames a second
    DETECTOR: GateConfig(largest_calibration_error=0.25),  # heat of centre points is shy by nature
    ANATOMIST: GateConfig(),
}
