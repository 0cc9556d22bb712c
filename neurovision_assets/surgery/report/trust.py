"""How far the report can be believed: the models' confidence, the pictures' novelty, the recording's quality.

Belongs here: the verdict, quality warnings, curves over time. Does not belong here: what was found (`findings`).
"""

from __future__ import annotations

import math

import numpy as np

from neurovision_assets.surgery.report.config import ReportConfig
from neurovision_assets.surgery.report.findings import area_curves, binned_mean
from neurovision_assets.surgery.report.inputs import Array, ReportTables, column, mean, share
from neurovision_assets.surgery.report.model import (
    DecodingLoss,
    Quality,
    QualityWarning,
    Series,
    Span,
    Trust,
    TrustReason,
    Verdict,
    WarningKind,
)

JITTER = 1.2
"""A step is a little longer than the usual interval: true times waver by a source frame, and a step without a frame
would tear the curve."""

MAX_SERIES_STEPS = 300
"""More steps than a chart has room for would only make the file larger."""


def trust(tables: ReportTables, config: ReportConfig) -> Trust:
    """The verdict, its reasons, and the figures behind it."""
    novel = low = confidence = detection = None
    if tables.novelty is not None:
        novelty = column(tables.novelty, "novelty").astype(np.float64)
        novelty = novelty[~np.isnan(novelty)]
        novel = share((novelty > config.novel).mean()) if len(novelty) else None
    if tables.phases is not None and tables.phases.num_rows:
        confidences = column(tables.phases, "confidence")
        confidence, low = mean(confidences), share((confidences < config.low_confidence).mean())
    if tables.detections is not None:
        detection = mean(column(tables.detections, "score"))
    reasons = _reasons(novel, confidence, low, detection, config)
    return Trust(
        verdict=_verdict(reasons),
        reasons=reasons,
        mean_phase_confidence=confidence,
        low_confidence_share=low,
        novel_share=novel,
        mean_detection_score=detection,
    )


def _reasons(
    novel: float | None, confidence: float | None, low: float | None, detection: float | None, config: ReportConfig
) -> tuple[TrustReason, ...]:
    foreign = novel is not None and novel > config.foreign_novel_share
    checks: tuple[tuple[TrustReason, bool], ...] = (
        ("novel-pictures", foreign),
        ("some-novel-pictures", not foreign and novel is not None and novel > config.uncertain_novel_share),
        ("low-mean-confidence", confidence is not None and confidence < config.uncertain_mean_confidence),
        ("many-low-confidence-frames", low is not None and low > config.uncertain_low_share),
        ("low-detection-score", detection is not None and detection < config.uncertain_detection_score),
        ("novelty-not-measured", novel is None and config.novelty_required),
        ("phases-not-measured", confidence is None),
    )
    return tuple(reason for reason, holds in checks if holds)


def _verdict(reasons: tuple[TrustReason, ...]) -> Verdict:
    if "novel-pictures" in reasons:
        return "out-of-domain"
    return "uncertain" if reasons else "reliable"


def quality(tables: ReportTables, decoding: DecodingLoss, duration_ms: int, config: ReportConfig) -> Quality:
    """Shares of bad frames, and warnings from the configured share on; every loss while decoding is a warning."""
    frames = tables.frames.sort_by("frame_index")
    times = column(frames, "timestamp_ms")
    flaws: dict[WarningKind, Array] = {
        "frozen": column(frames, "frozen").astype(bool),
        "dark": column(frames, "brightness") < config.dark_brightness,
        "blurred": column(frames, "sharpness") < config.blurred_sharpness,
    }
    shares = {kind: share(flags.mean()) if len(flags) else 0.0 for kind, flags in flaws.items()}
    warnings = [
        QualityWarning(kind=kind, share=shares[kind], spans=_longest(flags, times, duration_ms, config))
        for kind, flags in flaws.items()
        if len(flags) and shares[kind] >= config.warned_share
    ]
    lost_ms = decoding.lost_ms + decoding.missing_ms
    if decoding.lost_packets or lost_ms:
        whole_ms = max(1, duration_ms + decoding.missing_ms)
        warnings.append(QualityWarning(kind="lost", share=share(min(1.0, lost_ms / whole_ms))))
    return Quality(
        frame_count=frames.num_rows,
        frozen_share=shares["frozen"],
        dark_share=shares["dark"],
        blurred_share=shares["blurred"],
        lost_packets=decoding.lost_packets,
        lost_ms=lost_ms,
        warnings=tuple(warnings),
    )


def _longest(flags: Array, times_ms: Array, duration_ms: int, config: ReportConfig) -> tuple[Span, ...]:
    """The longest runs of flagged frames, in time's order; a run ends where the next good frame begins."""
    edges = np.flatnonzero(np.diff(np.concatenate(([0], flags.astype(np.int8), [0]))))
    ends = np.append(times_ms, max(duration_ms, int(times_ms[-1])))
    runs = [(int(times_ms[first]), int(ends[last])) for first, last in edges.reshape(-1, 2)]
    longest = sorted(runs, key=lambda run: (run[0] - run[1], run[0]))[: config.max_warned_spans]
    return tuple(Span(start_ms=start, end_ms=end) for start, end in sorted(longest))


def series(tables: ReportTables, duration_ms: int) -> Series:
    """Curves for charts, in steps that are no finer than the stored frames."""
    times = np.sort(column(tables.frames, "timestamp_ms"))
    spacing = float(np.median(np.diff(times))) if len(times) > 1 else duration_ms
    step_ms = max(1, math.ceil(spacing * JITTER), math.ceil(duration_ms / MAX_SERIES_STEPS))
    steps = max(1, math.ceil(duration_ms / step_ms))

    def curve(table: object, name: str) -> tuple[float | None, ...] | None:
        if table is None:
            return None
        values = column(table, name).astype(np.float64)
        return None if np.isnan(values).all() else binned_mean(column(table, "timestamp_ms"), values, step_ms, steps)

    return Series(
        step_ms=step_ms,
        phase_confidence=curve(tables.phases, "confidence"),
        novelty=curve(tables.novelty, "novelty"),
        area_fraction=area_curves(tables.anatomy, step_ms, steps),
    )
