"""Figures that every candidate must reach (NV-053, NV-076).

Belongs here: the defaults and the rule. Does not belong here: computing figures (``models/evaluate``).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from neurovision_assets.training.gate.refusal import METRICS_BELOW_THRESHOLD, Refusal

DEFAULT_THRESHOLDS: Final = {"accuracy": 0.85, "f1": 0.80}


def check_thresholds(metrics: Mapping[str, float], thresholds: Mapping[str, float]) -> Refusal | None:
    """Every figure must reach its threshold; one that is missing, or no number, counts as 0."""
    short = [
        f"{name} {value:.3f} < {least:g}"
        for name, least in thresholds.items()
        if not (value := metrics.get(name, 0.0)) >= least
    ]
    return Refusal(reason=METRICS_BELOW_THRESHOLD, detail=f"{', '.join(short)}.") if short else None
