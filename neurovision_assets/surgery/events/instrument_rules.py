"""Events that follow from which instruments are in use: clips, exchanges, idle times.

Belongs here: rules over uses. Does not belong here: finding uses (`instruments.usage`), thresholds (``rules.yaml``).
"""

from __future__ import annotations

import numpy as np

from neurovision_assets.surgery.events.ruleset import ClipRule, ExchangeRule, IdleRule
from neurovision_assets.surgery.events.scene import Event, Scene, Use, figures
from neurovision_assets.surgery.events.signals import Signal, tip_area, usual_level
from neurovision_assets.surgery.events.spans import spans_above

MEDIAN = 50.0


def find_clips(rule: ClipRule, scene: Scene) -> list[Event]:
    """Closings of the clipper's jaws in uses in its phase that ended while the camera still looked.

    A use in which no closing is seen, or whose boxes are not known, is one event: clips were set, nobody can say when.
    """
    shrinking = _shrinking(rule, scene)
    events = []
    for use in scene.uses:
        in_phase = [
            (min(use.end_ms, segment.end_ms) - max(use.start_ms, segment.start_ms), segment)
            for segment in scene.segments
            if segment.phase == rule.phase and segment.start_ms < use.end_ms and segment.end_ms > use.start_ms
        ]
        length = use.end_ms - use.start_ms
        inside = sum(overlap for overlap, _ in in_phase)
        withdrawn = bool((scene.inside & (scene.clock.start_ms >= use.end_ms)).any())
        if (
            use.instrument != rule.instrument
            or length < rule.min_duration_ms
            or inside < rule.min_phase_share * length
            or not in_phase
            or not withdrawn
        ):
            continue
        confidence = sum(overlap * segment.confidence for overlap, segment in in_phase) / inside
        told = {"in_use_ms": length, "phase_share": inside / length, "phase_confidence": confidence}
        closings = _closings(rule, scene, use, shrinking)
        events += [_clip(rule, scene, use, span, told) for span in closings or [(use.start_ms, use.end_ms)]]
    return events


def find_exchanges(rule: ExchangeRule, scene: Scene) -> list[Event]:
    """Ends of uses with the nearest beginning of a use of another class; each use comes and goes in one exchange.

    What goes must not come back in that time, and what comes must not have been there: when the camera is taken out and
    put in again, everything goes and comes, and nothing was exchanged.
    """
    by_class = {
        use.instrument: [other for other in scene.uses if other.instrument == use.instrument] for use in scene.uses
    }
    candidates = sorted(
        (abs(new.start_ms - old.end_ms), old.end_ms, old_place, new_place)
        for old_place, old in enumerate(scene.uses)
        for new_place, new in enumerate(scene.uses)
        if old.instrument != new.instrument
        and old.start_ms < new.start_ms
        and old.end_ms < new.end_ms
        and -rule.max_overlap_ms <= new.start_ms - old.end_ms <= rule.max_gap_ms
        and not any(0 < use.start_ms - old.end_ms <= rule.max_gap_ms for use in by_class[old.instrument])
        and not any(0 < new.start_ms - use.end_ms <= rule.max_gap_ms for use in by_class[new.instrument])
    )
    gone: set[int] = set()
    come: set[int] = set()
    events = []
    for _, _, old_place, new_place in candidates:
        if old_place not in gone and new_place not in come:
            gone.add(old_place)
            come.add(new_place)
            events.append(_exchange(rule, scene, scene.uses[old_place], scene.uses[new_place]))
    return events


def find_idle(rule: IdleRule, scene: Scene) -> list[Event]:
    """Stretches inside the body in which nothing is in use.

    A detector misses an instrument for a moment more easily than for long, so that the score rises with the length: one
    half at the least length, one at twice of it.
    """
    seen = scene.inside_except(rule.except_phases)
    free = np.where(seen, np.where(scene.during(scene.uses), 0.0, 1.0), np.nan)
    events = []
    spans = spans_above(free, scene.clock, enter=1, leave=1, min_duration_ms=rule.min_duration_ms, merge_gap_ms=0)
    for span in spans:
        start, end = int(scene.clock.start_ms[span.first]), int(scene.clock.end_ms[span.last])
        events.append(
            Event(
                kind=rule.kind,
                start_ms=start,
                end_ms=end,
                score=min(1.0, (end - start) / (2 * rule.min_duration_ms)),
                rule=rule.name,
                detail=figures(idle_ms=end - start, frames=span.last - span.first + 1),
                evidence_frames=scene.clock.evidence(span.first, (span.first + span.last) // 2, span.last),
            )
        )
    return events


def _shrinking(rule: ClipRule, scene: Scene) -> Signal:
    """By which share of its usual area the box around the tip has become smaller, float64 [n]."""
    clock = scene.clock
    if scene.inputs.boxes is None:
        return np.full(len(clock.start_ms), np.nan)
    area = tip_area(clock.frame_index, scene.inputs.boxes, rule.instrument)
    usual = usual_level(area, clock.start_ms, rule.closing_window_ms, MEDIAN)
    return 1 - area / np.maximum(usual, 1.0)


def _closings(rule: ClipRule, scene: Scene, use: Use, shrinking: Signal) -> list[tuple[int, int]]:
    """Beginnings and ends of stretches of the use in which the jaws are closed."""
    at_work = scene.clock.within(use.start_ms + rule.closing_margin_ms, use.end_ms - rule.closing_margin_ms)
    own = np.where(at_work, shrinking, np.nan)
    least = 1 - rule.closing_share
    spans = spans_above(own, scene.clock, enter=least, leave=least, min_duration_ms=0, merge_gap_ms=0)
    return [(int(scene.clock.start_ms[span.first]), int(scene.clock.end_ms[span.last])) for span in spans]


def _clip(rule: ClipRule, scene: Scene, use: Use, span_ms: tuple[int, int], told: dict[str, float]) -> Event:
    start_ms, end_ms = span_ms
    return Event(
        kind=rule.kind,
        start_ms=start_ms,
        end_ms=end_ms,
        score=use.score * told["phase_confidence"],
        rule=rule.name,
        detail=figures(instrument=use.instrument, instrument_score=use.score, **told),
        evidence_frames=scene.clock.evidence_of(start_ms, end_ms),
    )


def _exchange(rule: ExchangeRule, scene: Scene, old: Use, new: Use) -> Event:
    """From the last frame with the old instrument to the end of the first one with the new."""
    clock = scene.clock
    last_old = max(0, int(np.searchsorted(clock.start_ms, old.end_ms)) - 1)
    first_new = int(np.searchsorted(clock.start_ms, new.start_ms))
    first, last = min(last_old, first_new), max(last_old, first_new)
    return Event(
        kind=rule.kind,
        start_ms=int(clock.start_ms[first]),
        end_ms=int(clock.end_ms[last]),
        score=min(old.score, new.score),
        rule=rule.name,
        detail=figures(gone=old.instrument, come=new.instrument, gap_ms=new.start_ms - old.end_ms),
        evidence_frames=clock.evidence(first, last),
    )
