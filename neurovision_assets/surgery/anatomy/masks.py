"""Tissue probabilities to masks with areas, in pixels of the frame and of the source.

Belongs here: the call of the segmenter, the way from its answer to frame and source pixels, the table's rows. Does not
belong here: run lengths (`rle`), what a growing area means (`events`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from models.letterbox import FrameGeometry
from neurovision_assets.schemas import ANATOMY
from neurovision_assets.surgery.anatomy.config import AnatomyConfig
from neurovision_assets.surgery.anatomy.rle import ClassMap, Enlargement, class_runs
from neurovision_assets.surgery.pictures import PictureBatch, fit_pictures, input_size_px
from neurovision_assets.surgery.timeline import runs
from resources.errors import ConfigurationError
from resources.inference.client import InferenceResource
from resources.inference.spec import ModelSpec

BACKGROUND = 0
CHUNK = 8
"""Pictures whose probabilities are in memory at once."""


@dataclass(frozen=True)
class Projection:
    """From the model's answer to the two pictures that people use.

    Attributes:
        frame: to the stored frame; padding falls on the row and column that `bordered` adds.
        source: to the source picture.
        picture_area_px: pixels of the frame that are no padding.
        padding: bool [h', w'], cells of the answer that show padding; None where there is none.
        is_source_frame: the stored frame is the source picture, so that their masks are the same.
    """

    frame: Enlargement
    source: Enlargement
    picture_area_px: int
    padding: npt.NDArray[np.bool_] | None
    is_source_frame: bool


def check_segmenter(spec: ModelSpec) -> None:
    """Refuse a model that does not give a map for each of its labels.

    Raises:
        ConfigurationError: output or labels do not fit.
    """
    output = spec.outputs.get("probabilities")
    if output is None or len(output.dims) != 3 or output.dims[0] != len(spec.labels):
        has = f"probabilities {list(output.dims)}" if output else f"outputs {sorted(spec.outputs)}"
        raise ConfigurationError(
            f"It must give probabilities [labels, height, width]; it has {has} and {len(spec.labels)} labels.",
            subject=spec.identity.label,
            remedy="Name an anatomy segmenter in the profile, with the labels.txt that belongs to it.",
        )


@lru_cache(maxsize=2)
def project(answer_hw: tuple[int, int], model: FrameGeometry, frame: FrameGeometry) -> Projection:
    """Work out once which cell of the answer every pixel shows.

    Args:
        answer_hw: height and width of the model's answer, which covers its whole input.
        model: how the frame lies in the model's input.
        frame: how the source picture lies in the frame.
    """
    height, width = answer_hw
    rows, columns = frame.inner
    y_px = np.arange(rows.start, rows.stop) + 0.5
    x_px = np.arange(columns.start, columns.stop) + 0.5
    frame_rows = np.full(frame.height_px, height)
    frame_rows[rows] = _cells(y_px, model.scale_y, model.pad_top_px, height / model.height_px, height)
    frame_columns = np.full(frame.width_px, width)
    frame_columns[columns] = _cells(x_px, model.scale_x, model.pad_left_px, width / model.width_px, width)
    source_y = (np.arange(frame.source_height_px) + 0.5) * frame.scale_y + frame.pad_top_px
    source_x = (np.arange(frame.source_width_px) + 0.5) * frame.scale_x + frame.pad_left_px
    padding = np.ones(answer_hw, dtype=bool)
    padding[np.ix_(np.unique(frame_rows[rows]), np.unique(frame_columns[columns]))] = False
    on_frame = Enlargement(frame_rows, frame_columns)
    on_source = Enlargement(
        _cells(source_y, model.scale_y, model.pad_top_px, height / model.height_px, height),
        _cells(source_x, model.scale_x, model.pad_left_px, width / model.width_px, width),
    )
    return Projection(
        frame=on_frame,
        source=on_source,
        picture_area_px=frame.inner_height_px * frame.inner_width_px,
        padding=padding if padding.any() else None,
        is_source_frame=on_frame.shows_the_same(on_source),
    )


def anatomy_tables(
    batches: Iterable[PictureBatch], inference: InferenceResource, config: AnatomyConfig, geometry: FrameGeometry
) -> Iterator[pa.Table]:
    """The anatomy table in pieces, one for each batch of pictures; `schemas.ANATOMY`.

    Args:
        batches: decoded frames in order of time.
        inference: where the segmenter is.
        config: which segmenter, and the least area.
        geometry: how the source picture lies in the frame.

    Raises:
        ConfigurationError: the model is no anatomy segmenter.
    """
    spec = inference.pin(config.model)
    check_segmenter(spec)
    for batch in batches:
        for start in range(0, len(batch.images), CHUNK):
            part = slice(start, start + CHUNK)
            fitted, model = fit_pictures(batch.images[part], *input_size_px(spec, batch.images[0]))
            # Masks of these pictures beside the network's next call would be slower: the network wants every core.
            probabilities = inference.infer_images(config.model, fitted)["probabilities"]
            projection = project(probabilities.shape[2:], model, geometry)
            times = zip(batch.frame_index[part].tolist(), batch.timestamp_ms[part].tolist(), strict=True)
            yield _table(
                [
                    (*time, *row)
                    for time, picture in zip(times, probabilities, strict=True)
                    for row in structures(picture, projection, spec.labels, config.min_area_fraction)
                ]
            )


def structures(
    probabilities: npt.NDArray[np.float32], projection: Projection, labels: tuple[str, ...], min_area_fraction: float
) -> list[tuple[str, int, int, float, float, str, int, str]]:
    """What one picture shows.

    Args:
        probabilities: float32 [classes, h', w'], class 0 is the background.
        projection: to frame and source.
        labels: names by class.
        min_area_fraction: least share of the picture.

    Returns:
        The columns of `schemas.ANATOMY` after the frame's time, a row for each structure, by class.
    """
    classes = len(labels)
    small, best = most_likely(probabilities)
    source = class_runs(small, projection.source)
    frame = source if projection.is_source_frame else class_runs(bordered(small), projection.frame)
    confidence = _mean_confidence(best, small, projection.padding, classes)
    areas = frame.areas(classes)
    source_areas = areas if frame is source else source.areas(classes)
    fractions = areas / projection.picture_area_px
    is_seen = (areas > 0) & (source_areas > 0) & (fractions >= min_area_fraction)
    is_seen[BACKGROUND] = False
    seen = np.flatnonzero(is_seen)
    source_masks = source.encode(seen.tolist())
    return list(
        zip(
            [labels[c] for c in seen],
            seen.tolist(),
            areas[seen].tolist(),
            fractions[seen].tolist(),
            confidence[seen].tolist(),
            source_masks if frame is source else frame.encode(seen.tolist()),
            source_areas[seen].tolist(),
            source_masks,
            strict=True,
        )
    )


def most_likely(probabilities: npt.NDArray[np.float32]) -> tuple[ClassMap, npt.NDArray[np.float32]]:
    """The most likely class of each cell, uint8 [h', w'], and its probability; of equals the first.

    Class by class over bytes, which takes a tenth of numpy's time for an argmax over the first of three axes.

    Args:
        probabilities: float32 [classes, h', w'].
    """
    best = probabilities[0].copy()
    small = np.zeros(best.shape, dtype=np.uint8)
    for class_id, here in enumerate(probabilities[1:], start=1):
        is_better = (here > best).view(np.uint8)
        np.maximum(small, is_better * np.uint8(class_id), out=small)  # classes come in rising order
        np.maximum(best, here, out=best)
    return small, best


def bordered(small: ClassMap) -> ClassMap:
    """The map with one row and one column of background more, which the frame's padding shows."""
    height, width = small.shape
    larger = np.full((height + 1, width + 1), BACKGROUND, dtype=np.uint8)
    larger[:height, :width] = small
    return larger


