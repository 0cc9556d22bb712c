"""What the gate asks of each kind of model, from ``params.yaml`` (NV-076: by default, and per model type).

Belongs here: names and bounds of what is asked. Does not belong here: the checks, the file.
"""

from __future__ import annotations

from typing import Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field

Figure = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
TEN_MINUTES_FRAMES: Final = 1200
"""At two frames a second."""


class Thresholds(BaseModel):
    """Least figures on held-out videos (NV-053, NV-076).

    Attributes:
        accuracy: share of frames, or of pixels, that are right.
        f1: mean of the classes.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    accuracy: Figure = 0.85
    f1: Figure = 0.80


class GateConfig(BaseModel):
    """One kind's gate.

    Attributes:
        thresholds: least figures on held-out videos; a figure that is missing counts as 0.
        figure: by which candidate and production are compared.
        confidence: of the interval of the difference.
        latency_budget_ms: longest time of one request, the best of some; of ``request_items`` at once.
        request_items: frames of a sequence, or pictures, of that request.
        largest_calibration_error: expected calibration error on held-out videos.
        least_share_of_mean: an operation type whose mean F1 falls below this share of all videos' mean has collapsed.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    thresholds: Thresholds = Thresholds()
    figure: Literal["accuracy", "f1", "overlap"] = "f1"
    confidence: float = Field(default=0.9, gt=0, lt=1)
    latency_budget_ms: float = Field(default=2000.0, gt=0)
    request_items: int = Field(default=1, ge=1)
    largest_calibration_error: float = Field(default=0.15, gt=0)
    least_share_of_mean: float = Field(default=0.5, ge=0, le=1)


class SegmenterGate(GateConfig):
    """That of the phase segmenter: a request is a long sequence."""

    request_items: int = Field(default=TEN_MINUTES_FRAMES, ge=1)


class DetectorGate(GateConfig):
    """That of the detector: heat of centre points is shy by nature."""

    largest_calibration_error: float = Field(default=0.25, gt=0)


class GateParams(BaseModel):
    """The gate of each model type."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    phase_segmentation: SegmenterGate = SegmenterGate()
    instrument_detection: DetectorGate = DetectorGate()
    anatomy_segmentation: GateConfig = GateConfig()
