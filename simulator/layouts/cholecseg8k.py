"""CholecSeg8k's layout (Hong et al. 2020, arXiv 2012.12453): clips of 80 pictures with pixel classes.

Beside every picture lie three masks: `watershed_mask`, grey, with the class's code; `color_mask`; and `mask`, from the
annotation tool (sparse there, complete here). As in the data set, the watershed and colour masks have an edge of one
white pixel, and what has no class is black in the former and white in the latter. Codes and colours are those found in
its files, which differ from the paper's table.

Belongs here: names, codes and files of CholecSeg8k. Does not belong here: what is true.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from simulator.operation import OperationPlan
from simulator.png import write_png
from simulator.render import OUTSIDE, render_frame
from simulator.scene import classes_of, layout_of, scene_at
from simulator.spans import without
from simulator.view import Labels, Picture, field_of_view

CLIP_FRAMES: Final = 80
CLOCK_FPS: Final = 25

CLASSES: Final[dict[str, tuple[int, tuple[int, int, int]]]] = {
    "black background": (50, (127, 127, 127)),
    "abdominal wall": (11, (210, 140, 140)),
    "liver": (21, (255, 114, 114)),
    "gastrointestinal tract": (13, (231, 70, 156)),
    "fat": (12, (186, 183, 75)),
    "grasper": (31, (170, 255, 0)),
    "connective tissue": (23, (255, 85, 0)),
    "blood": (24, (255, 0, 0)),
    "cystic duct": (25, (255, 255, 0)),
    "l-hook electrocautery": (32, (169, 255, 184)),
    "gallbladder": (22, (255, 160, 165)),
    "hepatic vein": (33, (0, 50, 128)),
    "liver ligament": (5, (111, 74, 0)),
}
"""Code in the watershed mask and colour (RGB) of each class, in the order of the class ids 0..12."""

OF_MATERIAL: Final = {
    "wall": "abdominal wall",
    "liver": "liver",
    "bed": "liver",
    "gut": "gastrointestinal tract",
    "fat": "fat",
    "connective": "connective tissue",
    "blood": "blood",
    "duct": "cystic duct",
    "gallbladder": "gallbladder",
    "vein": "hepatic vein",
    "artery": "hepatic vein",
    "ligament": "liver ligament",
}
"""The class of each of `textures.MATERIALS`; the data set has one class for vessels."""

OF_INSTRUMENT: Final = {"grasper": "grasper", "hook": "l-hook electrocautery"}
"""The data set has classes for these two, whole with their shafts."""

UNLABELLED: Final = 0
EDGE: Final = 255


def clip_start(plan: OperationPlan) -> int:
    """The clip's first frame on the clock: the clip is inside of the body, near the middle of the longest phase.

    Raises:
        ValueError: The endoscope is never in the body for long enough.
    """
    longest = max(plan.phases, key=lambda span: span.duration_ms)
    middle_ms, clip_ms = (longest.start_ms + longest.end_ms) // 2, CLIP_FRAMES * 1000 // CLOCK_FPS
    outside = [event for event in plan.events if event.kind == OUTSIDE]
    free = [
        start_ms
        for start_ms in range(0, plan.duration_ms - clip_ms + 1, 1000)
        if without((start_ms, start_ms + clip_ms), outside) == [(start_ms, start_ms + clip_ms)]
    ]
    if not free:
        raise ValueError(f"the operation of seed {plan.seed} has no {clip_ms} ms inside of the body: make it longer")
    return min(free, key=lambda start_ms: abs(start_ms - middle_ms)) * CLOCK_FPS // 1000


def codes_at(plan: OperationPlan, timestamp_ms: float, size: tuple[int, int]) -> Labels:
    """The watershed code of every pixel [h,w] of a view inside of the body, without the white edge."""
    code = {name: value for name, (value, _) in CLASSES.items()}
    scene = scene_at(plan, timestamp_ms, field_of_view(plan.hospital, *size))
    layout = layout_of(scene)
    values = [code[OF_MATERIAL[layer.material]] for layer in scene.tissue]
    background = code["black background"]
    codes = classes_of(scene, layout, values, thing=UNLABELLED, beside=background)
    for number, (instrument, _) in enumerate(layout.seen, start=1):
        if instrument in OF_INSTRUMENT:
            codes[(layout.whole == number) & (scene.view.inside > 0)] = code[OF_INSTRUMENT[instrument]]
    return scene.view.whole(codes, beside=background)


def write(plan: OperationPlan, number: int, folder: Path, size: tuple[int, int]) -> None:
    """Write one clip of 80 pictures with their masks."""
    start = clip_start(plan)
    clip = folder / f"video{number:02d}" / f"video{number:02d}_{start:05d}"
    clip.mkdir(parents=True, exist_ok=True)
    for frame in range(start, start + CLIP_FRAMES):
        timestamp_ms = frame * 1000 / CLOCK_FPS
        codes = codes_at(plan, timestamp_ms, size)
        name = f"frame_{frame}_endo"
        write_png(clip / f"{name}.png", render_frame(plan, timestamp_ms, *size).image)
        write_png(clip / f"{name}_mask.png", np.dstack([codes] * 3))
        write_png(clip / f"{name}_watershed_mask.png", _edged(np.dstack([codes] * 3)))
        write_png(clip / f"{name}_color_mask.png", _edged(_palette()[codes]))


def _palette() -> NDArray[np.uint8]:
    """Colour [256,3] of every code, white for all that are none."""
    colours = np.full((256, 3), 255, np.uint8)
    for code, colour in CLASSES.values():
        colours[code] = colour
    return colours


def _edged(mask: Picture) -> Picture:
    """The mask [h,w,3] with an edge of one white pixel."""
    mask[[0, -1]] = EDGE
    mask[:, [0, -1]] = EDGE
    return mask
