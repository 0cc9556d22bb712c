"""Where the hands hold the instruments at a moment.

Belongs here: ports, ways in and out, working places, movement of tips and jaws, the pull on the gallbladder.
Does not belong here: shapes (`instruments`) and when an instrument is used (`schedule`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from simulator.anatomy import ADHESIONS
from simulator.body import GRASPED_AT, PORTS, Body, bag_place, gallbladder_axis
from simulator.cast import Surgeon, surgeon_named
from simulator.operation import OperationPlan
from simulator.progress import State, clips_left_behind, smoothstep
from simulator.spans import InstrumentSpan, active
from simulator.view import Camera, Point, Points, sway, xy
from simulator.vocabulary import WALL_PHASES

SLIDING_MS = 700.0
"""Time an instrument takes from the rim to its place."""
GOING_OVER_MS = 900.0
"""Time an instrument that stays takes from one phase's work to the next one's."""
PORT_ANGLES_DEG = (196.0, -36.0, 28.0)
"""From where an instrument enters the view, per slot: left, upper right, lower right (y points down)."""
PORT_DISTANCE = 2.3
"""Distance of the entry from the picture's centre, in half picture heights: outside of every view."""
SHAFT_RADIUS = 0.062
"""Of a usual instrument at zoom 1, in scene units."""
WIDENING = (0.5, 1.7)
"""By how much a shaft is wider at its entry than at its tip, least and most: how steeply it comes from the camera."""
UNDER_LIVER: Point = np.array([0.30, -0.78])
"""Where the field is rinsed while the bag is drawn out, as far down as the camera sees then."""
PULL: Point = np.array([-0.10, -0.13])


@dataclass(frozen=True)
class Hand:
    """An instrument in the picture: tip and entry in pixels, radius in pixels at the tip, jaws' opening in rad.

    `widening` is how much wider its shaft is at the entry than at the tip: it comes towards the camera.
    """

    span: InstrumentSpan
    tip_px: Point
    entry_px: Point
    radius_px: float
    opening: float
    widening: float


def presence(span: InstrumentSpan, timestamp_ms: float) -> float:
    """0 at the rim, 1 at work: the way in and out."""
    since, until = timestamp_ms - span.start_ms, span.end_ms - timestamp_ms
    return smoothstep(since / SLIDING_MS) * smoothstep(until / SLIDING_MS)


def pull_at(plan: OperationPlan, timestamp_ms: float) -> Point:
    """How far the retracting grasper has moved the gallbladder, in scene units."""
    pull = np.zeros(2)
    for span in active(plan.instruments, timestamp_ms):
        if span.instrument == "grasper" and span.slot == 0:
            swing = np.array(sway(plan.seed, 400 + span.track, timestamp_ms, 5.0 / surgeon_named(plan.surgeon).pace))
            pull = (PULL + 0.05 * swing) * presence(span, timestamp_ms)
    return pull


def hands(
    plan: OperationPlan, body: Body, state: State, pull: Point, camera: Camera, timestamp_ms: float, height: int
) -> list[Hand]:
    """Every instrument in use but the specimen bag, the assistant's first."""
    surgeon = surgeon_named(plan.surgeon)
    found = []
    for span in sorted(active(plan.instruments, timestamp_ms), key=lambda s: (s.slot != 2, s.slot)):
        if span.instrument == "specimen-bag":
            continue
        place = working_place(plan, body, state, pull, span, timestamp_ms)
        entry = np.array(camera.centre_px) + _entry(plan, surgeon, span) * height / 2
        target = camera.to_px(place[None])[0]
        tip = entry + (target - entry) * presence(span, timestamp_ms)
        radius = SHAFT_RADIUS * (0.55 + 0.45 * camera.scale / (height / 2)) * height / 2
        widening = float(np.random.default_rng([plan.seed, 411, span.slot]).uniform(*WIDENING))
        found.append(Hand(span, tip, entry, radius, _opening(plan, span, timestamp_ms, surgeon), widening))
    return found


def _entry(plan: OperationPlan, surgeon: Surgeon, span: InstrumentSpan) -> Point:
    """Where the shaft comes from, relative to the centre of the picture in half heights."""
    jitter = np.random.default_rng([plan.seed, 410, span.slot]).uniform(-9, 9)
    angle = np.deg2rad(PORT_ANGLES_DEG[span.slot] + jitter)
    side = -1.0 if surgeon.left_handed else 1.0
    return xy(side * PORT_DISTANCE * np.cos(angle), PORT_DISTANCE * np.sin(angle))


