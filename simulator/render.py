"""One picture of an operation with its truth, for any moment in any order.

Belongs here: the order in which a picture is put together. Does not belong here: the steps themselves.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from simulator import effects
from simulator.anatomy import layers
from simulator.blood import blood, stain
from simulator.body import body_of
from simulator.cast import Hospital, hospital_named
from simulator.handling import hands, pull_at
from simulator.metalwork import InstrumentTruth, Layout, draw, shadow
from simulator.operation import OperationPlan
from simulator.progress import state_at
from simulator.props import draw_props
from simulator.room import Box, room
from simulator.spans import active
from simulator.textures import tiles
from simulator.tissue import paint
from simulator.view import Labels, Picture, bytes_of, camera_at, field_of_view

__all__ = ["InstrumentTruth", "SimulatedFrame", "render_frame"]

EXPOSURE_MS = 20.0


@dataclass(frozen=True)
class SimulatedFrame:
    """A picture and what is in it.

    `image` uint8 [h,w,3] RGB; `anatomy` uint8 [h,w] of class ids (0 background, 1..8 as in `vocabulary.ANATOMY`;
    instruments, clips, drains, everything outside of the round view are background). Truth is of what is seen:
    boxes and class ids know nothing of smoke and blur, and follow what covers what. `heads` are boxes
    (x_min, y_min, x_max, y_max in pixels, maxima excluded) around the people of an out-of-body view.
    """

    image: NDArray[np.uint8]
    phase: str
    instruments: tuple[InstrumentTruth, ...]
    anatomy: NDArray[np.uint8]
    events: tuple[str, ...]
    heads: tuple[Box, ...] = ()


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
    if not 0 <= timestamp_ms < plan.duration_ms:
        raise ValueError(f"{timestamp_ms} ms is not in an operation of {plan.duration_ms} ms: give one that is")
    if min(width, height) < 32:
        raise ValueError(f"a picture of {width}x{height} is too small: give at least 32x32")
    hospital = hospital_named(plan.hospital)
    kinds = tuple(sorted({event.kind for event in active(plan.events, timestamp_ms)}))
    truths: tuple[InstrumentTruth, ...]
    heads: tuple[Box, ...]
    inside, soft = field_of_view(hospital, width, height)
    if "out-of-body" in kinds:
        seen, people = room(plan.seed, timestamp_ms, width, height, faces)
        heads = tuple(box for head in people for box in _within(head, inside))
        anatomy, truths = np.zeros((height, width), np.uint8), ()
    else:
        heads = ()
        seen, anatomy, truths = _inside(plan, hospital, timestamp_ms, (width, height), inside)
    recorded = effects.grain(effects.colours(seen, hospital), hospital, round(timestamp_ms))
    image = cv2.multiply(recorded, soft, scale=1 / 255)
    return SimulatedFrame(bytes_of(image), plan.phase_at(timestamp_ms).phase, truths, anatomy, kinds, heads)


def _within(box: Box, inside: Labels) -> list[Box]:
    """The box around what the round view [h,w] (1 inside) leaves of it: one box or none."""
    x_min, y_min, x_max, y_max = box
    x, y, w, h = cv2.boundingRect(inside[y_min:y_max, x_min:x_max])
    return [(x_min + x, y_min + y, x_min + x + w, y_min + y + h)] if w else []


def _inside(
    plan: OperationPlan, hospital: Hospital, timestamp_ms: float, size: tuple[int, int], inside: Labels
) -> tuple[Picture, Labels, tuple[InstrumentTruth, ...]]:
    """Picture, class ids and instruments of a view inside of the body."""
    width, height = size
    body, state = body_of(plan.seed), state_at(plan, timestamp_ms)
    camera = camera_at(plan, hospital, timestamp_ms, width, height)
    pull = pull_at(plan, timestamp_ms)
    tools = hands(plan, body, state, pull, camera, timestamp_ms, height)
    pools = blood(plan, body, state, timestamp_ms)
    tissue = [*layers(plan, body, state, pull, timestamp_ms), *pools]
    shadows = [shadow(hand) for hand in tools]
    picture, anatomy = paint(tissue, tiles(plan.seed), camera, hospital, shadows, size)
    stain(picture, pools, camera)
    picture = bytes_of(cv2.GaussianBlur(picture, (3, 3), 0))
    layout = Layout(size)
    draw_props(picture, layout, plan, body, state, camera, timestamp_ms)
    for hand in tools:
        draw(picture, layout, hand)
    anatomy[(layout.solid > 0) | (inside == 0)] = 0
    before = camera_at(plan, hospital, max(0.0, timestamp_ms - EXPOSURE_MS), width, height)
    motion = camera.to_px(np.zeros((1, 2)))[0] - before.to_px(np.zeros((1, 2)))[0]
    picture = effects.smear(picture, (float(motion[0]), float(motion[1])))
    return _disturbed(plan, picture, timestamp_ms), anatomy, layout.truths(inside)


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
