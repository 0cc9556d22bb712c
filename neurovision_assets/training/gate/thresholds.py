"""Figures that every candidate must reach (NV-053, NV-076).

Belongs here: the rule. Does not belong here: how high they are (``config``), computing figures (``models/evaluate``).
"""

from __future__ import annotations

from collections.abc import Mapping

from neurovision_assets.training.gate.config import Thresholds
from neurovision_assets.training.gate.refusal import METRICS_BELOW_THRESHOLD, Refusal


def check_thresholds(metrics: Mapping[str, float], thresholds: Thresholds) -> Refusal | None:
    """Every figure must reach its threshold; one that is missing, or no number, counts as 0."""
    short = [
        f"{name} {value:.3f} < {least:g}"
        for name, least in thresholds.model_dump().items()
        if not (value := metrics.get(name, 0.0)) >= least
    ]
    return Refusal(reason=METRICS_BELOW_THRESHOLD, detail=f"{', '.join(short)}.") if short else None
