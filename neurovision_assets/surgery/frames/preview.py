"""A strip of thumbnails for the UI: what a recording looks like at a glance.

Belongs here: choosing and drawing a few small pictures in constant memory. Does not belong here: the report's pictures.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa

THUMBNAILS = 8
THUMBNAIL_WIDTH_PX = 88


class StripSampler:
    """Keeps evenly spread pictures of a stream whose length is not known beforehand.

    Every ``stride``-th picture is kept; when twice the wanted number is kept, every second one is dropped and the
    stride doubles, so at most ``2 × THUMBNAILS`` pictures are held.
    """

    def __init__(self) -> None:
        self._kept: list[tuple[int, bytes]] = []
        self._stride = 1

    def add(self, batch: pa.RecordBatch) -> None:
        """Look at the next rows of the frame table."""
        for index, jpeg in zip(batch["frame_index"].to_pylist(), batch["jpeg"], strict=True):
            if index % self._stride == 0:
                self._kept.append((index, jpeg.as_py()))
            if len(self._kept) > 2 * THUMBNAILS:
                self._stride *= 2
                self._kept = [pair for pair in self._kept if pair[0] % self._stride == 0]

    def png(self) -> bytes | None:
        """The strip as a palette PNG of some 20–30 KB, None where there was no picture."""
        import cv2

        if not self._kept:
            return None
        chosen = np.linspace(0, len(self._kept) - 1, min(THUMBNAILS, len(self._kept))).round().astype(int)
        strip = np.hstack([_thumbnail(self._kept[position][1]) for position in chosen])
        done, buffer = cv2.imencode(".png", strip & 0xF0, [cv2.IMWRITE_PNG_COMPRESSION, 9])
        return bytes(buffer) if done else None


def _thumbnail(jpeg: bytes) -> Any:
    import cv2

    picture = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_REDUCED_COLOR_4)
    height = round(picture.shape[0] * THUMBNAIL_WIDTH_PX / picture.shape[1])
    return cv2.resize(picture, (THUMBNAIL_WIDTH_PX, height), interpolation=cv2.INTER_AREA)
