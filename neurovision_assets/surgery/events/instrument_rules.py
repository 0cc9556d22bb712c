"""Events that follow from which instruments are in use: clips, exchanges, idle times.

Belongs here: rules over uses. Does not belong here: finding uses (`instruments.usage`), thresholds (``rules.yaml``).
"""

from __future__ import annotations

import numpy as np

from neurovision_assets.surgery.events.ruleset import ClipRule, ExchangeRule, IdleRule
from neurovision_assets.surgery.events.scene import Event, Scene, Use, figures
from neurovision_assets.surgery.events.spans import spans_above


def find_clips(rule: ClipRule, scene: Scene) -> list[Event]:
    """Uses of the clipper in its phase that ended while the camera still looked."""
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
        phase_confidence = sum(overlap * segment.confidence for overlap, segment in in_phase) / inside
        events.append(
            Event(
                kind=rule.kind,
                start_ms=use.start_ms,
                end_ms=use.end_ms,
                score=use.score * phase_confidence,
                rule=rule.name,
                detail=figures(
                    instrument=use.instrument,
                    in_use_ms=length,
                    phase_share=inside / length,
                    instrument_score=use.score,
                    phase_confidence=phase_confidence,
                ),
                evidence_frames=scene.clock.evidence_of(use.start_ms, use.end_ms),
            )
        )
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
