"""Evenly spread pictures of a recording, for the strip of thumbnails in the UI.

Belongs here: choosing pictures from a stream of unknown length in constant memory. Does not belong here: drawing
(``surgery.previews``).
"""

from __future__ import annotations

import pyarrow as pa

from neurovision_assets.surgery.previews import STRIP_PICTURES, thumbnail_strip

KEPT_AT_MOST = 4 * STRIP_PICTURES


class StripSampler:
    """Keeps every ``stride``-th picture; when too many are kept, every second one is dropped and the stride doubles."""

    def __init__(self) -> None:
        self._kept: list[tuple[int, bytes]] = []
        self._stride = 1

    def add(self, batch: pa.RecordBatch) -> None:
        """Look at the next rows of the frame table."""
        for index, jpeg in zip(batch["frame_index"].to_pylist(), batch["jpeg"], strict=True):
            if index % self._stride == 0:
                self._kept.append((index, jpeg.as_py()))
            if len(self._kept) > KEPT_AT_MOST:
                self._stride *= 2
                self._kept = [pair for pair in self._kept if pair[0] % self._stride == 0]

    def strip(self) -> bytes | None:
        """The thumbnails, None where there was no picture."""
        return thumbnail_strip([jpeg for _, jpeg in self._kept]) if self._kept else None
