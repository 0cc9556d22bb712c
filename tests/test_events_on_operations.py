"""Events on whole operations: simulated ones with their truth, and real phases, pictures and clips.

Belongs here: how good the rules are when everything before them is right. Does not belong here: single rules
(`test_events`).
"""

from __future__ import annotations

from itertools import groupby
from pathlib import Path

import av
import cv2
import numpy as np
import pyarrow as pa
import pytest

from models.letterbox import FrameGeometry
from neurovision_assets.schemas import PHASE_SEGMENTS
from neurovision_assets.surgery.events.config import EventsConfig
from neurovision_assets.surgery.events.reference import load_reference
from neurovision_assets.surgery.events.rules import find_events
from neurovision_assets.surgery.events.ruleset import load_rules
from neurovision_assets.surgery.events.scene import EventInputs
from neurovision_assets.surgery.events.signals import PictureSignals, picture_signals, reduction_for
from neurovision_assets.surgery.events.spans import Clock
from neurovision_assets.surgery.pictures import PictureBatch
from simulator.operation import plan_operation
from simulator.render import render_frame

RULES = load_rules(EventsConfig().rules_path)
REFERENCE = load_reference(EventsConfig().reference_path)
SMALL = (160, 120)
CHOLEC80 = (
    "preparation",
    "calot-triangle-dissection",
    "clipping-and-cutting",
    "gallbladder-dissection",
    "gallbladder-packaging",
    "cleaning-and-coagulation",
    "gallbladder-extraction",
)
ONE_SIDED_95 = {19: 1.7341, 20: 1.7291}
"""95th percentile of Student's t with n − 1 degrees of freedom, by n."""


def phase_runs(path: Path) -> list[tuple[str, int]]:
    """Phase and seconds of every segment of a Cholec80 operation at one label a second."""
    labels = [int(line.split()[1]) for line in path.read_text().splitlines() if line.strip()]
    return [(CHOLEC80[phase], len(list(run))) for phase, run in groupby(labels)]


def segments(runs: list[tuple[str, int]], confidence: float = 0.9) -> pa.Table:
    ends = np.cumsum([seconds for _, seconds in runs]) * 1000
    rows = [
        {"segment_index": i, "phase": phase, "start_ms": int(end) - seconds * 1000, "end_ms": int(end)}
        | {"duration_ms": seconds * 1000, "mean_confidence": confidence}
        for i, ((phase, seconds), end) in enumerate(zip(runs, ends, strict=True))
    ]
    return pa.Table.from_pylist(rows, schema=PHASE_SEGMENTS.arrow_schema)


def seconds_clock(seconds: int) -> Clock:
    return Clock.of(np.arange(seconds, dtype=np.int32), np.arange(seconds, dtype=np.int64) * 1000, seconds * 1000)


def ground_truth(shared_data: Path) -> list[list[tuple[str, int]]]:
    return [phase_runs(path) for path in sorted((shared_data / "surgery/cholec80_phases/ground_truth").iterdir())]


def test_the_reference_is_what_the_labels_say(shared_data: Path) -> None:
    operations = ground_truth(shared_data)
    for phase in CHOLEC80:
        seconds = np.array([s for runs in operations for s in [sum(t for p, t in runs if p == phase)] if s])
        logs = np.log(seconds)
        limit = np.exp(logs.mean() + ONE_SIDED_95[len(logs)] * logs.std(ddof=1) * np.sqrt(1 + 1 / len(logs)))
        known = REFERENCE.phase(phase)
        assert known is not None
        assert known.durations is not None
        assert known.durations.operations == len(seconds)
        assert known.durations.median_s == pytest.approx(np.median(seconds))
        assert known.durations.p95_s == pytest.approx(np.percentile(seconds, 95), abs=0.06)
        assert known.durations.limit_s == pytest.approx(limit, rel=1e-3)


def test_real_operations_are_in_order_and_seldom_long(shared_data: Path) -> None:
    operations = ground_truth(shared_data)
    kinds = []
    for runs in operations:
        total = sum(seconds for _, seconds in runs)
        inputs = EventInputs(seconds_clock(total), total * 1000, phases=segments(runs))
        kinds += find_events(inputs, RULES, REFERENCE).table["kind"].to_pylist()
    assert kinds.count("phase-out-of-order") == 0
    assert kinds.count("unusually-long-phase") <= 0.1 * sum(len(runs) for runs in operations)


