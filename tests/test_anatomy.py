"""Anatomy: masks that are exact in frame and source pixels, and areas that agree with them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pycocotools import mask as coco

from models.letterbox import FrameGeometry, letterbox
from neurovision_assets.schemas import ANATOMY
from neurovision_assets.surgery.anatomy.config import AnatomyConfig
from neurovision_assets.surgery.anatomy.masks import anatomy_tables, bordered, project, structures
from neurovision_assets.surgery.anatomy.rle import Enlargement, class_runs
from neurovision_assets.surgery.pictures import decode_frames
from resources.errors import ConfigurationError
from tests.rooms import default_models, frame_batches, simulated_frames, violations


def decoded(rle: str, height: int, width: int) -> np.ndarray:
    return coco.decode({"size": [height, width], "counts": rle.encode("ascii")}).astype(bool)


@settings(deadline=None)
@given(
    seed=st.integers(0, 10_000),
    small=st.tuples(st.integers(1, 7), st.integers(1, 7)),
    large=st.tuples(st.integers(1, 30), st.integers(1, 30)),
    classes=st.integers(1, 4),
)
def test_runs_are_those_of_the_enlarged_mask(
    seed: int, small: tuple[int, int], large: tuple[int, int], classes: int
) -> None:
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, classes, small).astype(np.uint8)
    enlargement = Enlargement(
        np.sort(rng.integers(0, small[0], large[0])), np.sort(rng.integers(0, small[1], large[1]))
    )
    big = labels[np.ix_(enlargement.rows, enlargement.columns)]
    runs = class_runs(labels, enlargement)
    assert runs.areas(classes).tolist() == np.bincount(big.reshape(-1), minlength=classes).tolist()
    truth = [coco.encode(np.asfortranarray((big == c).astype(np.uint8)))["counts"] for c in range(classes)]
    assert runs.encode(range(classes)) == [counts.decode("ascii") for counts in truth]


@pytest.mark.parametrize("source", [(1920, 1080), (479, 641), (320, 240)])
def test_every_pixel_shows_the_cell_under_its_centre(source: tuple[int, int]) -> None:
    frame = FrameGeometry.fit(*source, 640, 480)
    model = FrameGeometry.fit(640, 480, 320, 256)
    projection = project((128, 160), model, frame)
    column, row = source[0] // 3, source[1] // 4
    x, y = frame.to_frame_box([column, row, column + 1, row + 1]).reshape(2, 2).mean(axis=0)
    x, y = model.to_frame_box([x, y, x, y])[:2]
    assert projection.source.columns[column] == int(x / 2)
    assert projection.source.rows[row] == int(y / 2)
    assert projection.source.size == source[::-1]
    x, y = frame.pad_left_px + 7, frame.pad_top_px + 5
    inside_model = model.to_frame_box([x + 0.5, y + 0.5] * 2)
    assert projection.frame.columns[x] == int(inside_model[0] / 2)
    assert projection.frame.rows[y] == int(inside_model[1] / 2)


def test_padding_is_never_tissue() -> None:
    frame = FrameGeometry.fit(1920, 1080, 640, 480)
    projection = project((120, 160), FrameGeometry.fit(640, 480, 320, 240), frame)
    everything_liver = np.zeros((9, 120, 160), np.float32)
    everything_liver[2] = 1.0
    labels = ("background", *"abcdefgh")
    ((name, class_id, area, fraction, confidence, rle, source_area, source_rle),) = structures(
        everything_liver, projection, labels, 0.0
    )
    assert (name, class_id, fraction, confidence) == ("b", 2, 1.0, 1.0)
    assert (area, source_area) == (640 * 360, 1920 * 1080)
    mask = decoded(rle, 480, 640)
    assert mask[60:420].all()
    assert not mask[:60].any()
    assert not mask[420:].any()
    assert decoded(source_rle, 1080, 1920).all()


def test_specks_are_left_out_and_confidence_is_of_the_mask_alone() -> None:
    geometry = FrameGeometry.fit(64, 48, 64, 48)
    projection = project((48, 64), geometry, geometry)
    probabilities = np.zeros((3, 48, 64), np.float32)
    probabilities[0] = 1.0
    probabilities[:, :24, :32] = np.array([0.1, 0.7, 0.2])[:, None, None]
    probabilities[:, 40, 60] = (0.0, 0.0, 1.0)
    labels = ("background", "liver", "fat")
    found = structures(probabilities, projection, labels, min_area_fraction=0.001)
    assert [(row[0], row[2]) for row in found] == [("liver", 24 * 32)]
    assert found[0][4] == float(np.float32(0.7))
    assert len(structures(probabilities, projection, labels, min_area_fraction=0.0)) == 2


def test_background_alone_gives_no_structure() -> None:
    geometry = FrameGeometry.fit(64, 48, 64, 48)
    probabilities = np.zeros((3, 48, 64), np.float32)
    probabilities[0] = 1.0
    labels = ("background", "liver", "fat")
    assert structures(probabilities, project((48, 64), geometry, geometry), labels, min_area_fraction=0.0) == []


def test_the_border_adds_background() -> None:
    assert bordered(np.ones((2, 3), np.uint8)).tolist() == [[1, 1, 1, 0], [1, 1, 1, 0], [0, 0, 0, 0]]


def test_the_default_model_gives_rows_that_keep_their_promise(tmp_path: Path) -> None:
    source = simulated_frames(3, 960, 540)
    frames = np.stack([letterbox(image, 640, 480)[0] for image in source])
    geometry = letterbox(source[0], 640, 480)[1]
    batches = decode_frames(frame_batches(frames, rows=2))
    config = AnatomyConfig(min_area_fraction=0.0)
    table = pa.concat_tables(anatomy_tables(batches, default_models(tmp_path), config, geometry))
    assert violations(ANATOMY, table) == []
    assert set(table["frame_index"].to_pylist()) == {0, 1, 2}
    covered = np.zeros((480, 640), int)
    for row in table.to_pylist():
        mask, large = decoded(row["rle"], 480, 640), decoded(row["source_rle"], 540, 960)
        assert int(mask.sum()) == row["area_px"]
        assert int(large.sum()) == row["source_area_px"]
        assert row["area_fraction"] == pytest.approx(row["area_px"] / (640 * 360))
        assert row["source_area_px"] / large.size == pytest.approx(row["area_fraction"], abs=0.01)
        covered += mask if row["frame_index"] == 0 else 0
    assert covered.max() <= 1


def test_no_frames_give_no_rows(tmp_path: Path) -> None:
    geometry = FrameGeometry.fit(64, 48, 64, 48)
    assert list(anatomy_tables([], default_models(tmp_path), AnatomyConfig(), geometry)) == []


def test_a_model_that_is_no_anatomy_segmenter_is_refused(tmp_path: Path) -> None:
    geometry = FrameGeometry.fit(64, 48, 64, 48)
    with pytest.raises(ConfigurationError, match="feature_extractor@"):
        list(anatomy_tables([], default_models(tmp_path), AnatomyConfig(model="feature_extractor"), geometry))
