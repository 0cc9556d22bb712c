"""Things in the body that are neither tissue nor one of the instruments' shafts: clips, bag, ports, drain, sutures.

Belongs here: their drawing. Does not belong here: tissue (`anatomy`, `tissue`), hand-held instruments
(`metalwork`).
"""

from __future__ import annotations

import cv2
import numpy as np

from simulator.anatomy import curve, smooth, tube
from simulator.body import PORTS, Body, bag_place
from simulator.instruments import Colour
from simulator.metalwork import Layout, fill
from simulator.operation import OperationPlan
from simulator.progress import State, smoothstep
from simulator.spans import InstrumentSpan, active
from simulator.view import SUBPIXEL_BITS, Camera, Picture, Point, Points, fixed_point, sway, xy

CLIP: Colour = (222, 214, 190)
TROCAR: Colour = (150, 152, 158)
DRAIN: Colour = (226, 222, 208)
THREAD: Colour = (96, 60, 160)
BAG_RGB = (226, 228, 226)
BAG_OPACITY = 0.74
CLIP_PLACES = (0.10, 0.56, 0.66, 0.16, 0.62, 0.74)
"""Where along duct (first three) and artery the clips sit, from neck to hilum; the cut goes between."""


def draw_props(
    picture: Picture, layout: Layout, plan: OperationPlan, body: Body, state: State, camera: Camera, timestamp_ms: float
) -> None:
    """Everything of the moment, into the picture and the layout."""
    _clips(picture, layout, body, state, camera)
    _drain(picture, layout, body, state, camera)
    for span in active(plan.instruments, timestamp_ms):
        if span.instrument == "specimen-bag":
            _bag(picture, layout, plan, state, camera, span, timestamp_ms)
    _ports(picture, layout, plan, state, camera)
    _sutures(picture, layout, plan, state, camera, timestamp_ms)


def _clips(picture: Picture, layout: Layout, body: Body, state: State, camera: Camera) -> None:
    neck, hilum = np.array(body.neck), np.array(body.hilum)
    across = np.array([(hilum - neck)[1], -(hilum - neck)[0]])
    across /= np.linalg.norm(across)
    for number in range(state.clips):
        place = neck + (hilum - neck) * CLIP_PLACES[number] + across * (0.05 if number < 3 else -0.10)
        if state.cut > 0.3 and CLIP_PLACES[number] < 0.3:
            continue
        outline = camera.to_px(tube(curve(place - 0.06 * across, place + 0.06 * across, 0.0, 3), 0.03))
        fill(picture, outline, CLIP)
        line = fixed_point(outline)
        cv2.polylines(picture, [line], True, (110, 104, 92), 1, cv2.LINE_AA, SUBPIXEL_BITS)
        layout.cover(outline)


def _drain(picture: Picture, layout: Layout, body: Body, state: State, camera: Camera) -> None:
    """A pale tube with side holes that is pushed in under the liver."""
    if state.drain <= 0.0:
        return
    way = curve(np.array([2.1, 0.75]), np.array(body.hilum) + xy(-0.85, -0.12), -0.10, 24)
    line = way[: max(4, int(len(way) * (0.45 + 0.55 * smoothstep(1.6 * state.drain))))]
    _shaded_tube(picture, layout, camera, line, 0.13, DRAIN)
    for point in line[6::2]:
        x, y = camera.to_px(point[None])[0]
        cv2.circle(picture, (int(x), int(y)), max(1, int(0.022 * camera.scale)), (86, 60, 56), -1, cv2.LINE_AA)


def _shaded_tube(picture: Picture, layout: Layout, camera: Camera, line: Points, width: float, colour: Colour) -> None:
    for share, light in ((1.0, 0.55), (0.78, 0.8), (0.5, 1.0), (0.2, 1.12)):
        shade = tuple(int(min(255, light * value)) for value in colour)
        outline = tube(line - xy(0, 0.06 * (1 - share) * width), width * share)
        fill(picture, camera.to_px(outline), (shade[0], shade[1], shade[2]))
    layout.cover(camera.to_px(tube(line, width)))


def _ports(picture: Picture, layout: Layout, plan: OperationPlan, state: State, camera: Camera) -> None:
    """Cannulas through the wall; while one is placed its sharp tip comes first. Gone when the wall is closed."""
    placed_here = any(span.phase == "trocar-placement" for span in plan.phases)
    for number, port in enumerate(PORTS):
        share = np.clip(state.ports * len(PORTS) * 1.1 - number, 0.0, 1.0) if placed_here else 1.0
        if share <= 0.0 or state.sutures > (0.2 + number) / 4:
            continue
        inward = np.array([-0.25 * port[0], 0.42 + 0.05 * number])
        reach = port + inward * smoothstep(1.3 * float(share))
        if 0.0 < share < 0.9:
            spike = np.array([reach + xy(-0.07, -0.02), reach + xy(0.07, -0.02), reach + 0.5 * inward])
            fill(picture, camera.to_px(spike), (206, 208, 214))
            layout.cover(camera.to_px(spike))
        dent = camera.to_px(_ellipse(port, 0.17, 0.09))
        fill(picture, dent, (92, 44, 52))
        _shaded_tube(picture, layout, camera, curve(port, reach, 0.0, 4), 0.20, TROCAR)
        layout.cover(dent)
        if share >= 0.9:
            fill(picture, camera.to_px(_ellipse(reach, 0.10, 0.055)), (38, 32, 36))