def clip_signals(path: Path) -> tuple[PictureSignals, Clock]:
    with av.open(str(path)) as container:
        pictures = [
            cv2.resize(frame.to_ndarray(format="rgb24"), (160, 90), interpolation=cv2.INTER_AREA)
            for frame in container.decode(video=0)
        ]
    clock = seconds_clock(len(pictures))
    batch = PictureBatch(clock.frame_index, clock.start_ms, np.stack(pictures))
    return picture_signals([batch], FrameGeometry.fit(160, 90, 160, 90)), clock


@pytest.mark.parametrize(
    ("clip", "smoke_s"),
    [("cholect50_VID74_sec0807-0841_1fps.mp4", (12, 13)), ("cholect50_VID70_annotated164_1fps.mp4", (110, 141))],
)
def test_smoke_of_real_clips_and_no_view_from_outside(shared_data: Path, clip: str, smoke_s: tuple[int, int]) -> None:
    """The expected seconds were read off the pictures by eye."""
    signals, clock = clip_signals(shared_data / "surgery/clips" / clip)
    inputs = EventInputs(clock, int(clock.end_ms[-1]), pictures=signals)
    events = find_events(inputs, RULES, REFERENCE).table.to_pylist()
    assert [event["kind"] for event in events] == ["smoke"]
    assert events[0]["start_ms"] == pytest.approx(smoke_s[0] * 1000, abs=2000)
    assert events[0]["end_ms"] == pytest.approx(smoke_s[1] * 1000, abs=2000)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [31, 32])
def test_smoke_and_views_from_outside_of_simulated_operations(seed: int) -> None:
    plan = plan_operation(seed, 120.0)
    times = np.arange(0, plan.duration_ms, 500)
    images = np.stack([render_frame(plan, float(time), *SMALL).image for time in times])
    clock = Clock.of(np.arange(len(times), dtype=np.int32), times, plan.duration_ms)
    signals = picture_signals(
        [PictureBatch(clock.frame_index, clock.start_ms, images)], FrameGeometry.fit(*SMALL, *SMALL)
    )
    events = find_events(EventInputs(clock, plan.duration_ms, pictures=signals), RULES, REFERENCE).table.to_pylist()
    disturbed = [(span.start_ms, span.end_ms) for span in plan.disturbances]
    for kind in ("smoke", "out-of-body"):
        truth = [(event.start_ms, event.end_ms) for event in plan.events if event.kind == kind]
        said = [(event["start_ms"], event["end_ms"]) for event in events if event["kind"] == kind]
        missed = [span for span in truth if not _meets(span, said)]
        invented = [span for span in said if not _meets(span, truth) and not _meets(span, disturbed)]
        assert len(missed) <= 0.2 * len(truth), f"{kind}: missed {missed} of {truth}"
        assert len(invented) <= 1, f"{kind}: invented {invented}, true are {truth}"


def test_pictures_are_measured_without_their_padding() -> None:
    inner = np.full((480, 640, 3), (150, 60, 50), np.uint8)
    geometry = FrameGeometry.fit(1080, 1920, 640, 480)
    framed = np.zeros_like(inner)
    framed[geometry.inner] = inner[geometry.inner]
    assert reduction_for(geometry) == 4
    small = framed[::4, ::4]
    clock = seconds_clock(1)
    signals = picture_signals([PictureBatch(clock.frame_index, clock.start_ms, small[np.newaxis])], geometry)
    assert signals.view.tolist() == [1.0]
    assert signals.outside.tolist() == [0.0]
    assert signals.haze.tolist() == pytest.approx([50 / 255])


def test_a_dark_picture_says_nothing() -> None:
    clock = seconds_clock(1)
    batch = PictureBatch(clock.frame_index, clock.start_ms, np.full((1, 120, 160, 3), 5, np.uint8))
    signals = picture_signals([batch], FrameGeometry.fit(*SMALL, *SMALL))
    assert signals.view.tolist() == [0.0]
    assert np.isnan(signals.haze).all()
    assert np.isnan(signals.outside).all()


def _meets(span: tuple[int, int], others: list[tuple[int, int]]) -> bool:
    return any(span[0] < end and start < span[1] for start, end in others)
