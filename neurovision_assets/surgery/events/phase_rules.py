"""Events that follow from phases alone: against the usual order, longer than usual.

Belongs here: rules over segments. Does not belong here: the usual course (`reference`), thresholds (``rules.yaml``).
"""

from __future__ import annotations

from itertools import groupby

from neurovision_assets.surgery.events.ruleset import LongPhaseRule, OrderRule
from neurovision_assets.surgery.events.scene import Event, Scene, Segment, figures

MS_PER_S = 1000


def find_out_of_order(rule: OrderRule, scene: Scene) -> list[Event]:
    """Segments that must be left out so that the others come in the reference order.

    Of all sequences of segments with ranks that never fall, the one with the greatest sum of length times confidence is
    taken as the course of the operation (heaviest non-decreasing subsequence); what is not in it stands out of order.
    So one wrong segment early on does not put everything after it out of order.
    """
    ranked = [
        (segment, reference.rank)
        for segment in scene.segments
        if segment.confidence >= rule.min_confidence and segment.duration_ms >= rule.min_duration_ms
        for reference in [scene.reference.phase(segment.phase)]
        if reference is not None
    ]
    course = heaviest_course([rank for _, rank in ranked], [s.duration_ms * s.confidence for s, _ in ranked])
    events = []
    for place, (segment, rank) in enumerate(ranked):
        if place in course:
            continue
        against = [ranked[other][0] for other in sorted(course) if (ranked[other][1] - rank) * (place - other) > 0]
        events.append(_out_of_order(rule, scene, segment, against))
    return events


def heaviest_course(ranks: list[int], weights: list[float]) -> frozenset[int]:
    """Places of the non-decreasing subsequence with the greatest weight; the earlier one of two equals."""
    best: list[tuple[float, int]] = []
    for place, (rank, weight) in enumerate(zip(ranks, weights, strict=True)):
        before = max(((best[other][0], -other) for other in range(place) if ranks[other] <= rank), default=(0.0, 1))
        best.append((before[0] + weight, -before[1]))
    place = max(range(len(best)), key=lambda at: (best[at][0], -at), default=-1)
    course = set()
    while place >= 0:
        course.add(place)
        place = best[place][1]
    return frozenset(course)


def find_long_phases(rule: LongPhaseRule, scene: Scene) -> list[Event]:
    """Phases whose segments together take longer than the reference's limit; the event is the longest segment."""
    events = []
    by_name = sorted(scene.segments, key=lambda segment: segment.phase)
    for name, group in groupby(by_name, key=lambda segment: segment.phase):
        segments = list(group)
        reference = scene.reference.phase(name)
        total_ms = sum(segment.duration_ms for segment in segments)
        confidence = sum(segment.confidence * segment.duration_ms for segment in segments) / max(total_ms, 1)
        if reference is None or reference.durations is None or confidence < rule.min_confidence:
            continue
        limit_s = reference.durations.limit_s
        if total_ms <= limit_s * MS_PER_S:
            continue
        longest = max(segments, key=lambda segment: segment.duration_ms)
        events.append(
            Event(
                kind=rule.kind,
                start_ms=longest.start_ms,
                end_ms=longest.end_ms,
                score=confidence,
                rule=rule.name,
                detail=figures(
                    phase=name,
                    total_s=round(total_ms / MS_PER_S),
                    limit_s=round(limit_s),
                    median_s=round(reference.durations.median_s),
                    reference_operations=reference.durations.operations,
                    confidence=confidence,
                ),
                evidence_frames=scene.clock.evidence_of(longest.start_ms, longest.end_ms),
            )
        )
    return events


def _out_of_order(rule: OrderRule, scene: Scene, segment: Segment, against: list[Segment]) -> Event:
    """The event, with the phases that the segment contradicts; only as sure as both sides are."""
    later = [other for other in against if other.start_ms < segment.start_ms]
    word = "after" if later else "before"
    contradicted = max(later or against, key=lambda other: other.duration_ms)
    return Event(
        kind=rule.kind,
        start_ms=segment.start_ms,
        end_ms=segment.end_ms,
        score=min(segment.confidence, contradicted.confidence),
        rule=rule.name,
        detail=figures(
            phase=segment.phase,
            stands=word,
            of=contradicted.phase,
            confidence=segment.confidence,
            other_confidence=contradicted.confidence,
        ),
        evidence_frames=scene.clock.evidence_of(segment.start_ms, segment.end_ms),
    )
