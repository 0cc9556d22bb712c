"""The gate's answer: promoted or rejected, and why (NV-053…058).

Belongs here: the order of the questions before a candidate is registered. Does not belong here: acting on the answer
(``promotion``).
"""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict

from neurovision_assets.training.evaluation.report import EvaluationReport
from neurovision_assets.training.gate.comparison import Comparison, check_better, compare
from neurovision_assets.training.gate.config import GateConfig
from neurovision_assets.training.gate.refusal import Refusal
from neurovision_assets.training.gate.thresholds import check_thresholds

RESAMPLING_SEED = 0


class Verdict(BaseModel):
    """How a retraining ended.

    Attributes:
        status: promoted or rejected.
        reason: of a rejection, empty otherwise.
        detail: a sentence with the figures.
        stage: where the version stands in MLflow: ``Production``, ``Staging``, empty where it was not registered.
        version: number in the runtime repository; None where it is not served.
        release: semantic version, empty where it was not registered.
        comparison: with the model that was served.
        passed: staging tests that were passed, a line each.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    status: Literal["promoted", "rejected"]
    reason: str = ""
    detail: str = ""
    stage: Literal["", "Staging", "Production"] = ""
    version: int | None = None
    release: str = ""
    comparison: Comparison | None = None
    passed: tuple[str, ...] = ()


def comparison_of(report: EvaluationReport, config: GateConfig) -> Comparison:
    """Candidate against the served model, by the gate's figure."""
    ours, theirs = report.of_videos(config.figure)
    return compare(ours, theirs, figure=config.figure, confidence=config.confidence, seed=RESAMPLING_SEED)


def questions(report: EvaluationReport, config: GateConfig) -> Refusal | None:
    """What is asked before a candidate is registered: its own figures, then the served model's."""
    return check_thresholds(report.candidate.metrics, config.thresholds) or check_better(comparison_of(report, config))