def _cells(
    frame_px: npt.NDArray[np.floating], scale: float, pad_px: int, cells_per_px: float, cells: int
) -> npt.NDArray[np.int64]:
    """Cell of the model's answer under each coordinate of the frame."""
    found: npt.NDArray[np.int64] = np.floor((frame_px * scale + pad_px) * cells_per_px).astype(np.int64)
    return np.clip(found, 0, cells - 1)


def _mean_confidence(
    best: npt.NDArray[np.float32], small: ClassMap, padding: npt.NDArray[np.bool_] | None, classes: int
) -> npt.NDArray[np.float64]:
    """Mean probability of each class over its cells in the picture, [classes]; 0 where it has none.

    Summed run by run, in a third of the time that single cells take; in float64 such sums of float32 are exact.
    """
    own = (small if padding is None else np.where(padding, classes, small)).reshape(-1)
    first, after = runs(own)
    sums = np.add.reduceat(best.reshape(-1), first, dtype=np.float64)
    total = np.bincount(own[first], weights=sums, minlength=classes)[:classes]
    cells = np.bincount(own[first], weights=after - first, minlength=classes)[:classes]
    return np.minimum(total / np.maximum(cells, 1), 1.0)


def _table(rows: list[tuple[object, ...]]) -> pa.Table:
    schema = ANATOMY.arrow_schema
    columns = zip(*rows, strict=True) if rows else ((),) * len(schema)
    return pa.Table.from_arrays(
        [pa.array(column, field.type) for column, field in zip(columns, schema, strict=True)], schema=schema
    )
