"""Small pictures for the orchestrator's page of an asset.

Belongs here: previews that fit into event metadata (DESIGN §4: under 50 KB). Does not belong here: charts.
"""

from __future__ import annotations

from collections.abc import Sequence
from io import BytesIO
from typing import Any

from neurovision_assets.surgery.colours import colour

TIMELINE_SIZE_PX = (720, 56)
BAND_TOP_PX, BAND_BOTTOM_PX = 4, 38
EVENT_TOP_PX, EVENT_BOTTOM_PX = 41, 53

STRIP_PICTURES = 8
STRIP_HEIGHT_PX = 90
STRIP_LIMIT_BYTES = 36_000
STRIP_QUALITIES = (75, 60, 45, 30, 15)


def timeline_preview(
    segments: Sequence[tuple[str, int, int]],
    events: Sequence[tuple[str, int]],
    duration_ms: int,
    kind: str = "phase",
) -> bytes:
    """A band of phases with event marks below, PNG, a few KB.

    Args:
        segments: (name, start_ms, end_ms).
        events: (kind, start_ms).
        duration_ms: of the whole operation.
        kind: what the segments are, ``phase`` or ``instrument``; it chooses the colours.
    """
    from PIL import Image, ImageDraw

    width = TIMELINE_SIZE_PX[0]
    image = Image.new("RGB", TIMELINE_SIZE_PX, "#FFFFFF")
    draw = ImageDraw.Draw(image)
    scale = (width - 1) / max(1, duration_ms)
    draw.rectangle((0, BAND_TOP_PX, width, BAND_BOTTOM_PX), fill="#F1F3F4")
    for name, start_ms, end_ms in segments:
        box = (round(start_ms * scale), BAND_TOP_PX, round(end_ms * scale), BAND_BOTTOM_PX)
        draw.rectangle(box, fill=colour(kind, name))
    for event, start_ms in events:
        x = round(start_ms * scale)
        mark = ((x, EVENT_TOP_PX), (x - 6, EVENT_BOTTOM_PX), (x + 6, EVENT_BOTTOM_PX))
        draw.polygon(mark, fill=colour("event", event), outline="#14212B")
    palette = image.convert("P", palette=Image.Palette.ADAPTIVE, colors=64)
    buffer = BytesIO()
    palette.save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


def thumbnail_strip(jpegs: Sequence[bytes]) -> bytes:
    """Up to eight pictures side by side, evenly chosen, JPEG under 36 KB.

    Raises:
        ValueError: there are no pictures.
    """
    from PIL import Image

    if not jpegs:
        raise ValueError("a thumbnail strip needs at least one picture")
    count = min(STRIP_PICTURES, len(jpegs))
    tiles = []
    for number in range(count):
        with Image.open(BytesIO(jpegs[round((number + 0.5) * len(jpegs) / count - 0.5)])) as picture:
            picture.draft("RGB", (STRIP_HEIGHT_PX * 4, STRIP_HEIGHT_PX))
            wide = max(1, round(picture.width * STRIP_HEIGHT_PX / picture.height))
            tiles.append(picture.convert("RGB").resize((wide, STRIP_HEIGHT_PX)))
    strip = Image.new("RGB", (sum(tile.width + 2 for tile in tiles) - 2, STRIP_HEIGHT_PX), "#FFFFFF")
    left = 0
    for tile in tiles:
        strip.paste(tile, (left, 0))
        left += tile.width + 2
    encoded = (encode_jpeg(strip, quality) for quality in STRIP_QUALITIES)
    return next(
        (jpeg for jpeg in encoded if len(jpeg) < STRIP_LIMIT_BYTES), encode_jpeg(strip, STRIP_QUALITIES[-1] // 2)
    )


def encode_jpeg(image: Any, quality: int) -> bytes:
    """A PIL picture as JPEG."""
    buffer = BytesIO()
    image.save(buffer, "JPEG", quality=quality, optimize=True)
    return buffer.getvalue()
