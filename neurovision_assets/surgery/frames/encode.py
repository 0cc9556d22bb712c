"""From decoded pictures to rows of the frame table.

Belongs here: upright, scaled and padded pictures, JPEG, quality figures, record batches in bounded memory.
Does not belong here: decoding, the sampling rule, writing files.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from neurovision_assets.schemas import FRAMES
from neurovision_assets.surgery.frames import quality
from neurovision_assets.surgery.frames.config import FramesConfig
from neurovision_assets.surgery.frames.decode import DecodeReport, FrameDecoder, KeptFrame, MediaPart
from neurovision_assets.surgery.frames.geometry import FrameGeometry, pad
from neurovision_assets.surgery.video.probe import VideoLimits

if TYPE_CHECKING:
    from av.video.frame import VideoFrame

Image = npt.NDArray[np.uint8]

WAITING_PER_THREAD = 2
"""Pictures that may wait for a thread; each holds a decoded source picture."""

HD_MIN_WIDTH_PX = 1280
HD_MIN_HEIGHT_PX = 577
"""Pictures of this size without a colour tag are BT.709, smaller ones BT.601, as players take them."""

PROGRESS_STEP = 0.01

FRAME_SCHEMA = FRAMES.arrow_schema


@dataclass(frozen=True)
class _Encoded:
    """A kept frame after the work that needs no other frame."""

    frame: KeptFrame
    jpeg: bytes
    figures: quality.PictureFigures


class FrameBatches:
    """The frame table of one recording, batch by batch; iterate once.

    `geometry` is known after the first batch, `report` is complete after the last one.
    """

    def __init__(
        self, decoder: FrameDecoder, config: FramesConfig, first: MediaPart, on_progress: Callable[[float], None]
    ) -> None:
        self._decoder = decoder
        self._config = config
        self._first = first.probe
        self._on_progress = on_progress
        self._geometry: FrameGeometry | None = None
        self._threads = threading.local()

    schema = FRAME_SCHEMA

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
                    self._geometry = self._fit(frame.picture)
                waiting.append(pool.submit(self._encode, frame, self._geometry))
                if len(waiting) > WAITING_PER_THREAD * threads:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()

    def _fit(self, picture: VideoFrame) -> FrameGeometry:
        return FrameGeometry.fit(
            picture.width,
            picture.height,
            self._config.width_px,
            self._config.height_px,
            rotation_deg=self._first.rotation_deg,
            pixel_aspect=self._first.pixel_aspect,
        )

    def _encode(self, frame: KeptFrame, geometry: FrameGeometry) -> _Encoded:
        picture = to_frame(frame.picture, geometry, self._reformatter())
        jpeg = encode_jpeg(picture, self._config.jpeg_quality)
        return _Encoded(frame, jpeg, quality.measure(picture[geometry.inner]))

    def _reformatter(self) -> Any:
        """One scaler a thread: it keeps its tables from picture to picture."""
        from av.video.reformatter import VideoReformatter

        if not hasattr(self._threads, "reformatter"):
            self._threads.reformatter = VideoReformatter()
        return self._threads.reformatter

    def _row(self, index: int, encoded: _Encoded, before: Image | None) -> dict[str, Any]:
        figures, frame = encoded.figures, encoded.frame
        changed = None if before is None else quality.difference(before, figures.grey)
        return {
            "frame_index": index,
            "timestamp_ms": round(frame.time_us / 1000),
            "source_pts": frame.source_pts,
            "part_index": frame.part_index,
            "jpeg": encoded.jpeg,
            "sharpness": figures.sharpness,
            "brightness": figures.brightness,
            "saturation": figures.saturation,
            "difference": changed,
            "frozen": changed is not None and changed < self._config.frozen_difference,
        }


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
        on_progress: called with the share that is done, 0 to 1, at most once a hundredth.

    Returns:
        An iterable of record batches of `FRAME_SCHEMA`, with `geometry` and `report`.

    Raises:
        PermanentFailure: while iterating, when nothing can be decoded.
    """
    config = config or FramesConfig()
    decoder = FrameDecoder(parts, fps=config.fps, subject=subject, limits=limits)
    return FrameBatches(decoder, config, parts[0], on_progress or (lambda _: None))


def to_frame(picture: VideoFrame, geometry: FrameGeometry, reformatter: Any) -> Image:
    """Turn a decoded picture into a stored frame: scaled, upright, padded.

    Returns:
        [height_px, width_px, 3] uint8, BGR.
    """
    from av.video.reformatter import ColorRange, Colorspace, Interpolation

    sideways = geometry.rotation_deg in (90, 270)
    inner = (geometry.inner_width_px, geometry.inner_height_px)
    width, height = inner[::-1] if sideways else inner
    shrinks = width < picture.width or height < picture.height
    kernel = Interpolation.AREA if shrinks else Interpolation.BICUBIC
    scaled = reformatter.reformat(
        picture,
        width=width,
        height=height,
        format="bgr24",
        src_colorspace=_colour_space(picture, Colorspace),
        src_color_range=picture.color_range,
        dst_color_range=ColorRange.JPEG,
        interpolation=kernel | Interpolation.ACCURATE_RND | Interpolation.FULL_CHR_H_INT,
        threads=1,
    )
    return pad(_turn(scaled.to_ndarray(), geometry.rotation_deg), geometry)


def _colour_space(picture: VideoFrame, known: Any) -> int:
    unspecified = 2
    if picture.colorspace != unspecified:
        return int(picture.colorspace)
    is_hd = picture.width >= HD_MIN_WIDTH_PX or picture.height >= HD_MIN_HEIGHT_PX
    return int(known.ITU709 if is_hd else known.ITU601)


def _turn(image: Image, clockwise_deg: int) -> Image:
    return np.ascontiguousarray(np.rot90(image, -(clockwise_deg // 90))) if clockwise_deg else image


def encode_jpeg(image_bgr: Image, jpeg_quality: int) -> bytes:
    """Compress a picture with libjpeg-turbo.

    Args:
        image_bgr: [h, w, 3] uint8, BGR.
        jpeg_quality: 1 to 100.
    """
    import cv2

    done, buffer = cv2.imencode(".jpg", image_bgr, [cv2.IMWRITE_JPEG_QUALITY, jpeg_quality])
    if not done:
        raise ValueError(f"a picture of the shape {list(image_bgr.shape)} cannot be compressed as JPEG")
    return bytes(buffer)
