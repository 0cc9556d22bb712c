"""The pictures of key frames: reduced for the page, painted for paper.

Belongs here: JPEGs in and out. Does not belong here: which frames (`keyframes`), what is marked (`overlay`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np

from neurovision_assets.surgery.colours import colour, ink_on, rgb
from neurovision_assets.surgery.previews import encode_jpeg
from neurovision_assets.surgery.report.model import KeyFrame, Report
from neurovision_assets.surgery.report.overlay import MarkedBox, Overlay, label_size_px, overlay
from neurovision_assets.surgery.report.texts import Words

MAX_WIDTH_PX = 640
PICTURE_QUALITY = 80
"""libjpeg quality of a report's pictures: good to look at, a third of the stored frames' size."""

MASK_OPACITY = 0.35


@dataclass(frozen=True)
class Picture:
    """A key frame's picture and its marks.

    Attributes:
        jpeg: the clean picture, at most `MAX_WIDTH_PX` wide.
        overlay: what the models marked, in its pixels.
    """

    jpeg: bytes
    overlay: Overlay


def load_pictures(report: Report, load_frame: Callable[[int], bytes]) -> dict[int, Picture]:
    """Every key frame's picture, by frame_index.

    Args:
        report: the report.
        load_frame: gives the stored JPEG of a frame_index.
    """
    return {frame.frame_index: _picture(frame, load_frame(frame.frame_index)) for frame in report.key_frames}


def _picture(frame: KeyFrame, jpeg: bytes) -> Picture:
    from PIL import Image

    with Image.open(BytesIO(jpeg)) as stored:
        shown = stored.convert("RGB")
    frame_size = shown.size
    shown.thumbnail((MAX_WIDTH_PX, MAX_WIDTH_PX))
    return Picture(jpeg=encode_jpeg(shown, PICTURE_QUALITY), overlay=overlay(frame, frame_size, shown.size))


def paint(picture: Picture, words: Words) -> bytes:
    """The picture with its marks burned in, as JPEG: tissues as translucent colours, instruments as labelled boxes."""
    import cv2
    from PIL import Image, ImageDraw

    with Image.open(BytesIO(picture.jpeg)) as clean:
        canvas = np.asarray(clean.convert("RGB")).copy()
    for outline in picture.overlay.outlines:
        tint = rgb(colour("structure", outline.structure))
        filled = canvas.copy()
        cv2.fillPoly(filled, list(outline.polygons), tint)
        canvas = cv2.addWeighted(filled, MASK_OPACITY, canvas, 1 - MASK_OPACITY, 0)
        cv2.polylines(canvas, list(outline.polygons), isClosed=True, color=tint, thickness=1, lineType=cv2.LINE_AA)
    painted = Image.fromarray(canvas)
    draw = ImageDraw.Draw(painted)
    font = _font(round(label_size_px(painted.width)))
    for box in picture.overlay.boxes:
        label = f"{words.name('instrument', box.instrument)} {words.number(box.score)}"
        _draw_box(draw, font, box, label)
    return encode_jpeg(painted, PICTURE_QUALITY)


def _draw_box(draw: Any, font: Any, box: MarkedBox, label: str) -> None:
    tint = colour("instrument", box.instrument)
    right, bottom = box.x_px + box.width_px, box.y_px + box.height_px
    draw.rectangle((box.x_px - 1, box.y_px - 1, right + 1, bottom + 1), outline="#000000", width=5)
    draw.rectangle((box.x_px, box.y_px, right, bottom), outline=tint, width=3)
    place, anchor = (box.label.x_px, box.label.y_px), "rs" if box.label.ends_here else "ls"
    left, top, far, low = draw.textbbox(place, label, font=font, anchor=anchor)
    draw.rectangle((left - 3, top - 3, far + 3, low + 3), fill=tint)
    draw.text(place, label, fill=ink_on(tint), font=font, anchor=anchor)


def _font(size_px: int) -> Any:
    from PIL import ImageFont

    return ImageFont.truetype(str(font_folder() / "DejaVuSans.ttf"), size_px)


def font_folder() -> Path:
    """Where matplotlib keeps DejaVu, the one font with Cyrillic that is always installed with us."""
    import matplotlib as mpl

    return Path(mpl.get_data_path()) / "fonts" / "ttf"