def working_place(
    plan: OperationPlan, body: Body, state: State, pull: Point, span: InstrumentSpan, timestamp_ms: float
) -> Point:
    """Where the tip is at work, in the scene; an instrument that stays goes over from phase to phase."""
    phase = plan.phase_at(timestamp_ms)
    axis = gallbladder_axis(body, state, pull)
    clips = clips_left_behind(plan, timestamp_ms)
    place, reach = _place_and_reach(phase.phase, span, body, state, axis, clips)
    before = [earlier for earlier in plan.phases if earlier.end_ms == phase.start_ms]
    going_over = smoothstep((timestamp_ms - phase.start_ms) / GOING_OVER_MS)
    if before and going_over < 1.0:
        old_place, old_reach = _place_and_reach(before[0].phase, span, body, state, axis, clips)
        place, reach = old_place + (place - old_place) * going_over, old_reach + (reach - old_reach) * going_over
    pace = surgeon_named(plan.surgeon).pace
    swing = np.array(sway(plan.seed, 420 + span.track, timestamp_ms, 3.2 / pace))
    return np.asarray(place + reach * swing)


def _place_and_reach(
    phase: str, span: InstrumentSpan, body: Body, state: State, axis: Points, clips: float
) -> tuple[Point, float]:
    """The middle of the work in a phase and how far the tip moves about it, in scene units."""
    if span.instrument == "grasper" and span.slot == 0:
        return _retracting(phase, state, axis, body), 0.012
    neck, fundus, hilum = np.array(body.neck), np.array(body.fundus), np.array(body.hilum)
    if span.instrument == "irrigator" and phase == "gallbladder-extraction":
        return UNDER_LIVER, 0.12
    along_duct = 0.15 + 0.09 * clips if span.instrument == "clipper" else 0.38
    at_wall = (PORTS[1] + xy(0.05, 0.25), 0.06)
    triangle = (neck + (hilum - neck) * 0.35, 0.09)
    work = {
        **dict.fromkeys((*WALL_PHASES, "gallbladder-extraction"), at_wall),
        "adhesiolysis": (_along(axis, 1 + state.adhesions * (ADHESIONS - 1)) + xy(-0.06, 0.16), 0.05),
        "clipping-and-cutting": (neck + (hilum - neck) * along_duct, 0.025),
        "gallbladder-dissection": (neck + (fundus - neck) * smoothstep(state.detached) + xy(0.04, 0.05), 0.09),
        "gallbladder-packaging": (bag_place(state) + xy(0.2, -0.18), 0.05),
        "cleaning-and-coagulation": ((neck + fundus) / 2 + xy(0.05, 0.1), 0.28),
    }
    return work.get(phase, triangle)


def _along(axis: Points, number: float) -> Point:
    """The place between the points of a line [n,2] at a broken number of points from its start."""
    points = np.arange(len(axis))
    return xy(float(np.interp(number, points, axis[:, 0])), float(np.interp(number, points, axis[:, 1])))


def _retracting(phase: str, state: State, axis: Points, body: Body) -> Point:
    """The retracting grasper holds the gallbladder while there is one, later the liver's edge or a port's side."""
    held = axis[round(GRASPED_AT * (len(axis) - 1))]
    if phase in (*WALL_PHASES, "gallbladder-extraction"):
        return xy(*PORTS[0]) + xy(0.2, 0.35)
    if phase == "drain-placement":
        return np.array(body.hilum) + xy(-0.55 + 0.3 * state.drain, -0.12)
    if phase == "gallbladder-packaging":
        beside_bag = bag_place(state) + xy(-0.25, -0.2)
        return np.asarray(held + (beside_bag - held) * smoothstep((state.bagged - 0.6) * 5.0))
    if phase == "cleaning-and-coagulation":
        return np.array(body.fundus) + xy(-0.02, 0.02)
    return np.asarray(held)


def _opening(plan: OperationPlan, span: InstrumentSpan, timestamp_ms: float, surgeon: Surgeon) -> float:
    """Opening of the jaws in radians: closed on tissue when retracting, working otherwise."""
    if span.instrument == "clipper":
        closing = [e for e in plan.events if e.kind == "clip-applied" and e.covers(timestamp_ms)]
        middle = max((1 - abs(2 * (timestamp_ms - e.start_ms) / e.duration_ms - 1) for e in closing), default=0.0)
        return 0.6 * (1.0 - smoothstep(1.6 * middle))
    if span.instrument == "grasper" and span.slot == 0:
        return 0.06 + 0.5 * (1.0 - presence(span, timestamp_ms))
    beat = np.sin(2 * np.pi * timestamp_ms / 1000.0 * 0.7 * surgeon.pace + span.track)
    return 0.06 + 0.34 * float(0.5 + 0.5 * beat)
