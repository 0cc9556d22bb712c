"""How right a model was on the videos that reviewers have corrected since: truth that came later (NV-147).

Belongs here: the phases of a report as the model told them, against what they are after every correction. Does not
belong here: held-out operations, by which models are promoted (``report``), boxes and masks: a corrected moment keeps
no word of the model's.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from models.labels import PHASES
from models.scoring.headline import PHASE_HEADLINE, Headline, mean_headline, phase_headline
from models.scoring.protocol import Protocol
from neurovision_assets.training.dataset.kept import kept_corrections
from neurovision_assets.training.dataset.layout import Layout
from neurovision_assets.training.dataset.merge import Row, Rows, with_phases
from neurovision_assets.training.dataset.reviewed import SET_NAME
from neurovision_assets.training.dataset.schemas import PHASE_SPANS
from neurovision_assets.training.examples import phase_ids

STEP_MS: Final = 1000
REVIEWED: Final = Protocol(
    name="reviewed-phases",
    version=1,
    statement=f"{PHASE_HEADLINE.name}/{PHASE_HEADLINE.version}, once a second, on the videos whose phases somebody has "
    "corrected: what the report said when it came into the data, against what it says with all corrections. What a "
    "reviewer left as it was counts as right, so the figures are upper bounds.",
)


@dataclass(frozen=True)
class ReviewedVideo:
    """One video.

    Attributes:
        video_id: the video.
        model: label of what told its phases, ``phase_segmenter@1.0.0``.
        figures: accuracy, F1 and overlap.
    """

    video_id: str
    model: str
    figures: Headline


def reviewed_videos(layout: Layout) -> list[ReviewedVideo]:
    """Every video of the platform whose phases somebody has corrected, the worst first."""
    told: Rows = {}
    for row in layout.imported(SET_NAME).rows(PHASE_SPANS):
        told.setdefault(row["operation"], []).append(row)
    corrected: Rows = {}
    for correction in kept_corrections(layout):
        if correction.phases and correction.operation in told:
            before = corrected.get(correction.operation, told[correction.operation])
            corrected[correction.operation] = with_phases(before, correction)
    found = [_judged(video_id, told[video_id], truth) for video_id, truth in corrected.items()]
    return sorted(found, key=lambda one: (one.figures["accuracy"], one.video_id))


def by_model(videos: Iterable[ReviewedVideo]) -> dict[str, Headline]:
    """Means over the videos of each model, by its label."""
    found: dict[str, list[Headline]] = {}
    for one in videos:
        found.setdefault(one.model, []).append(one.figures)
    return {model: mean_headline(figures) for model, figures in sorted(found.items())}


def _judged(video_id: str, told: list[Row], truth: list[Row]) -> ReviewedVideo:
    times = np.arange(0, max(span["end_ms"] for span in told), STEP_MS, dtype=np.int64)
    said, right = (phase_ids(times, sorted(spans, key=_begin)) for spans in (told, truth))
    known = (said >= 0) & (right >= 0)
    return ReviewedVideo(video_id, told[0]["author"], phase_headline(said[known], right[known], phases=len(PHASES)))


def _begin(span: dict[str, Any]) -> int:
    begin: int = span["start_ms"]
    return begin
