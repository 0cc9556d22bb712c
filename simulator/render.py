"""One picture of an operation with its truth, for any moment in any order; the truth alone is much faster.

Belongs here: the order in which a picture is put together. Does not belong here: the steps themselves.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from simulator import effects
from simulator.blood import stain
from simulator.metalwork import InstrumentTruth, Layout, shadow
from simulator.operation import OperationPlan
from simulator.room import Box, room
from simulator.scene import Scene, classes_of, draw_things, layout_of, scene_at
from simulator.spans import active
from simulator.textures import tiles
from simulator.tissue import paint
from simulator.view import Labels, Picture, View, bytes_of, camera_at, field_of_view
from simulator.vocabulary import BACKGROUND

__all__ = ["FrameTruth", "InstrumentTruth", "SimulatedFrame", "render_frame", "truth_at"]

EXPOSURE_MS = 20.0
SMALLEST_PX = 32
"""Least width and height of a picture."""
OUTSIDE = "out-of-body"


@dataclass(frozen=True)
class FrameTruth:
    """What is in a picture.

    `anatomy` uint8 [h,w] of class ids (0 background, 1..8 as in `vocabulary.ANATOMY`; instruments, clips, drains,
    everything outside of the round view are background). Truth is of what is seen: boxes and class ids know nothing of
    smoke and blur, and follow what covers what. `heads` are boxes (x_min, y_min, x_max, y_max in pixels, maxima
    excluded) around the people of an out-of-body view.
    """

    phase: str
    instruments: tuple[InstrumentTruth, ...]
    anatomy: NDArray[np.uint8]
    events: tuple[str, ...]
    heads: tuple[Box, ...]


@dataclass(frozen=True)
class SimulatedFrame(FrameTruth):
    """A picture, `image` uint8 [h,w,3] RGB, and what is in it."""

    image: NDArray[np.uint8]


def render_frame(
    plan: OperationPlan, timestamp_ms: float, width: int = 640, height: int = 480, faces: tuple[Picture, ...] = ()
) -> SimulatedFrame:
    """The picture at a moment; the same arguments give the same bytes, whatever was drawn before.

    Args:
        plan: the operation.
        timestamp_ms: when.
        width: of the picture in pixels.
        height: of the picture in pixels.
        faces: real faces, uint8 [h,w,3] each, RGB, for the people of out-of-body views; none are ours.

    Raises:
        ValueError: The moment is not in the operation, or a side is under 32 pixels.
    """
    _refuse(plan, timestamp_ms, width, height)
    view = field_of_view(plan.hospital, width, height)
    if is_outside(plan, timestamp_ms):
        seen, people = room(plan.seed, timestamp_ms, width, height, faces)
        seen, truth = view.cut(seen), _truth_outside(plan, timestamp_ms, people, view)
    else:
        scene = scene_at(plan, timestamp_ms, view)
        seen, layout = _seen(scene)
        truth = _truth_inside(scene, layout)
    recorded = effects.grain(effects.colours(seen, plan.hospital), plan.hospital, round(timestamp_ms))
    image = view.whole(bytes_of(cv2.multiply(recorded, view.soft, scale=1 / 255)))
    return SimulatedFrame(truth.phase, truth.instruments, truth.anatomy, truth.events, truth.heads, image)


def truth_at(plan: OperationPlan, timestamp_ms: float, width: int = 640, height: int = 480) -> FrameTruth:
    """The truth of `render_frame` for the same arguments, without painting the picture.

    Raises:
        ValueError: As `render_frame`.
    """
    _refuse(plan, timestamp_ms, width, height)
    view = field_of_view(plan.hospital, width, height)
    if is_outside(plan, timestamp_ms):
        _, people = room(plan.seed, timestamp_ms, width, height)
        return _truth_outside(plan, timestamp_ms, people, view)
    scene = scene_at(plan, timestamp_ms, view)
    return _truth_inside(scene, layout_of(scene))


def is_outside(plan: OperationPlan, timestamp_ms: float) -> bool:
    """Whether the endoscope is out of the body at the moment."""
    return OUTSIDE in _kinds(plan, timestamp_ms)


def _refuse(plan: OperationPlan, timestamp_ms: float, width: int, height: int) -> None:
    if not 0 <= timestamp_ms < plan.duration_ms:
        raise ValueError(f"{timestamp_ms} ms is not in an operation of {plan.duration_ms} ms: give one that is")
    if min(width, height) < SMALLEST_PX:
        raise ValueError(f"a picture of {width}x{height} is too small: give at least {SMALLEST_PX}x{SMALLEST_PX}")


def _kinds(plan: OperationPlan, timestamp_ms: float) -> tuple[str, ...]:
    return tuple(sorted({event.kind for event in active(plan.events, timestamp_ms)}))


def _truth_inside(scene: Scene, layout: Layout) -> FrameTruth:
    """What is seen in a view inside of the body."""
    plan, at = scene.plan, scene.timestamp_ms
    anatomy = classes_of(scene, layout, [layer.label for layer in scene.tissue], thing=BACKGROUND, beside=BACKGROUND)
    return FrameTruth(plan.phase_at(at).phase, layout.truths(), scene.view.whole(anatomy), _kinds(plan, at), ())


def _truth_outside(plan: OperationPlan, timestamp_ms: float, people: tuple[Box, ...], view: View) -> FrameTruth:
    """What is seen outside of the body: people, no anatomy, no instruments."""
    inside = view.whole(view.inside)
    heads = tuple(box for head in people for box in _within(head, inside))
    return FrameTruth(plan.phase_at(timestamp_ms).phase, (), np.zeros_like(inside), _kinds(plan, timestamp_ms), heads)


def _within(box: Box, inside: Labels) -> list[Box]:
    """The box around what the round view [h,w] (1 inside) leaves of it: one box or none."""
    x_min, y_min, x_max, y_max = box
    x, y, w, h = cv2.boundingRect(inside[y_min:y_max, x_min:x_max])
    return [(x_min + x, y_min + y, x_min + x + w, y_min + y + h)] if w else []


def _seen(scene: Scene) -> tuple[Picture, Layout]:
    """The view inside of the body before the camera's colours, and what is seen where."""
    plan, at, camera = scene.plan, scene.timestamp_ms, scene.camera
    shadows = [shadow(hand) for hand in scene.tools]
    picture = paint(scene.tissue, tiles(plan.patient_seed), camera, plan.hospital, shadows, scene.view.drawn_size)
    stain(picture, scene.pools, camera)
    picture = bytes_of(cv2.GaussianBlur(picture, (3, 3), 0))
    layout = draw_things(scene, picture)
    before = camera_at(plan, max(0.0, at - EXPOSURE_MS), *scene.view.size).moved(scene.view.columns[0])
    motion = camera.to_px(np.zeros((1, 2)))[0] - before.to_px(np.zeros((1, 2)))[0]
    picture = effects.smear(picture, (float(motion[0]), float(motion[1])))
    return _disturbed(plan, picture, at), layout


def _disturbed(plan: OperationPlan, picture: Picture, timestamp_ms: float) -> Picture:
    """Smoke of the operation, then what the lens and the camera do."""
    for event in active(plan.events, timestamp_ms):
        if event.kind == "smoke":
            amount = effects.strength(event, timestamp_ms, 900.0)
            picture = effects.smoke(picture, plan.seed, amount, timestamp_ms)
    for span in active(plan.disturbances, timestamp_ms):
        amount = span.strength * effects.strength(span, timestamp_ms, 500.0)
        if span.kind == "blur":
            picture = effects.blur(picture, amount)
        elif span.kind == "fog":
            picture = effects.fog(picture, amount)
        else:
            picture = effects.exposed(picture, 1.1 * amount)
    return picture
