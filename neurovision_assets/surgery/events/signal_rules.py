"""Events that show as a signal above its usual level: bleeding, smoke, views from outside.

Belongs here: the threshold rule. Does not belong here: the signals themselves (`signals`), hysteresis (`spans`).
"""

from __future__ import annotations

import numpy as np

from neurovision_assets.surgery.events.ruleset import Support, ThresholdRule
from neurovision_assets.surgery.events.scene import Event, Scene, figures
from neurovision_assets.surgery.events.signals import Signal, area_signal, usual_level
from neurovision_assets.surgery.events.spans import Clock, Flags, FrameSpan, spans_above

BLOOD = "blood"
MEDIAN = 50.0
HALF_SURE = 0.5
"""Score of an event that just reaches its threshold."""


def find_threshold(rule: ThresholdRule, scene: Scene) -> list[Event]:
    """Spans in which the rule's signal is high.

    The score is one half at the threshold and rises to one at ``full``, times the model's confidence in what it saw and
    the plausibility that the rule asks for.
    """
    signal, confidence = _signal(rule, scene)
    clock = scene.clock
    usual = np.zeros_like(signal)
    if rule.baseline_window_ms is not None:
        usual = usual_level(signal, clock.start_ms, rule.baseline_window_ms, rule.baseline_percentile)
    excess = np.where(_even(rule, scene), np.minimum(signal - usual, 0.0), signal - usual)
    spans = spans_above(
        excess,
        clock,
        enter=rule.enter,
        leave=rule.leave,
        min_duration_ms=rule.min_duration_ms,
        merge_gap_ms=rule.merge_gap_ms,
    )
    reaching = [_reach(rule, clock, span, excess) for span in spans]
    events = [_event(rule, scene, span, signal, usual, confidence) for span in reaching]
    return [event for event in events if _is_plausible(rule, scene, event)]


def _signal(rule: ThresholdRule, scene: Scene) -> tuple[Signal, Signal]:
    """The rule's signal and the confidence in it, float64 [n] each; no value where it is not looked at."""
    if rule.signal == "blood_area":
        signal, confidence = area_signal(scene.clock.frame_index, scene.inputs.anatomy, BLOOD)
    else:
        signal = getattr(scene.inputs.pictures, rule.signal)
        confidence = np.ones_like(signal)
    return np.where(scene.inside_except(rule.except_phases), signal, np.nan), confidence


def _even(rule: ThresholdRule, scene: Scene) -> Flags:
    """Frames in which the veil is more even than usual, bool [n]; none where the rule does not ask."""
    pictures = scene.inputs.pictures
    if rule.uneven is None or pictures is None:
        return np.zeros(len(scene.clock.start_ms), dtype=bool)
    spread = np.where(scene.inside, pictures.spread, np.nan)
    usual = usual_level(spread, scene.clock.start_ms, rule.baseline_window_ms or scene.inputs.duration_ms, MEDIAN)
    return spread < rule.uneven * usual


def _reach(rule: ThresholdRule, clock: Clock, span: FrameSpan, excess: Signal) -> FrameSpan:
    """The span from the foot of its rise to where it has fallen to a share of its peak."""
    first = span.first
    earliest_ms = clock.start_ms[first] - rule.rise_ms
    while first > 0 and excess[first - 1] < excess[first] and clock.start_ms[first - 1] >= earliest_ms:
        first -= 1
    inside = excess[span.first : span.last + 1]
    last = span.first + int(np.flatnonzero(inside >= rule.end_share * inside.max())[-1])
    return FrameSpan(first, last)


def _event(
    rule: ThresholdRule, scene: Scene, span: FrameSpan, signal: Signal, usual: Signal, confidence: Signal
) -> Event:
    places = slice(span.first, span.last + 1)
    excess = signal[places] - usual[places]
    mean = float(excess.mean())
    level = HALF_SURE + (1 - HALF_SURE) * (mean - rule.enter) / (rule.full - rule.enter)
    sure = float(np.average(confidence[places], weights=np.maximum(excess, 0) + np.finfo(float).eps))
    start, end = int(scene.clock.start_ms[span.first]), int(scene.clock.end_ms[span.last])
    support = _support(rule.supported_by, scene, start, end)
    peak = span.first + int(excess.argmax())
    return Event(
        kind=rule.kind,
        start_ms=start,
        end_ms=end,
        score=float(np.clip(level, 0, 1)) * sure * support,
        rule=rule.name,
        detail=figures(
            signal=rule.signal,
            peak=float(signal[peak]),
            mean=float(signal[places].mean()),
            usual=float(usual[places].mean()),
            confidence=sure,
            support=support,
        ),
        evidence_frames=scene.clock.evidence(span.first, peak, span.last),
    )


def _is_plausible(rule: ThresholdRule, scene: Scene, event: Event) -> bool:
    """Whether it is long enough for what speaks for it."""
    support = rule.supported_by
    if support is None or event.end_ms - event.start_ms >= support.min_duration_without_ms:
        return True
    return _is_supported(support, scene, event.start_ms, event.end_ms)


def _support(support: Support | None, scene: Scene, start_ms: int, end_ms: int) -> float:
    """Plausibility of an event, 0..1."""
    return 1.0 if support is None or _is_supported(support, scene, start_ms, end_ms) else support.score_without


def _is_supported(support: Support, scene: Scene, start_ms: int, end_ms: int) -> bool:
    """Whether one of the instruments was in use; what cannot be looked up does not count against it."""
    return scene.inputs.instruments is None or any(
        use.instrument in support.instruments and use.start_ms < end_ms and use.end_ms >= start_ms - support.within_ms
        for use in scene.uses
    )
