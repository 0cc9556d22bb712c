"""Finds all events of an operation: every rule that can run, in the right order.

Belongs here: which rule runs on what, and the table. Does not belong here: how a rule decides (`signal_rules`,
`instrument_rules`, `phase_rules`), thresholds (``rules.yaml``).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from neurovision_assets.schemas import EVENTS
from neurovision_assets.surgery.events.instrument_rules import find_clips, find_exchanges, find_idle
from neurovision_assets.surgery.events.phase_rules import find_long_phases, find_out_of_order
from neurovision_assets.surgery.events.reference import PhaseReference
from neurovision_assets.surgery.events.ruleset import (
    ClipRule,
    ExchangeRule,
    IdleRule,
    LongPhaseRule,
    OrderRule,
    Rule,
    RuleSet,
    ThresholdRule,
)
from neurovision_assets.surgery.events.scene import Event, EventInputs, Scene
from neurovision_assets.surgery.events.signal_rules import find_threshold

OUT_OF_BODY = "out-of-body"
FINDERS: dict[type[Rule], Callable[[Any, Scene], list[Event]]] = {
    ThresholdRule: find_threshold,
    ClipRule: find_clips,
    ExchangeRule: find_exchanges,
    IdleRule: find_idle,
    OrderRule: find_out_of_order,
    LongPhaseRule: find_long_phases,
}


@dataclass(frozen=True)
class RuleNotRun:
    """A rule that could not run.

    Attributes:
        rule: its name.
        kind: of the events that are not looked for.
        missing: inputs that are absent, sorted.
    """

    rule: str
    kind: str
    missing: tuple[str, ...]


@dataclass(frozen=True)
class FoundEvents:
    """The result.

    Attributes:
        table: `schemas.EVENTS`, in order of time.
        not_run: rules without their inputs; what they look for may have happened unseen.
    """

    table: pa.Table
    not_run: tuple[RuleNotRun, ...]


def find_events(inputs: EventInputs, rules: RuleSet, reference: PhaseReference) -> FoundEvents:
    """Run every rule whose inputs are there.

    Views from outside the body come first: the other rules look at the inside only.

    Args:
        inputs: what the stages before found.
        rules: the rules.
        reference: the usual course of an operation.
    """
    missing = inputs.missing
    able = [rule for rule in rules.rules if not rule.needs & missing]
    everywhere = Scene(inputs, reference, np.zeros(len(inputs.clock.start_ms), dtype=bool))
    outside = [event for rule in able if rule.kind == OUT_OF_BODY for event in _run(rule, everywhere)]
    seen_outside = everywhere.outside.copy()
    for event in outside:
        seen_outside |= inputs.clock.within(event.start_ms, event.end_ms)
    scene = Scene(inputs, reference, seen_outside)
    inside = [event for rule in able if rule.kind != OUT_OF_BODY for event in _run(rule, scene)]
    not_run = tuple(
        RuleNotRun(rule.name, rule.kind, tuple(sorted(rule.needs & missing)))
        for rule in rules.rules
        if rule not in able
    )
    return FoundEvents(_table([*outside, *inside], rules.version), not_run)


def _run(rule: Rule, scene: Scene) -> list[Event]:
    return FINDERS[type(rule)](rule, scene)


def _table(events: list[Event], rule_version: str) -> pa.Table:
    ordered = sorted(events, key=lambda event: (event.start_ms, event.end_ms, event.kind, event.rule))
    rows = [
        {
            "event_index": number,
            "kind": event.kind,
            "start_ms": event.start_ms,
            "end_ms": event.end_ms,
            "duration_ms": event.end_ms - event.start_ms,
            "score": min(max(event.score, 0.0), 1.0),
            "rule": event.rule,
            "rule_version": rule_version,
            "detail": event.detail,
            "evidence_frames": event.evidence_frames,
        }
        for number, event in enumerate(ordered)
    ]
    return pa.Table.from_pylist(rows, schema=EVENTS.arrow_schema)
