"""Sentences that more than one format says: reasons of the verdict, what is missing, quality warnings.

Belongs here: filling texts with a report's figures. Does not belong here: the texts (``locales``), markup.
"""

from __future__ import annotations

from neurovision_assets.surgery.report.model import Event, MissingComponent, QualityWarning, Report, TrustReason
from neurovision_assets.surgery.report.texts import Words

TRUST_FIGURES = ("mean_phase_confidence", "low_confidence_share", "novel_share", "mean_detection_score")

MS_PER_S = 1000
SHARES = frozenset({"peak", "usual", "mean", "unfamiliar"})
"""Figures of findings that are shares of one."""


def facts(report: Report, words: Words) -> list[tuple[str, str]]:
    """What is known of operation and recording: text key of the name, value; what nobody gave is left out."""
    video = report.video
    recorded = words.text(
        "recorded", width=video.width_px, height=video.height_px, fps=words.plain(video.fps), codec=video.codec
    )
    pairs = [
        ("operation", video.operation_id),
        ("surgeon", video.surgeon),
        ("department", video.department),
        ("date", words.day(video.date) if video.date else None),
        ("patient", video.patient_pseudonym),
        ("duration", words.duration(video.duration_ms)),
        ("recording", recorded),
        ("profile", report.profile),
    ]
    if video.operation_id is None:
        pairs.insert(0, ("video_id", video.video_id))
    return [(key, value) for key, value in pairs if value]


def trust_figure(report: Report, name: str, words: Words) -> str:
    """One of `TRUST_FIGURES` as text; a score stays a score, shares and probabilities become percent."""
    value: float | None = getattr(report.trust, name)
    if value is None:
        return words.text("not_measured")
    return words.number(value) if name == "mean_detection_score" else words.percent(value)


def reason(report: Report, name: TrustReason, words: Words) -> str:
    """Why the verdict is what it is."""
    trust, config = report.trust, report.config
    if name in ("novel-pictures", "some-novel-pictures"):
        return words.text(f"reason_{name}", share=words.percent(trust.novel_share))
    if name == "low-mean-confidence":
        limit = words.percent(config.uncertain_mean_confidence)
        return words.text(f"reason_{name}", confidence=words.percent(trust.mean_phase_confidence), limit=limit)
    if name == "many-low-confidence-frames":
        return words.text(f"reason_{name}", share=words.percent(trust.low_confidence_share))
    if name == "low-detection-score":
        limit = words.number(config.uncertain_detection_score)
        return words.text(f"reason_{name}", score=words.number(trust.mean_detection_score), limit=limit)
    return words.text(f"reason_{name}")


def missing(report: Report, item: MissingComponent, words: Words) -> str:
    """What is missing and why."""
    sentence = words.text(f"missing_{item.reason}", component=words.component(item.component), profile=report.profile)
    return f"{sentence} {words.text('missing_detail', detail=item.detail)}" if item.detail else sentence


def warning(report: Report, item: QualityWarning, words: Words) -> str:
    """A flaw of the recording, with its longest stretches."""
    if item.kind == "lost":
        packets = words.count("packet", report.quality.lost_packets)
        return words.text("quality_lost", time=words.duration(report.quality.lost_ms), packets=packets)
    sentence = words.text(f"quality_{item.kind}", share=words.percent(item.share))
    spans = ", ".join(words.span(span.start_ms, span.end_ms) for span in item.spans)
    return f"{sentence} {words.text('quality_spans', spans=spans)}"


def finding(event: Event, words: Words) -> str:
    """What a rule saw, as a sentence; the figures themselves where a user's own rule tells others."""
    figures = dict(pair.split("=", 1) for pair in event.detail.split() if "=" in pair)
    told = {name: _told(name, value, words) for name, value in figures.items()}
    try:
        sentence = words.text(f"finding_{event.kind}", **told)
    except KeyError:
        return event.detail
    return f"{sentence} {words.text('finding_unfamiliar', **told)}" if "unfamiliar" in told else sentence


def _told(name: str, value: str, words: Words) -> str:
    """One figure of a finding in words; its name tells its unit, as column names do."""
    if name in ("gone", "come", "instrument"):
        return words.name("instrument", value)
    if name in ("phase", "of"):
        return words.name("phase", value)
    if name == "stands":
        return words.text(f"finding_{value}")
    if name.endswith("_ms"):
        return words.duration(int(float(value)))
    if name.endswith("_s"):
        return words.duration(round(float(value) * MS_PER_S))
    return words.percent(float(value)) if name in SHARES else value
