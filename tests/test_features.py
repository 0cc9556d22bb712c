"""Features: any backbone that fits, vectors of unit length, batches that change nothing."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from neurovision_assets.schemas import FEATURE_WIDTH, FEATURES
from neurovision_assets.surgery.features.compute import extract, features_tables, normalized
from neurovision_assets.surgery.features.config import FeaturesConfig
from neurovision_assets.surgery.pictures import decode_frames
from resources.errors import ConfigurationError, PermanentFailure
from tests.rooms import default_models, edited_model, frame_batches, simulated_frames, violations

NOVELTY_OUTPUT = """,
  {
    name: "novelty"
    data_type: TYPE_FP32
    dims: [ 1 ]
  }"""


def test_a_table_of_unit_vectors_with_novelty(tmp_path: Path) -> None:
    batches = frame_batches(simulated_frames(5), rows=2)
    table = pa.concat_tables(features_tables(decode_frames(batches), default_models(tmp_path), FeaturesConfig()))
    assert violations(FEATURES, table) == []
    assert table["frame_index"].to_pylist() == [0, 1, 2, 3, 4]
    vectors = np.stack(table["features"].to_numpy())
    assert vectors.shape == (5, FEATURE_WIDTH)
    assert np.linalg.norm(vectors, axis=1) == pytest.approx(1.0, abs=1e-3)
    assert table["novelty"].null_count == 0


def test_the_size_of_batches_changes_nothing(tmp_path: Path) -> None:
    images, inference = simulated_frames(5, 160, 120), default_models(tmp_path)
    whole = next(extract([images], inference, FeaturesConfig()))
    pieces = list(extract([images[:3], images[3:]], inference, FeaturesConfig(batch_size=2)))
    assert [len(piece.features) for piece in pieces] == [2, 1, 2]
    joined = np.concatenate([piece.features for piece in pieces])
    assert np.abs(joined - whole.features).max() < 1e-5


def test_more_pictures_than_the_model_takes_at_once(tmp_path: Path) -> None:
    inference = edited_model(tmp_path, "feature_extractor", [("max_batch_size: 32", "max_batch_size: 2")])
    images = np.repeat(simulated_frames(1, 160, 120), 5, axis=0)
    assert len(next(extract([images], inference, FeaturesConfig())).features) == 5


def test_a_backbone_without_novelty_leaves_it_empty(tmp_path: Path) -> None:
    inference = edited_model(tmp_path, "feature_extractor", [(NOVELTY_OUTPUT, "")])
    batches = frame_batches(simulated_frames(2, 160, 120))
    table = pa.concat_tables(features_tables(decode_frames(batches), inference, FeaturesConfig()))
    assert violations(FEATURES, table) == []
    assert table["novelty"].null_count == 2


def test_a_backbone_of_another_width_is_refused_by_name(tmp_path: Path) -> None:
    inference = edited_model(tmp_path, "feature_extractor", [("dims: [ 2048 ]", "dims: [ 1280 ]")])
    with pytest.raises(ConfigurationError, match=r"feature_extractor@.*2048.*1280"):
        next(extract([simulated_frames(1, 160, 120)], inference, FeaturesConfig()))


def test_a_model_that_takes_no_pictures_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"anatomy_segmenter@"):
        next(extract([simulated_frames(1)], default_models(tmp_path), FeaturesConfig(model="anatomy_segmenter")))


def test_a_damaged_picture_is_a_permanent_failure_that_names_it() -> None:
    batch = frame_batches(simulated_frames(3, 160, 120))[0]
    jpegs = batch["jpeg"].to_pylist()
    jpegs[1] = b"no picture"
    damaged = batch.set_column(2, "jpeg", pa.array(jpegs, pa.binary()))
    with pytest.raises(PermanentFailure, match=r"\[1\]"):
        list(decode_frames([damaged]))


@pytest.mark.parametrize("reduction", [1, 2, 4, 8])
def test_decoding_gives_rgb_at_any_reduction(reduction: int) -> None:
    red = np.zeros((2, 120, 160, 3), np.uint8)
    red[..., 0] = 200
    images = next(decode_frames(frame_batches(red), reduction=reduction)).images
    assert images.shape == (2, 120 // reduction, 160 // reduction, 3)
    assert np.abs(images.astype(int) - (200, 0, 0)).max() <= 3


@given(arrays(np.float32, (4, 16), elements=st.floats(-1e3, 1e3, width=32)))
def test_normalized_vectors_have_length_one_and_keep_their_direction(vectors: np.ndarray) -> None:
    result = normalized(vectors)
    lengths = np.linalg.norm(vectors, axis=1)
    for before, after, length in zip(vectors, result, lengths, strict=True):
        if length < 1e-20:
            assert np.isfinite(after).all()
        else:
            assert np.linalg.norm(after) == pytest.approx(1.0, abs=2e-3)
            assert float(before @ after) == pytest.approx(length * np.linalg.norm(after), rel=1e-3)
