"""From decoded pictures to rows of the frame table.

Belongs here: JPEG, quality figures, record batches in bounded memory. Does not belong here: decoding, the sampling
rule, pixels (`render.py`), writing files.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from models.letterbox import FrameGeometry
from neurovision_assets.surgery.frames import quality
from neurovision_assets.surgery.frames.config import FramesConfig
from neurovision_assets.surgery.frames.damage import DecodeReport
from neurovision_assets.surgery.frames.decode import FrameDecoder, KeptFrame, MediaPart, length_ms
from neurovision_assets.surgery.frames.render import Renderer
from neurovision_assets.surgery.video.probe import VideoLimits

Image = npt.NDArray[np.uint8]

WAITING_PER_THREAD = 2
"""Pictures that may wait for a thread; each holds a decoded source picture."""

PROGRESS_STEP = 0.01

FRAME_SCHEMA = pa.schema(
    [
        pa.field("frame_index", pa.int32(), nullable=False),
        pa.field("timestamp_ms", pa.int64(), nullable=False),
        pa.field("source_pts", pa.int64(), nullable=True),
        pa.field("part_index", pa.int16(), nullable=False),
        pa.field("jpeg", pa.binary(), nullable=False),
        pa.field("sharpness", pa.float32(), nullable=False),
        pa.field("brightness", pa.float32(), nullable=False),
        pa.field("saturation", pa.float32(), nullable=False),
        pa.field("difference", pa.float32(), nullable=True),
        pa.field("frozen", pa.bool_(), nullable=False),
    ]
)
"""One row a kept frame, times strictly rising. `source_pts` is null where the source frame carries none,
`difference` is null in the first row."""


@dataclass(frozen=True)
class _Encoded:
    """A kept frame after the work that needs no other frame."""

    frame: KeptFrame
    jpeg: bytes
    figures: quality.PictureFigures


class FrameBatches:
    """The frame table of one recording, batch by batch; iterate once.

    `geometry` is known after the first batch, `report` is complete after the last one.

    Args:
        parts: the files of the recording in their order.
        decoder: gives the kept frames of these parts.
        config: the settings of the stage.
        on_progress: called with the share that is done, 0 to 1.
    """

    schema: ClassVar[pa.Schema] = FRAME_SCHEMA

    def __init__(
        self,
        parts: Sequence[MediaPart],
        decoder: FrameDecoder,
        config: FramesConfig,
        on_progress: Callable[[float], None],
    ) -> None:
        self._parts = parts
        self._decoder = decoder
        self._config = config
        self._on_progress = on_progress
        self._length_us = max(1, 1000 * length_ms(parts))
        self._told = 0.0
        self._geometry: FrameGeometry | None = None
        self._renderer = Renderer()

    @property
    def geometry(self) -> FrameGeometry:
        """How the pictures of the recording lie inside its frames."""
        if self._geometry is None:
            raise RuntimeError("the geometry is known after the first batch")
        return self._geometry

    @property
    def report(self) -> DecodeReport:
        """What was decoded and what was lost."""
        return self._decoder.report

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        rows: list[dict[str, Any]] = []
        before: Image | None = None
        for index, encoded in enumerate(self._encoded()):
            rows.append(self._row(index, encoded, before))
            before = encoded.figures.grey
            if len(rows) == self._config.batch_rows:
                yield pa.RecordBatch.from_pylist(rows, schema=FRAME_SCHEMA)
                rows = []
            self._tell(encoded.frame.time_us / self._length_us)
        if rows:
            yield pa.RecordBatch.from_pylist(rows, schema=FRAME_SCHEMA)
        self._on_progress(1.0)

    def _encoded(self) -> Iterator[_Encoded]:
        """Kept frames in order, worked on by a few threads; the queue bounds what waits."""
        threads = self._config.encode_threads
        waiting: deque[Future[_Encoded]] = deque()
        with ThreadPoolExecutor(threads, thread_name_prefix="frames") as pool:
            for frame in self._decoder:
                if self._geometry is None:
                    self._geometry = self._fit(frame)
                waiting.append(pool.submit(self._encode, frame, self._geometry))
                if len(waiting) > WAITING_PER_THREAD * threads:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()

    def _fit(self, frame: KeptFrame) -> FrameGeometry:
        probe = self._parts[frame.part_index].probe
        return FrameGeometry.fit(
            frame.picture.width,
            frame.picture.height,
            self._config.width_px,
            self._config.height_px,
            rotation_deg=probe.rotation_deg,
            pixel_aspect=probe.pixel_aspect,
        )

    def _encode(self, frame: KeptFrame, geometry: FrameGeometry) -> _Encoded:
        image = self._renderer.render(frame.picture, geometry, self._parts[frame.part_index].probe.rotation_deg)
        return _Encoded(frame, encode_jpeg(image, self._config.jpeg_quality), quality.measure(image[geometry.inner]))

    def _row(self, index: int, encoded: _Encoded, before: Image | None) -> dict[str, Any]:
        figures, frame = encoded.figures, encoded.frame
        changed = None if before is None else quality.difference(before, figures.grey)
        return {
            "frame_index": index,
            "timestamp_ms": frame.timestamp_ms,
            "source_pts": frame.source_pts,
            "part_index": frame.part_index,
            "jpeg": encoded.jpeg,
            "sharpness": figures.sharpness,
            "brightness": figures.brightness,
            "saturation": figures.saturation,
            "difference": changed,
            "frozen": changed is not None and changed < self._config.frozen_difference,
        }

    def _tell(self, share: float) -> None:
        if share >= self._told + PROGRESS_STEP and share < 1.0:
            self._told = share
            self._on_progress(share)


def sample_to_batches(
    parts: Sequence[MediaPart],
    config: FramesConfig | None = None,
    *,
    subject: str,
    limits: VideoLimits | None = None,
    on_progress: Callable[[float], None] | None = None,
) -> FrameBatches:
    """The whole way from a recording to its frame table, in constant memory.

    Args:
        parts: the files of the recording in their order.
        config: the settings of the stage; its defaults when None.
        subject: a neutral name for messages.
        limits: guards of the decoder.
        on_progress: called with the share that is done, at most once a hundredth, and with 1.0 at the end.

    Returns:
        An iterable of record batches of `FRAME_SCHEMA`, with `geometry` and `report`.

    Raises:
        PermanentFailure: while iterating, when nothing can be decoded or it takes too long.
        TransientFailure: while iterating, when the storage fails.
    """
    config = config or FramesConfig()
    decoder = FrameDecoder(parts, fps=config.fps, sampling=config.sampling, subject=subject, limits=limits)
    return FrameBatches(parts, decoder, config, on_progress or (lambda _: None))


def encode_jpeg(image_bgr: Image, jpeg_quality: int) -> bytes:
    """Compress a picture with OpenCV's libjpeg-turbo.

    Args:
        image_bgr: [h, w, 3] uint8, BGR.
        jpeg_quality: 1 to 100.
    """
    import cv2

    done, buffer = cv2.imencode(".jpg", image_bgr, [cv2.IMWRITE_JPEG_QUALITY, jpeg_quality])
    if not done:
        raise ValueError(f"a picture of the shape {list(image_bgr.shape)} cannot be compressed as JPEG")
    return bytes(buffer)
