"""Pictures to feature vectors through any backbone of the repository that is 2048 wide (NV-023, NV-098).

Belongs here: the check of the backbone, batching, normalisation, the table's rows. Does not belong here: decoding
(`surgery.pictures`), running models (`resources.inference`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from neurovision_assets.schemas import FEATURE_WIDTH, FEATURES
from neurovision_assets.surgery.features.config import FeaturesConfig
from neurovision_assets.surgery.pictures import Images, PictureBatch, fit_pictures, input_size_px
from resources.errors import ConfigurationError, PermanentFailure
from resources.inference.client import InferenceResource
from resources.inference.spec import ModelSpec

UNIT_LENGTH_TOLERANCE = 1e-3
"""Vectors whose length is this close to one are left as the backbone gave them, bit for bit."""


@dataclass(frozen=True)
class FeatureBatch:
    """Vectors of some frames.

    Attributes:
        features: float32 [n, 2048].
        novelty: float32 [n], at least 0, or None where the backbone does not tell.
    """

    features: npt.NDArray[np.float32]
    novelty: npt.NDArray[np.float32] | None


def check_extractor(spec: ModelSpec) -> None:
    """Refuse a backbone whose vectors the tables cannot hold.

    Raises:
        ConfigurationError: it has no output ``features`` of width 2048.
    """
    features = spec.outputs.get("features")
    if features is None or features.dims != (FEATURE_WIDTH,):
        has = f"features {list(features.dims)}" if features else f"outputs {sorted(spec.outputs)}"
        raise ConfigurationError(
            f"A backbone must give features [{FEATURE_WIDTH}], this one has {has}.",
            subject=spec.identity.label,
            remedy="Name a backbone of that width in the profile, or project its output when it is exported.",
        )


def extract(images: Iterable[Images], inference: InferenceResource, config: FeaturesConfig) -> Iterator[FeatureBatch]:
    """Compute vectors batch by batch; one batch is in memory at a time.

    Args:
        images: uint8 [n, h, w, 3] each, RGB.
        inference: where the backbone is.
        config: which backbone, and whether to normalise.

    Raises:
        ConfigurationError: the backbone does not fit.
        PermanentFailure: it answers with values that are no numbers.
    """
    spec = inference.pin(config.model)
    check_extractor(spec)
    for pictures in images:
        for start in range(0, len(pictures), config.batch_size):
            yield _extract_batch(pictures[start : start + config.batch_size], inference, spec, config)


def features_tables(
    batches: Iterable[PictureBatch], inference: InferenceResource, config: FeaturesConfig
) -> Iterator[pa.Table]:
    """The features table in pieces, one for each batch of pictures; `schemas.FEATURES`.

    Raises:
        ConfigurationError: the backbone does not fit.
        PermanentFailure: it answers with values that are no numbers.
    """
    for batch in batches:
        parts = list(extract([batch.images], inference, config))
        features = np.concatenate([part.features for part in parts])
        novelties = [part.novelty for part in parts if part.novelty is not None]
        novelty = pa.array(np.concatenate(novelties)) if novelties else pa.nulls(len(features), pa.float32())
        vectors = pa.FixedSizeListArray.from_arrays(pa.array(features.reshape(-1)), FEATURE_WIDTH)
        columns = [pa.array(batch.frame_index), pa.array(batch.timestamp_ms), vectors, novelty]
        yield pa.Table.from_arrays(columns, schema=FEATURES.arrow_schema)


def _extract_batch(
    pictures: Images, inference: InferenceResource, spec: ModelSpec, config: FeaturesConfig
) -> FeatureBatch:
    width, height = input_size_px(spec, pictures[0])
    fitted, _ = fit_pictures(pictures, width, height)
    answer = inference.infer_images(config.model, fitted)
    features = answer["features"].astype(np.float32, copy=False)
    novelty = answer["novelty"].reshape(len(fitted)).astype(np.float32) if "novelty" in answer else None
    if not np.isfinite(features).all() or (novelty is not None and not np.isfinite(novelty).all()):
        raise PermanentFailure(
            "The backbone answers with values that are no numbers.",
            subject=spec.identity.label,
            remedy="Its weights are damaged: install the model again or promote another version.",
        )
    return FeatureBatch(
        normalized(features) if config.normalize else features,
        None if novelty is None else np.maximum(novelty, 0.0),
    )


def normalized(vectors: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Scale vectors to length one (L2); a vector of zeros stays.

    Args:
        vectors: float32 [n, width].
    """
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    already = np.abs(lengths - 1.0) <= UNIT_LENGTH_TOLERANCE
    divisors = np.where(already | (lengths == 0), 1.0, lengths).astype(np.float32)
    scaled: npt.NDArray[np.float32] = vectors / divisors
    return scaled
