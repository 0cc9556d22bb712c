"""Stored frames as pictures again: what every stage that looks at them does first.

Belongs here: decoding a frames table's JPEG and fitting pictures into a model's input. Does not belong here: making
frames (`frames`), what a model answers.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from models.letterbox import FrameGeometry, scale
from resources.errors import ConfigurationError, PermanentFailure
from resources.inference.spec import ModelSpec

Image = npt.NDArray[np.uint8]
Images = npt.NDArray[np.uint8]
"""uint8 [n, h, w, 3], RGB."""

FRAME_COLUMNS = ("frame_index", "timestamp_ms", "jpeg")
"""What must be read of a frames table for `decode_frames`."""

REDUCTIONS = (1, 2, 4, 8)
"""Sides can be divided by these while a JPEG is decoded, by leaving out frequencies: much faster than scaling after."""

DECODE_THREADS = 2


@dataclass(frozen=True)
class PictureBatch:
    """Some stored frames, decoded.

    Attributes:
        frame_index: int32 [n].
        timestamp_ms: int64 [n].
        images: uint8 [n, h, w, 3], RGB.
    """

    frame_index: npt.NDArray[np.int32]
    timestamp_ms: npt.NDArray[np.int64]
    images: Images


def decode_frames(
    batches: Iterable[pa.RecordBatch], *, reduction: int = 1, threads: int = DECODE_THREADS
) -> Iterator[PictureBatch]:
    """Decode a frames table batch by batch; memory holds one batch at a time.

    Args:
        batches: rows with at least `FRAME_COLUMNS`.
        reduction: divisor of the sides, one of `REDUCTIONS`.
        threads: JPEG decoders that work side by side.

    Raises:
        PermanentFailure: a picture cannot be decoded, or the pictures differ in size.
    """
    with ThreadPoolExecutor(max_workers=threads, thread_name_prefix="decode") as pool:
        for batch in batches:
            if batch.num_rows == 0:
                continue
            frames = batch.column("frame_index").to_numpy()
            jpegs = [value.as_buffer() for value in batch.column("jpeg")]
            images = _all_decoded(frames, list(pool.map(lambda jpeg: _decode(jpeg, reduction), jpegs)))
            yield PictureBatch(frames, batch.column("timestamp_ms").to_numpy(), images)


def fit_pictures(images: Images, width_px: int, height_px: int) -> tuple[Images, FrameGeometry]:
    """Letterbox pictures of one size into a model's input.

    Args:
        images: uint8 [n, h, w, 3], n at least 1.
        width_px: width of the input.
        height_px: height of the input.

    Returns:
        uint8 [n, height_px, width_px, 3], and the geometry whose "source" are the pictures given.
    """
    height, width = images.shape[1:3]
    geometry = FrameGeometry.fit(width, height, width_px, height_px)
    fitted = np.zeros((len(images), height_px, width_px, images.shape[3]), dtype=np.uint8)
    for image, frame in zip(images, fitted, strict=True):
        frame[geometry.inner] = scale(image, geometry)
    return fitted, geometry


def input_size_px(spec: ModelSpec, picture: Image) -> tuple[int, int]:
    """Width and height of a model's input ``images``; a size that the model leaves open is the picture's own.

    Raises:
        ConfigurationError: the model does not take RGB pictures.
    """
    dims = spec.inputs["images"].dims if set(spec.inputs) == {"images"} else ()
    if len(dims) != 3 or dims[0] != 3:
        takes = {tensor.name: list(tensor.dims) for tensor in spec.inputs.values()}
        raise ConfigurationError(
            f"The model takes {takes}, not images [3, height, width].",
            subject=spec.identity.label,
            remedy="Name a model in the profile that takes RGB pictures.",
        )
    height, width = picture.shape[:2]
    return (dims[2] if dims[2] > 0 else width), (dims[1] if dims[1] > 0 else height)


def _decode(jpeg: pa.Buffer | None, reduction: int) -> Image | None:
    import cv2

    if not jpeg:
        return None
    flags = {
        1: cv2.IMREAD_COLOR,
        2: cv2.IMREAD_REDUCED_COLOR_2,
        4: cv2.IMREAD_REDUCED_COLOR_4,
        8: cv2.IMREAD_REDUCED_COLOR_8,
    }
    picture = cv2.imdecode(np.frombuffer(jpeg, dtype=np.uint8), flags[reduction] | cv2.IMREAD_IGNORE_ORIENTATION)
    return None if picture is None else np.asarray(cv2.cvtColor(picture, cv2.COLOR_BGR2RGB), dtype=np.uint8)


def _all_decoded(frames: npt.NDArray[np.int32], images: list[Image | None]) -> Images:
    decoded = [image for image in images if image is not None]
    sizes = {image.shape for image in decoded}
    broken = [int(frame) for frame, image in zip(frames, images, strict=True) if image is None]
    if broken or len(sizes) > 1:
        what = f"frames {broken[:5]} are no pictures" if broken else f"pictures have different sizes {sorted(sizes)}"
        raise PermanentFailure(
            f"Of the stored frames, {what}.",
            subject=f"frames {int(frames[0])} to {int(frames[-1])}",
            remedy="The frames table is damaged: materialize surgery/frames again.",
        )
    return np.stack(decoded)
