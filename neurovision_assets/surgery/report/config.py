"""What a user may choose about reports: the first language, and the limits from which on a report warns.

Belongs here: settings and limits, each with its reason. Does not belong here: computing what is compared with them.
"""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class ReportConfig(BaseModel):
    """Settings of the report stage; the limits' defaults serve the default models.

    Attributes:
        languages: a PDF is written in each; the first is also the workbook's and the one that the page shows first.
            The page itself always holds all languages.
        low_confidence: a frame whose phase is less probable than this counts as one of low confidence: below one half
            all other phases together are as probable as the one that was named.
        novel: novelty above which a picture counts as unlike the training pictures; 1.0 is the 99th percentile of
            unseen pictures of the models' own kind.
        uncertain_novel_share: five times the share of novel pictures that the calibration lets one expect.
        foreign_novel_share: a quarter of all pictures unlike the training pictures is another domain, not chance.
        uncertain_mean_confidence: mean calibrated phase confidence below which the phases need a second look.
        uncertain_low_share: share of low-confidence frames above which they do.
        uncertain_detection_score: mean detection score below which the instruments do; scores start at 0.5.
        novelty_required: whether a report without measured novelty is uncertain: confidence alone may stay high on
            pictures of another domain (Hendrycks and Gimpel, ICLR 2017). A hospital may turn it off after validation.
        dark_brightness: mean luma (0–255) below which a picture is called dark.
        blurred_sharpness: variance of the Laplacian below which a picture is called blurred (see `frames/quality`).
        warned_share: share of frozen, dark or blurred frames from which on the report warns.
        max_key_frames: pictures in a report; bounds its size and the reader's time.
        max_warned_spans: the longest spans named with a quality warning.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    languages: tuple[Literal["en", "ru"], ...] = Field(default=("en", "ru"), min_length=1)
    low_confidence: float = Field(default=0.5, ge=0, le=1)
    novel: float = Field(default=1.0, ge=0)
    uncertain_novel_share: float = Field(default=0.05, ge=0, le=1)
    foreign_novel_share: float = Field(default=0.25, ge=0, le=1)
    uncertain_mean_confidence: float = Field(default=0.7, ge=0, le=1)
    uncertain_low_share: float = Field(default=0.2, ge=0, le=1)
    uncertain_detection_score: float = Field(default=0.6, ge=0, le=1)
    novelty_required: bool = True
    dark_brightness: float = Field(default=40.0, ge=0, le=255)
    blurred_sharpness: float = Field(default=20.0, ge=0)
    warned_share: float = Field(default=0.02, ge=0, le=1)
    max_key_frames: int = Field(default=24, ge=1, le=200)
    max_warned_spans: int = Field(default=5, ge=1, le=50)
