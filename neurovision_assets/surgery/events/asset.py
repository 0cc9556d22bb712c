"""The asset ``surgery/events``: what happened, told by rules.

Belongs here: the recipe. Does not belong here: rules, thresholds (data) and signals.
"""

from neurovision_assets.artifacts import MAIN_TABLE
from neurovision_assets.schemas import EVENTS as CONTRACT
from neurovision_assets.stage.recipe import stage_recipe
from neurovision_assets.stage.work import Outcome, Work
from neurovision_assets.surgery.events.config import EventsConfig
from neurovision_assets.surgery.events.familiarity import doubt_unfamiliar
from neurovision_assets.surgery.events.reference import load_reference
from neurovision_assets.surgery.events.rules import find_events
from neurovision_assets.surgery.events.ruleset import load_rules
from neurovision_assets.surgery.events.scene import EventInputs
from neurovision_assets.surgery.events.signals import AREA_COLUMNS, BOX_COLUMNS, picture_signals, reduction_for
from neurovision_assets.surgery.events.spans import Clock
from neurovision_assets.surgery.frames.asset import geometry_of, pictures_of
from neurovision_assets.surgery.instruments.asset import USES_PART
from neurovision_assets.surgery.phases.asset import SEGMENTS_PART
from neurovision_assets.surgery.pipeline import ANATOMY, EVENTS, FEATURES, FRAMES, INSTRUMENTS, PHASES, SURGERY
from neurovision_assets.surgery.previews import timeline_preview


@stage_recipe(SURGERY, EVENTS.name)
def events(work: Work[EventsConfig]) -> Outcome:
    """Bleeding, smoke, clips, exchanges, idle time and unusual phases, each with its rule and its pictures."""
    rules, reference = load_rules(work.config.rules_path), load_reference(work.config.reference_path)
    geometry = geometry_of(work)
    times = work.table(FRAMES.name, columns=["frame_index", "timestamp_ms"])
    duration_ms = work.facts(FRAMES.name)["duration_ms"]
    segments = work.table(PHASES.name, SEGMENTS_PART)
    inputs = EventInputs(
        clock=Clock.of(times["frame_index"].to_numpy(), times["timestamp_ms"].to_numpy(), duration_ms),
        duration_ms=duration_ms,
        pictures=picture_signals(pictures_of(work, reduction=reduction_for(geometry)), geometry),
        phases=segments,
        instruments=work.table(INSTRUMENTS.name, USES_PART),
        boxes=work.table(INSTRUMENTS.name, columns=list(BOX_COLUMNS)),
        anatomy=work.table(ANATOMY.name, columns=list(AREA_COLUMNS)) if work.has(ANATOMY.name) else None,
    )
    found = find_events(inputs, rules, reference)
    table = found.table
    if work.has(FEATURES.name):
        novelty = work.table(FEATURES.name, columns=["novelty"])["novelty"].to_numpy()
        table = doubt_unfamiliar(table, inputs.clock.start_ms, novelty)
    work.write(MAIN_TABLE, CONTRACT, table)
    bands = list(zip(*(segments[name].to_pylist() for name in ("phase", "start_ms", "end_ms")), strict=True))
    marks = list(zip(table["kind"].to_pylist(), table["start_ms"].to_pylist(), strict=True))
    return Outcome(
        counts={"rows": table.num_rows, "events": table.num_rows, "rules": rules.version},
        facts={"rules_not_run": [{"rule": item.rule, "missing": list(item.missing)} for item in found.not_run]},
        preview=timeline_preview(bands, marks, duration_ms),
    )
