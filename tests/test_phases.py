"""Phases: names, models that belong together, segments without gaps."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from neurovision_assets.schemas import FEATURE_WIDTH, PHASE_SEGMENTS, PHASES
from neurovision_assets.surgery.phases.config import PhasesConfig
from neurovision_assets.surgery.phases.segment import (
    Probabilities,
    join_short,
    phase_segments_table,
    phases_table,
    predict,
)
from neurovision_assets.surgery.phases.taxonomy import DIGEST_PARAMETER, Taxonomy, check_segmenter, load_taxonomy
from resources.errors import ConfigurationError, PermanentFailure
from resources.inference.client import SEED_REPOSITORY
from tests.rooms import INTERVAL_MS, default_models, edited_model, frame_times, violations

FOLDER = SEED_REPOSITORY / "phase_segmenter" / "taxonomies"
DEFAULT = load_taxonomy(FOLDER / "default.yaml")


def certain(phases: list[int], probability: float = 0.9) -> Probabilities:
    """Probabilities in which each frame's phase is sure."""
    width = len(DEFAULT.phases)
    rows = np.full((len(phases), width), (1 - probability) / (width - 1), np.float32)
    rows[np.arange(len(phases)), phases] = probability
    return rows


def test_both_taxonomies_have_their_phases_in_order() -> None:
    assert len(DEFAULT.names) == 11
    cholec80 = load_taxonomy(FOLDER / "cholec80.yaml")
    assert len(cholec80.names) == 7
    assert set(cholec80.from_default) == set(DEFAULT.names)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("name: x\ntitle: x\nphases: [{id: 1, name: a}]", "in order"),
        ("name: x\ntitle: x\nphases: [{id: 0, name: a}, {id: 1, name: a}]", "twice"),
        ("name: x\ntitle: x\nphases: [{id: 0, name: a}]\nfrom_default: {a: b}", "unknown phases"),
        ("name: [", "cannot be used"),
        ("", "cannot be used"),
    ],
)
def test_a_broken_taxonomy_is_refused_with_its_reason(tmp_path: Path, text: str, reason: str) -> None:
    path = tmp_path / "broken.yaml"
    path.write_text(text)
    with pytest.raises(ConfigurationError, match=reason):
        load_taxonomy(path)


def test_a_taxonomy_that_is_not_there_names_those_that_are() -> None:
    with pytest.raises(ConfigurationError, match=r"no taxonomy 'mine'.*cholec80.*default"):
        load_taxonomy(FOLDER / "mine.yaml")


def test_default_models_belong_together(tmp_path: Path) -> None:
    inference = default_models(tmp_path)
    extractor = inference.pin("feature_extractor").identity
    check_segmenter(inference.pin("phase_segmenter"), extractor.name, extractor.digest, DEFAULT)


def test_features_of_another_backbone_are_refused_and_both_are_named(tmp_path: Path) -> None:
    segmenter = default_models(tmp_path).pin("phase_segmenter")
    with pytest.raises(ConfigurationError, match=r"phase_segmenter@.*resnet50 abababababab"):
        check_segmenter(segmenter, "resnet50", "ab" * 32, DEFAULT)


def test_a_segmenter_that_names_no_backbone_is_refused(tmp_path: Path) -> None:
    edits = [('key: "feature_extractor_digest"', 'key: "something_else"')]
    inference = edited_model(tmp_path, "phase_segmenter", edits)
    with pytest.raises(ConfigurationError, match="does not name"):
        check_segmenter(inference.pin("phase_segmenter"), "feature_extractor", "ab" * 32, DEFAULT)


def test_another_number_of_phases_is_refused(tmp_path: Path) -> None:
    inference = default_models(tmp_path)
    digest = inference.pin("phase_segmenter").parameters[DIGEST_PARAMETER]
    cholec80 = load_taxonomy(FOLDER / "cholec80.yaml")
    with pytest.raises(ConfigurationError, match=r"tells 11 phases.*names 7"):
        check_segmenter(inference.pin("phase_segmenter"), "feature_extractor", digest, cholec80)


def test_the_same_phases_in_another_order_are_refused(tmp_path: Path) -> None:
    inference = default_models(tmp_path)
    digest = inference.pin("phase_segmenter").parameters[DIGEST_PARAMETER]
    content = DEFAULT.model_dump()
    for phase, name in zip(content["phases"], reversed(DEFAULT.names), strict=True):
        phase["name"] = name
    with pytest.raises(ConfigurationError, match="labels"):
        check_segmenter(inference.pin("phase_segmenter"), "feature_extractor", digest, Taxonomy.model_validate(content))


