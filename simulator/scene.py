"""What lies where at a moment inside of the body, before light and colour.

Belongs here: putting body, state, hands and tissue of a moment together, which class and which instrument is seen at
each pixel. Does not belong here: how any of it is painted (`tissue`, `render`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from simulator.anatomy import Layer, layers
from simulator.blood import blood
from simulator.body import Body, body_of
from simulator.handling import Hand, hands, pull_at
from simulator.metalwork import Layout, draw
from simulator.operation import OperationPlan
from simulator.progress import State, state_at
from simulator.props import draw_props
from simulator.tissue import drawn
from simulator.view import Camera, Labels, Picture, View, camera_at


@dataclass(frozen=True)
class Scene:
    """A moment: `tissue` from back to front, the last ones being the `pools` of blood; pixels are those of `view`."""

    plan: OperationPlan
    timestamp_ms: float
    view: View
    camera: Camera
    body: Body
    state: State
    tools: list[Hand]
    tissue: list[Layer]
    pools: list[Layer]


def scene_at(plan: OperationPlan, timestamp_ms: float, view: View) -> Scene:
    """The scene of a moment as that view shows it."""
    body, state = body_of(plan.patient_seed), state_at(plan, timestamp_ms)
    camera = camera_at(plan, timestamp_ms, *view.size).moved(view.columns[0])
    pull = pull_at(plan, timestamp_ms)
    pools = blood(plan, body, state, timestamp_ms)
    return Scene(
        plan=plan,
        timestamp_ms=timestamp_ms,
        view=view,
        camera=camera,
        body=body,
        state=state,
        tools=hands(plan, body, state, pull, camera, timestamp_ms, view.size[1]),
        tissue=[*layers(plan, body, state, pull, timestamp_ms), *pools],
        pools=pools,
    )


def draw_things(scene: Scene, picture: Picture) -> Layout:
    """Draw into the picture what is not tissue, and say where it is seen."""
    layout = Layout(scene.view)
    draw_props(picture, layout, scene.plan, scene.body, scene.state, scene.camera, scene.timestamp_ms)
    for hand in scene.tools:
        draw(picture, layout, hand)
    return layout


def layout_of(scene: Scene) -> Layout:
    """Where things are seen, without a picture: on a single pixel drawing costs next to nothing."""
    return draw_things(scene, np.zeros((1, 1, 3), np.uint8))


def classes_of(scene: Scene, layout: Layout, values: list[int], *, thing: int, beside: int) -> Labels:
    """The value [h,w] of the tissue that is seen, one value for each piece of it.

    Args:
        scene: the moment.
        layout: where things are seen in it.
        values: one for each piece of tissue.
        thing: the value under instruments and other things.
        beside: the value outside of the round view.
    """
    classes = drawn(scene.tissue, values, scene.camera, scene.view.drawn_size)
    classes[layout.whole > 0] = thing
    classes[scene.view.inside == 0] = beside
    return classes
