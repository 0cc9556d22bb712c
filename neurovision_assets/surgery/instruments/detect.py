"""Pictures to boxes of instruments, in pixels of the frame and of the source (NV-109, NV-110).

Belongs here: the call of the detector, the threshold, the way back to frame and source pixels. Does not belong here:
what links frames (`track`, `usage`).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from models.letterbox import FrameGeometry
from neurovision_assets.schemas import DETECTIONS
from neurovision_assets.surgery.instruments.config import InstrumentsConfig
from neurovision_assets.surgery.pictures import PictureBatch, fit_pictures, input_size_px
from resources.errors import ConfigurationError, PermanentFailure
from resources.inference.client import InferenceResource
from resources.inference.spec import ModelSpec

OUTPUTS = ("boxes", "scores", "classes")
SIDES = ("x_min", "y_min", "x_max", "y_max")


@dataclass(frozen=True)
class Detections:
    """Boxes of many frames, in order of time.

    Attributes:
        frame_index: int32 [k].
        timestamp_ms: int64 [k].
        class_id: int16 [k], number in the model's labels.
        score: float32 [k].
        box_px: float64 [k, 4], x_min, y_min, x_max, y_max in pixels of the frame.
        source_box_px: float64 [k, 4], in pixels of the source picture.
    """

    frame_index: npt.NDArray[np.int32]
    timestamp_ms: npt.NDArray[np.int64]
    class_id: npt.NDArray[np.int16]
    score: npt.NDArray[np.float32]
    box_px: npt.NDArray[np.float64]
    source_box_px: npt.NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.score)


def check_detector(spec: ModelSpec) -> None:
    """Refuse a model that is no detector with labels.

    Raises:
        ConfigurationError: an output or the labels are missing.
    """
    missing = [name for name in OUTPUTS if name not in spec.outputs]
    if missing or not spec.labels:
        raise ConfigurationError(
            f"A detector must have the outputs {', '.join(OUTPUTS)} and a labels.txt; "
            f"this model has {sorted(spec.outputs)} and {len(spec.labels)} labels.",
            subject=spec.identity.label,
            remedy="Name a detector in the profile.",
        )


def detect(
    batches: Iterable[PictureBatch], inference: InferenceResource, config: InstrumentsConfig, geometry: FrameGeometry
) -> Detections:
    """Find instruments in all frames; one batch of pictures is in memory at a time.

    Args:
        batches: decoded frames in order of time.
        inference: where the detector is.
        config: which detector, and the threshold.
        geometry: how the source picture lies in the frame.

    Raises:
        ConfigurationError: the model is no detector.
        PermanentFailure: it answers with a class that its labels do not name.
    """
    spec = inference.pin(config.model)
    check_detector(spec)
    parts = [_detect_batch(batch, inference, spec, config, geometry) for batch in batches]
    return _joined(parts)


def detections_table(detections: Detections, track_id: npt.NDArray[np.int32], labels: tuple[str, ...]) -> pa.Table:
    """One row a box; `schemas.DETECTIONS`.

    Args:
        detections: the boxes.
        track_id: int32 [k], of `track.track`.
        labels: class names of the detector.
    """
    boxes = np.concatenate((detections.box_px, detections.source_box_px), axis=1).astype(np.float32)
    columns = [
        pa.array(detections.frame_index),
        pa.array(detections.timestamp_ms),
        pa.array(np.array(labels, dtype=object)[detections.class_id], pa.string()),
        pa.array(detections.class_id),
        pa.array(detections.score),
        pa.array(track_id, pa.int32()),
        *(pa.array(boxes[:, side]) for side in range(2 * len(SIDES))),
    ]
    return pa.Table.from_arrays(columns, schema=DETECTIONS.arrow_schema)


def _detect_batch(
    batch: PictureBatch,
    inference: InferenceResource,
    spec: ModelSpec,
    config: InstrumentsConfig,
    geometry: FrameGeometry,
) -> Detections:
    fitted, inside_model = fit_pictures(batch.images, *input_size_px(spec, batch.images[0]))
    answer = inference.infer_images(config.model, fitted)
    picture, place = np.nonzero(answer["scores"] > config.score_threshold)
    scores, classes = answer["scores"][picture, place], answer["classes"][picture, place]
    if len(classes) and not 0 <= classes.min() <= classes.max() < len(spec.labels):
        raise PermanentFailure(
            f"The detector answers with classes {classes.min()} to {classes.max()} and has {len(spec.labels)} labels.",
            subject=spec.identity.label,
            remedy="Install the labels.txt that belongs to the model.",
        )
    boxes = inside_model.to_source_box(answer["boxes"][picture, place])
    source = geometry.to_source_box(boxes)
    real = (source[:, 2] > source[:, 0]) & (source[:, 3] > source[:, 1])  # what lies in the padding is not there
    picture = picture[real]
    return Detections(
        frame_index=batch.frame_index[picture],
        timestamp_ms=batch.timestamp_ms[picture],
        class_id=classes[real].astype(np.int16),
        score=scores[real],
        box_px=boxes[real],
        source_box_px=source[real],
    )


def _joined(parts: list[Detections]) -> Detections:
    if not parts:
        nothing = np.empty((0, 4))
        return Detections(
            np.empty(0, np.int32),
            np.empty(0, np.int64),
            np.empty(0, np.int16),
            np.empty(0, np.float32),
            nothing,
            nothing,
        )
    names = Detections.__dataclass_fields__
    return Detections(**{name: np.concatenate([getattr(part, name) for part in parts]) for name in names})