def test_the_segmenter_answers_with_a_row_a_frame(tmp_path: Path) -> None:
    features = np.random.default_rng(0).normal(size=(37, FEATURE_WIDTH)).astype(np.float32)
    features /= np.linalg.norm(features, axis=1, keepdims=True)
    probabilities = predict(features, default_models(tmp_path), PhasesConfig())
    frame_index, timestamp_ms = frame_times(37)
    table = phases_table(frame_index, timestamp_ms, probabilities, DEFAULT)
    assert violations(PHASES, table) == []
    assert table["confidence"].to_numpy() == pytest.approx(probabilities.max(axis=1))
    assert table["probabilities"][5].as_py() == pytest.approx(probabilities[5].tolist())
    assert table["phase"][5].as_py() == DEFAULT.names[int(probabilities[5].argmax())]


def test_answers_that_are_no_numbers_are_refused(tmp_path: Path) -> None:
    features = np.full((4, FEATURE_WIDTH), np.nan, np.float32)
    with pytest.raises(PermanentFailure, match="no probabilities"):
        predict(features, default_models(tmp_path), PhasesConfig())


def test_segments_meet_and_the_last_one_ends_after_its_frame() -> None:
    _, times = frame_times(20)
    table = phase_segments_table(times, certain([0] * 8 + [3] * 12), DEFAULT, 60_000, PhasesConfig())
    assert violations(PHASE_SEGMENTS, table) == []
    rows = [(row["phase"], row["start_ms"], row["end_ms"]) for row in table.to_pylist()]
    assert rows == [("preparation", 0, 4000), ("calot-triangle-dissection", 4000, 20 * INTERVAL_MS)]
    assert table["mean_confidence"].to_numpy() == pytest.approx(0.9)


def test_the_last_segment_does_not_outlast_the_video() -> None:
    _, times = frame_times(20)
    table = phase_segments_table(times, certain([0] * 20), DEFAULT, 9_700, PhasesConfig())
    assert table["end_ms"].to_pylist() == [9_700]


def test_one_frame_is_one_segment_as_long_as_the_video() -> None:
    table = phase_segments_table(np.array([0]), certain([4]), DEFAULT, 40, PhasesConfig())
    assert table.to_pylist()[0] | {"mean_confidence": None} == {
        "segment_index": 0,
        "phase": "clipping-and-cutting",
        "start_ms": 0,
        "end_ms": 40,
        "duration_ms": 40,
        "mean_confidence": None,
    }


def test_flicker_joins_the_more_probable_neighbour_and_lowers_its_confidence() -> None:
    _, times = frame_times(21)
    probabilities = certain([3] * 10 + [7] + [5] * 10)
    probabilities[10, 5] = 0.4
    probabilities[10, 7] = 0.45
    table = phase_segments_table(times, probabilities, DEFAULT, 60_000, PhasesConfig())
    assert table["phase"].to_pylist() == ["calot-triangle-dissection", "gallbladder-dissection"]
    assert table["start_ms"].to_pylist() == [0, 5000]
    assert table["mean_confidence"].to_pylist() == pytest.approx([0.9, (0.4 + 10 * 0.9) / 11])
    raw = phase_segments_table(times, probabilities, DEFAULT, 60_000, PhasesConfig(min_segment_ms=0))
    assert raw.num_rows == 3


@given(
    phases=st.lists(st.integers(0, 10), min_size=1, max_size=60),
    gaps=st.lists(st.integers(1, 3000), min_size=60, max_size=60),
    limit=st.integers(0, 8000),
    seed=st.integers(0, 100),
)
def test_joined_segments_cover_everything_and_are_long_enough(
    phases: list[int], gaps: list[int], limit: int, seed: int
) -> None:
    times = np.cumsum([0, *gaps[: len(phases)]])
    noise = np.random.default_rng(seed).uniform(0, 0.02, (len(phases), 11)).astype(np.float32)
    first, phase = join_short(times, certain(phases) + noise, limit)
    lengths = np.diff(times[np.append(first, len(phases))])
    assert first[0] == 0
    assert (lengths > 0).all()
    assert (phase[1:] != phase[:-1]).all()
    assert len(first) == 1 or lengths.min() >= limit
    assert set(phase) <= set(phases)