def _sutures(
    picture: Picture, layout: Layout, plan: OperationPlan, state: State, camera: Camera, timestamp_ms: float
) -> None:
    """Wounds where the ports were, closed one after another with violet thread by a thin passer."""
    if state.sutures <= 0.0:
        return
    for number, port in enumerate(PORTS):
        if state.sutures <= (0.2 + number) / 4:
            continue
        wound = camera.to_px(_ellipse(port, 0.12, 0.045))
        fill(picture, wound, (84, 16, 22))
        layout.cover(wound)
        closed = np.clip(state.sutures * 4 - number - 0.2, 0, 1)
        for stitch in np.linspace(-0.09, 0.09, 4)[: int(np.ceil(4 * closed))]:
            thread = curve(port + xy(stitch - 0.03, -0.10), port + xy(stitch + 0.03, 0.10), 0.12, 7)
            _stroke(picture, layout, camera, thread, 0.018, THREAD)
        if closed < 1.0:
            dx, dy = sway(plan.seed, 700, timestamp_ms, 1.8)
            tip = port + xy(0.10 + 0.08 * dx, 0.22 + 0.10 * dy)
            _stroke(picture, layout, camera, curve(port + xy(0.02, -0.02), tip, 0.05, 6), 0.03, (210, 212, 216))
            _stroke(picture, layout, camera, curve(tip, tip + xy(0.30, 0.35 + 0.1 * dy), 0.35, 14), 0.015, THREAD)


def _stroke(picture: Picture, layout: Layout, camera: Camera, line: Points, width: float, colour: Colour) -> None:
    outline = camera.to_px(tube(line, width))
    fill(picture, outline, colour)
    layout.cover(outline)


def _bag(
    picture: Picture,
    layout: Layout,
    plan: OperationPlan,
    state: State,
    camera: Camera,
    span: InstrumentSpan,
    timestamp_ms: float,
) -> None:
    """A translucent white bag: comes in from the right, open; closed around the gallbladder; drawn into the port."""
    dx, dy = sway(plan.seed, 710, timestamp_ms, 4.0)
    arriving = 1.0 - smoothstep((timestamp_ms - span.start_ms) / 1500.0) if state.extracted <= 0.0 else 0.0
    centre = bag_place(state) + xy(1.6 * arriving + 0.02 * dx, -0.5 * arriving + 0.02 * dy)
    size = 0.40 - 0.16 * smoothstep(state.extracted * 1.25)
    mouth = (1.0 - 0.65 * smoothstep(state.bagged * 2.0 - 1.0)) * (1.0 - 0.5 * state.extracted)
    number = layout.add(span.instrument, span.track)
    outline = camera.to_px(_bag_outline(centre, size, mouth, dx))
    veil = picture.copy()
    fill(veil, outline, BAG_RGB)
    cv2.addWeighted(veil, BAG_OPACITY, picture, 1.0 - BAG_OPACITY, 0, dst=picture)
    rim = camera.to_px(_ellipse(centre + xy(0, -0.62 * size), size * mouth, 0.26 * size * mouth + 0.02))
    fill(picture, rim, (150, 142, 140))
    cv2.polylines(picture, [fixed_point(rim)], True, (86, 110, 190), 3, cv2.LINE_AA, SUBPIXEL_BITS)
    for fold in (-0.55, -0.2, 0.15, 0.5):
        top, bottom = xy(fold * size * mouth, -0.4 * size), xy(fold * 0.8 * size, 0.8 * size)
        line = curve(centre + top, centre + bottom, 0.08 * fold, 8)
        pixels = fixed_point(camera.to_px(line))
        cv2.polylines(picture, [pixels], False, (178, 180, 182), 2, cv2.LINE_AA, SUBPIXEL_BITS)
    layout.cover(outline, number)
    layout.cover(rim, number)


def _bag_outline(centre: Point, size: float, mouth: float, lean: float) -> Points:
    left, right = [(-mouth, -0.62), (-0.95, 0.1), (-0.8, 0.75)], [(0.75, 0.8), (0.95, 0.1), (mouth, -0.62)]
    corners = [*left, (0.1 * lean - 0.1, 1.05), *right]
    return centre + size * smooth(corners, 2)


def _ellipse(centre: Point, across: float, high: float) -> Points:
    angles = np.linspace(0, 2 * np.pi, 25)[:-1]
    return centre + np.stack([across * np.cos(angles), high * np.sin(angles)], axis=1)
