"""Is the candidate better than the model that is served, on the same held-out videos?

Belongs here: the paired bootstrap over videos and the rule. Does not belong here: figures of a video
(``models/scoring/headline``). Videos, not frames, are drawn: frames of one video say the same thing many times.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np
from pydantic import BaseModel, ConfigDict

from neurovision_assets.training.gate.refusal import NOT_BETTER, TOO_FEW_TEST_VIDEOS, Refusal

RESAMPLES: Final = 10_000
LEAST_VIDEOS: Final = 3
"""With two videos the interval is one of three values: no interval at all."""


class Comparison(BaseModel):
    """The mean difference, candidate less production, and where it lies.

    Attributes:
        figure: which one.
        videos: how many were compared.
        candidate: its mean.
        production: the served model's mean.
        difference: of the means.
        low: lower end of the interval.
        high: upper end.
        confidence: of the interval.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    figure: str
    videos: int
    candidate: float
    production: float
    difference: float
    low: float
    high: float
    confidence: float


def compare(
    candidate: Mapping[str, float], production: Mapping[str, float], *, figure: str, confidence: float, seed: int
) -> Comparison:
    """Bootstrap the mean of the paired differences over videos (percentile interval; Efron & Tibshirani 1993, ch. 13).

    Args:
        candidate: the figure of each video, by the video's name.
        production: the same of the served model; the same videos.
        figure: its name.
        confidence: of the two-sided interval, for example 0.9.
        seed: of the resampling.

    Raises:
        ValueError: the videos are not the same.
    """
    if set(candidate) != set(production):
        raise ValueError("candidate and production were not scored on the same videos")
    names = sorted(candidate)
    ours, theirs = (np.array([scores[name] for name in names]) for scores in (candidate, production))
    drawn = np.random.default_rng(seed).integers(0, len(names), size=(RESAMPLES, len(names)))
    tail = (1 - confidence) / 2
    low, high = np.quantile((ours - theirs)[drawn].mean(axis=1), [tail, 1 - tail])
    return Comparison(
        figure=figure,
        videos=len(names),
        candidate=float(ours.mean()),
        production=float(theirs.mean()),
        difference=float((ours - theirs).mean()),
        low=float(low),
        high=float(high),
        confidence=confidence,
    )


def check_better(comparison: Comparison) -> Refusal | None:
    """The whole interval must lie above 0; too few videos prove nothing."""
    if comparison.videos < LEAST_VIDEOS:
        return Refusal(
            reason=TOO_FEW_TEST_VIDEOS,
            detail=f"{comparison.videos} held-out videos; at least {LEAST_VIDEOS} are needed for an interval.",
        )
    if comparison.low > 0:
        return None
    return Refusal(
        reason=NOT_BETTER,
        detail=f"{comparison.figure} {comparison.candidate:.3f} against {comparison.production:.3f}: the difference "
        f"{comparison.difference:+.3f} lies in [{comparison.low:+.3f}, {comparison.high:+.3f}] "
        f"({comparison.confidence:.0%}, {comparison.videos} videos).",
    )
