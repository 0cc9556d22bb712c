"""Events: every kind of rule on a scene that has it and on one that has not, rules and reference as data.

Belongs here: rules on scenes made by hand. Does not belong here: whole operations (`test_events_on_operations`).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from pydantic import ValidationError

from neurovision_assets.schemas import ANATOMY, EVENT_KINDS, EVENTS, INSTRUMENT_USES, PHASE_SEGMENTS
from neurovision_assets.surgery.events.config import EventsConfig
from neurovision_assets.surgery.events.reference import load_reference
from neurovision_assets.surgery.events.rules import FoundEvents, find_events
from neurovision_assets.surgery.events.ruleset import load_rules
from neurovision_assets.surgery.events.scene import EventInputs
from neurovision_assets.surgery.events.signals import BOX_COLUMNS, PictureSignals
from resources.errors import ConfigurationError
from tests.event_scenes import FRAMES, clock, raised
from tests.rooms import INTERVAL_MS, violations

RULES = load_rules(EventsConfig().rules_path)
REFERENCE = load_reference(EventsConfig().reference_path)
DURATION_MS = FRAMES * INTERVAL_MS
TIDY = [("calot-triangle-dissection", 0, 60_000), ("clipping-and-cutting", 60_000, DURATION_MS)]


def pictures(**signals: np.ndarray) -> PictureSignals:
    calm = {"view": np.ones(FRAMES), "outside": np.zeros(FRAMES), "haze": np.full(FRAMES, 0.1)}
    calm["spread"] = np.full(FRAMES, 0.2)
    return PictureSignals(**(calm | signals))


def segments(rows: list[tuple[str, int, int]], confidence: float = 0.9) -> pa.Table:
    listed = [
        {
            "segment_index": i,
            "phase": p,
            "start_ms": s,
            "end_ms": e,
            "duration_ms": e - s,
            "mean_confidence": confidence,
        }
        for i, (p, s, e) in enumerate(rows)
    ]
    return pa.Table.from_pylist(listed, schema=PHASE_SEGMENTS.arrow_schema)


def uses(rows: list[tuple[str, int, int]]) -> pa.Table:
    listed = [
        {
            "instrument": name,
            "use_index": i,
            "start_ms": s,
            "end_ms": e,
            "duration_ms": e - s,
            "mean_score": 0.8,
            "frame_count": 2,
        }
        for i, (name, s, e) in enumerate(rows)
    ]
    return pa.Table.from_pylist(listed, schema=INSTRUMENT_USES.arrow_schema)


def blood(areas: np.ndarray) -> pa.Table:
    rows = [
        {"frame_index": i, "timestamp_ms": i * INTERVAL_MS, "structure": "blood", "class_id": 6, "area_px": 1}
        | {"area_fraction": area, "confidence": 0.5, "rle": "", "source_area_px": 1, "source_rle": ""}
        for i, area in enumerate(areas.tolist())
        if area > 0
    ]
    return pa.Table.from_pylist(rows, schema=ANATOMY.arrow_schema)


def boxes(instrument: str, side_px: np.ndarray) -> pa.Table:
    """A square box in every frame, with what rules read of detections."""
    columns = dict(
        zip(BOX_COLUMNS[3:], (np.zeros(len(side_px)), np.zeros(len(side_px)), side_px, side_px), strict=True)
    )
    frames = np.arange(len(side_px), dtype=np.int32)
    named = {"frame_index": frames, "instrument": [instrument] * len(frames), "score": np.ones(len(frames))}
    return pa.table(named | columns)


def found(**given_inputs: Any) -> FoundEvents:
    inputs: dict[str, Any] = {
        "clock": clock(),
        "duration_ms": DURATION_MS,
        "pictures": pictures(),
        "phases": segments(TIDY),
        "instruments": uses([("grasper", 0, DURATION_MS)]),
        "anatomy": blood(np.full(FRAMES, 0.004)),
    }
    result = find_events(EventInputs(**(inputs | given_inputs)), RULES, REFERENCE)
    assert violations(EVENTS, result.table) == []
    return result


def spans(result: FoundEvents, kind: str) -> list[tuple[int, int]]:
    return [(row["start_ms"], row["end_ms"]) for row in result.table.to_pylist() if row["kind"] == kind]


def test_every_kind_has_a_rule_and_a_quiet_operation_has_no_events() -> None:
    assert {rule.kind for rule in RULES.rules} == set(EVENT_KINDS)
    quiet = found()
    assert quiet.table.num_rows == 0
    assert quiet.not_run == ()


def test_bleeding_is_blood_over_its_usual_area() -> None:
    result = found(anatomy=blood(raised(100, 120, 0.04, 0.004)))
    assert spans(result, "bleeding") == [(49_500, 60_000)], "the frame before the rise is its foot"
    (event,) = result.table.to_pylist()
    assert event["rule_version"] == RULES.version
    assert "peak=0.04" in event["detail"]
    assert event["score"] == pytest.approx(0.5 * (0.5 + 0.5 * (0.036 * 20 / 21 - 0.012) / (0.04 - 0.012)), rel=1e-3)
    assert event["evidence_frames"] == [99, 100, 119]


def test_a_bleeding_begins_where_blood_springs_up_and_ends_when_half_of_it_is_gone() -> None:
    """A pool fills for 3 s from a fifth of what a bleeding must have, stays, and drains for 5 s to its rest."""
    areas = np.full(FRAMES, 0.004)
    areas[100:106] = [0.005, 0.006, 0.007, 0.012, 0.025, 0.036]
    areas[106:120] = 0.044
    areas[120:130] = np.linspace(0.04, 0.011, 10)
    (span,) = spans(found(anatomy=blood(areas)), "bleeding")
    half = 0.004 + 0.5 * (0.044 - 0.004)
    assert span == (49_500, (120 + int((areas[120:130] >= half).sum())) * INTERVAL_MS)


def test_the_foot_of_a_rise_is_not_looked_for_beyond_its_time_or_before_another_rise() -> None:
    slow = np.full(FRAMES, 0.004)
    slow[80:100] = np.linspace(0.0041, 0.0099, 20)
    slow[100:120] = 0.04
    (bleeding,) = [rule for rule in RULES.rules if rule.name == "blood-grows"]
    (span,) = spans(found(anatomy=blood(slow)), "bleeding")
    assert span[0] == 50_000 - bleeding.rise_ms
    before = np.full(FRAMES, 0.004)
    before[98:100] = [0.0085, 0.005]
    before[100:120] = 0.04
    assert spans(found(anatomy=blood(before)), "bleeding") == [(49_500, 60_000)]


def test_a_pool_that_was_always_there_is_no_bleeding() -> None:
    assert spans(found(anatomy=blood(np.full(FRAMES, 0.05))), "bleeding") == []


def test_smoke_is_surer_with_an_energy_instrument() -> None:
    haze = pictures(haze=raised(100, 110, 0.4, 0.1))
    without = found(pictures=haze)
    beside = found(pictures=haze, instruments=uses([("grasper", 0, DURATION_MS), ("hook", 44_000, 49_000)]))
    assert spans(without, "smoke") == spans(beside, "smoke") == [(50_000, 55_000)]
    scores = [result.table["score"].to_pylist()[0] for result in (without, beside)]
    assert scores[0] == pytest.approx(scores[1] / 2)


def test_an_even_veil_is_on_the_lens_and_smoke_after_it_is_smoke() -> None:
    haze, spread = raised(100, 120, 0.4, 0.1), raised(100, 110, 0.12, 0.2)
    assert (
        spans(found(pictures=pictures(haze=haze, spread=np.minimum(spread, raised(100, 120, 0.12, 0.2)))), "smoke")
        == []
    )
    spread[110:120] = 0.3
    assert spans(found(pictures=pictures(haze=haze, spread=spread)), "smoke") == [(55_000, 60_000)]


def test_a_veil_that_is_gone_at_once_is_smoke_only_with_an_energy_instrument() -> None:
    short = pictures(haze=raised(100, 103, 0.4, 0.1))
    assert spans(found(pictures=short, instruments=uses([("grasper", 0, DURATION_MS)])), "smoke") == []
    hook = uses([("grasper", 0, DURATION_MS), ("hook", 44_000, 49_000)])
    assert spans(found(pictures=short, instruments=hook), "smoke") == [(50_000, 51_500)]
    unknown = found(pictures=short, instruments=None)
    assert spans(unknown, "smoke") == [(50_000, 51_500)], "nobody looked for instruments"


def test_a_pale_wall_is_no_smoke() -> None:
    phases = segments([*TIDY[:1], ("port-closure", 60_000, DURATION_MS)])
    assert spans(found(pictures=pictures(haze=raised(150, 170, 0.4, 0.1)), phases=phases), "smoke") == []


def test_what_is_seen_outside_is_no_event_of_the_inside() -> None:
    away = {"outside": raised(100, 120, 0.8), "haze": raised(100, 120, 0.5, 0.1)}
    result = found(
        pictures=pictures(**away),
        instruments=uses([("grasper", 0, 50_000), ("grasper", 60_000, DURATION_MS)]),
        anatomy=blood(raised(100, 120, 0.1, 0.004)),
    )
    assert [row["kind"] for row in result.table.to_pylist()] == ["out-of-body"]
    assert spans(result, "out-of-body") == [(50_000, 60_000)]


def test_a_clip_is_the_clipper_come_and_gone_in_its_phase() -> None:
    rows = [("grasper", 0, DURATION_MS), ("clipper", 20_000, 26_000), ("clipper", 70_000, 80_000)]
    result = found(instruments=uses(rows))
    assert spans(result, "clip-applied") == [(70_000, 80_000)]
    assert result.table["score"].to_pylist() == pytest.approx([0.8 * 0.9])


def test_each_closing_of_the_jaws_is_a_clip() -> None:
    """The box around the tip shrinks twice while the clipper is at work, and also while it comes, goes and is away."""
    side = np.full(FRAMES, 100.0)
    side[[60, 140, 144, 145, 152, 159]] = 90.0
    rows = [("grasper", 0, DURATION_MS), ("clipper", 20_000, 36_000), ("clipper", 70_000, 80_000)]
    result = found(instruments=uses(rows), boxes=boxes("clipper", side))
    assert spans(result, "clip-applied") == [(72_000, 73_000), (76_000, 76_500)]
    assert all("in_use_ms=10000" in row["detail"] for row in result.table.to_pylist())
    assert {row["rule_version"] for row in result.table.to_pylist()} == {RULES.version}


def test_boxes_that_vary_or_belong_to_another_instrument_are_no_closings() -> None:
    side = np.full(FRAMES, 100.0) + 1.5 * (-1.0) ** np.arange(FRAMES)
    rows = uses([("grasper", 0, DURATION_MS), ("clipper", 70_000, 80_000)])
    assert spans(found(instruments=rows, boxes=boxes("clipper", side)), "clip-applied") == [(70_000, 80_000)]
    side[145] = 50.0
    assert spans(found(instruments=rows, boxes=boxes("grasper", side)), "clip-applied") == [(70_000, 80_000)]


def test_a_clipper_that_is_still_there_at_the_end_was_not_withdrawn() -> None:
    rows = [("grasper", 0, DURATION_MS), ("clipper", 100_000, DURATION_MS)]
    assert spans(found(instruments=uses(rows)), "clip-applied") == []


def test_an_exchange_is_one_gone_and_another_come() -> None:
    rows = [("grasper", 0, DURATION_MS), ("hook", 10_000, 30_000), ("scissors", 32_000, 50_000)]
    result = found(instruments=uses(rows))
    assert spans(result, "instrument-exchange") == [(29_500, 32_500)]
    (event,) = result.table.to_pylist()
    assert "gone=hook come=scissors gap_ms=2000" in event["detail"]
    assert event["evidence_frames"] == [59, 64]


@pytest.mark.parametrize(
    "rows",
    [
        [("hook", 10_000, 30_000), ("scissors", 36_000, 50_000)],
        [("hook", 10_000, 40_000), ("scissors", 30_000, 50_000)],
        [
            ("hook", 10_000, 30_000),
            ("scissors", 10_000, 30_000),
            ("hook", 33_500, 50_000),
            ("scissors", 33_500, 50_000),
        ],
        [("hook", 10_000, 30_000), ("scissors", 10_000, 29_500), ("scissors", 33_000, 50_000)],
        [("hook", 10_000, 30_000), ("scissors", 32_000, 50_000), ("hook", 33_500, 60_000)],
    ],
    ids=["too late", "both at once", "the camera was away", "what came was there", "what went came back"],
)
def test_what_is_no_exchange(rows: list[tuple[str, int, int]]) -> None:
    assert spans(found(instruments=uses([("grasper", 0, DURATION_MS), *rows])), "instrument-exchange") == []


def test_idle_is_nothing_in_use_but_not_at_the_wall_and_not_in_the_dark() -> None:
    gaps = uses([("grasper", 0, 20_000), ("grasper", 26_000, 61_000), ("grasper", 90_000, DURATION_MS)])
    assert spans(found(instruments=gaps), "idle") == [(20_000, 26_000), (61_000, 90_000)]
    wall = segments([*TIDY[:1], ("trocar-placement", 60_000, DURATION_MS)])
    assert spans(found(instruments=gaps, phases=wall), "idle") == [(20_000, 26_000)]
    dark = pictures(view=raised(40, 60, 0.0, 1.0))
    assert spans(found(instruments=gaps, pictures=dark), "idle") == [(61_000, 90_000)]


def test_one_phase_against_the_order_is_named_and_the_rest_is_not() -> None:
    rows = [
        ("preparation", 0, 20_000),
        ("port-closure", 20_000, 35_000),
        ("calot-triangle-dissection", 35_000, 80_000),
        ("clipping-and-cutting", 80_000, DURATION_MS),
    ]
    result = found(phases=segments(rows), instruments=uses([("grasper", 0, DURATION_MS)]))
    assert spans(result, "phase-out-of-order") == [(20_000, 35_000)]
    assert "phase=port-closure stands=before of=calot-triangle-dissection" in result.table["detail"][0].as_py()
    assert spans(found(phases=segments(rows, confidence=0.4)), "phase-out-of-order") == []


def test_cleaning_may_come_before_packaging_and_strange_phases_are_not_judged() -> None:
    rows = [
        ("gallbladder-dissection", 0, 40_000),
        ("cleaning-and-coagulation", 40_000, 60_000),
        ("coffee-break", 60_000, 80_000),
        ("gallbladder-packaging", 80_000, DURATION_MS),
    ]
    assert spans(found(phases=segments(rows)), "phase-out-of-order") == []


def test_a_phase_is_long_in_seconds_of_all_its_segments() -> None:
    frames = 1200
    half = [("gallbladder-packaging", 0, 120_000), ("cleaning-and-coagulation", 120_000, 220_000)]
    rows = [*half, ("gallbladder-packaging", 220_000, 300_000)]
    inputs = EventInputs(clock(frames), 600_000, phases=segments(rows))
    (event,) = find_events(inputs, RULES, REFERENCE).table.to_pylist()
    assert (event["kind"], event["start_ms"], event["end_ms"]) == ("unusually-long-phase", 0, 120_000)
    assert "total_s=200 limit_s=159" in event["detail"]
    short = EventInputs(clock(frames), 600_000, phases=segments(half))
    assert find_events(short, RULES, REFERENCE).table.num_rows == 0


def test_rules_without_their_inputs_are_named() -> None:
    result = found(anatomy=None, instruments=None)
    missing = {item.kind: item.missing for item in result.not_run}
    assert missing == {
        "bleeding": ("anatomy",),
        "clip-applied": ("instruments",),
        "instrument-exchange": ("instruments",),
        "idle": ("instruments",),
    }


def test_events_are_in_order_of_time_and_numbered() -> None:
    result = found(
        pictures=pictures(haze=raised(20, 30, 0.4, 0.1), outside=raised(100, 120, 0.8)),
        instruments=uses([("grasper", 0, 90_000)]),
    )
    assert result.table["event_index"].to_pylist() == [0, 1, 2]
    assert result.table["kind"].to_pylist() == ["smoke", "out-of-body", "idle"]


def test_other_rules_are_another_configuration(tmp_path: Path) -> None:
    mine = tmp_path / "mine.yaml"
    mine.write_text(EventsConfig().rules_path.read_text(encoding="utf-8"), encoding="utf-8")
    before = EventsConfig(rules=str(mine)).model_dump()
    assert before["rules_digest"] == EventsConfig().rules_digest
    mine.write_text(mine.read_text(encoding="utf-8").replace("enter: 0.3", "enter: 0.4"), encoding="utf-8")
    assert EventsConfig(rules=str(mine)).model_dump() != before
    with pytest.raises(ValidationError, match="no file"):
        EventsConfig(rules=str(tmp_path / "absent.yaml"))


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("type: idle", "type: nap", "rules.5"),
        ("enter: 0.3", "enter: 0.1", "leave must not be above enter"),
        ("name: no-instrument", "name: blood-grows", "twice"),
        ("max_gap_ms: 4000", "max_gap_s: 4", "max_gap"),
    ],
)
def test_broken_rules_are_refused_with_their_place(tmp_path: Path, old: str, new: str, reason: str) -> None:
    text = EventsConfig().rules_path.read_text(encoding="utf-8")
    assert old in text
    broken = tmp_path / "broken.yaml"
    broken.write_text(text.replace(old, new), encoding="utf-8")
    with pytest.raises(ConfigurationError, match=reason):
        load_rules(broken)
