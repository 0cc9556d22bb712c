"""The default models as they lie in the repository: files agree with each other, answers make sense.

Belongs here: what can be checked with ONNX Runtime alone. Does not belong here: serving (`test_inference`), training.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
import yaml
from tritonclient.grpc import model_config_pb2

from models.contracts import ANATOMIST, CONTRACTS, DETECTOR, EXTRACTOR, NAMES, SEGMENTER
from models.data import HEIGHT_PX, WIDTH_PX, clip_frames
from models.engine import ExportedModel, extract_features, segment_phases
from models.labels import ANATOMY, INSTRUMENTS, PHASES
from models.letterbox import letterbox
from neurovision_assets.surgery.report.config import ReportConfig
from resources.inference.spec import parse_config, tensors_of
from simulator import vocabulary
from simulator.operation import plan_operation
from simulator.render import SimulatedFrame, render_frame

MODELS = Path(__file__).resolve().parents[1] / "models"
LARGEST_TOTAL_BYTES = 20 * 1024 * 1024
ONNX_TYPES = {"tensor(float)": np.float32, "tensor(int32)": np.int32}
UNSEEN_SEED = 990_001


def sizes(shape: list[Any]) -> tuple[int, ...]:
    return tuple(size if isinstance(size, int) else -1 for size in shape)


@pytest.fixture(scope="module")
def simulated() -> list[SimulatedFrame]:
    plan = plan_operation(UNSEEN_SEED, 120)
    return [render_frame(plan, second * 1000, WIDTH_PX, HEIGHT_PX) for second in range(2, 120, 4)]


def fitted(frames: list[np.ndarray], name: str) -> np.ndarray:
    """Frames as the stages give them to a model: first the stored size, then the model's."""
    height_px, width_px = CONTRACTS[name].picture_px
    stored = [letterbox(frame, WIDTH_PX, HEIGHT_PX)[0] for frame in frames]
    return np.stack([letterbox(frame, width_px, height_px)[0] for frame in stored])


@pytest.mark.parametrize("name", NAMES)
def test_config_graph_and_contract_agree(name: str) -> None:
    config = parse_config(MODELS / name / "config.pbtxt")
    session = onnxruntime.InferenceSession(MODELS / name / "1" / "model.onnx")
    contract = CONTRACTS[name]
    assert (config.name, config.max_batch_size) == (name, contract.max_batch_size)
    sides = (
        (contract.inputs, tensors_of(name, config.input), session.get_inputs()),
        (contract.outputs, tensors_of(name, config.output), session.get_outputs()),
    )
    for promised, configured, actual in sides:
        assert [tensor.name for tensor in promised] == [node.name for node in actual] == list(configured)
        for tensor, node in zip(promised, actual, strict=True):
            assert tensor.dims == tuple(configured[tensor.name].dims) == sizes(node.shape)[1:]
            assert sizes(node.shape)[0] == -1, "the batch must be free"
            assert ONNX_TYPES[node.type] is configured[tensor.name].dtype


@pytest.mark.parametrize("name", [SEGMENTER, DETECTOR, ANATOMIST])
def test_a_label_for_every_channel(name: str) -> None:
    assert tuple((MODELS / name / "labels.txt").read_text().splitlines()) == CONTRACTS[name].labels


def test_labels_are_the_simulators() -> None:
    assert PHASES == vocabulary.PHASES
    assert INSTRUMENTS == vocabulary.INSTRUMENTS
    assert ANATOMY[1:] == vocabulary.ANATOMY


@pytest.mark.parametrize("file", ["config.pbtxt", "configs/cpu.pbtxt"])
def test_segmenter_names_its_backbone_and_its_batching(tmp_path: Path, file: str) -> None:
    installed = tmp_path / SEGMENTER / "config.pbtxt"
    installed.parent.mkdir()
    installed.write_bytes((MODELS / SEGMENTER / file).read_bytes())
    config = parse_config(installed)
    extractor = (MODELS / EXTRACTOR / "1" / "model.onnx").read_bytes()
    digest = config.parameters["feature_extractor_digest"].string_value
    assert digest == hashlib.sha256(extractor).hexdigest(), "rebuild the segmenter for this backbone"
    assert config.parameters["feature_width"].string_value == "2048"


@pytest.mark.parametrize("name", NAMES)
def test_every_model_is_batched_and_keeps_two_versions_on_graphics_card_and_processor(name: str) -> None:
    """NV-101, NV-102; both files are the same but for where the model computes."""
    files = MODELS / name / "config.pbtxt", MODELS / name / "configs" / "cpu.pbtxt"
    production, processor = (parse_config(path) for path in files)
    for config in (production, processor):
        assert list(config.dynamic_batching.preferred_batch_size) == [4, 8]
        assert config.dynamic_batching.max_queue_delay_microseconds == 100
        assert config.version_policy.latest.num_versions == 2
        assert [group.count for group in config.instance_group] == [1]
    assert model_config_pb2.ModelInstanceGroup.Kind.Name(processor.instance_group[0].kind) == "KIND_CPU"
    processor.instance_group[0].CopyFrom(production.instance_group[0])
    assert processor == production


def test_all_four_together_are_small() -> None:
    assert sum((MODELS / name / "1" / "model.onnx").stat().st_size for name in NAMES) < LARGEST_TOTAL_BYTES


@pytest.mark.parametrize("name", NAMES)
def test_card_shows_the_scores_that_the_build_wrote_each_with_its_protocol(name: str) -> None:
    scores = json.loads((MODELS / name / "scores.json").read_text())
    card = (MODELS / name / "MODEL_CARD.md").read_text()
    for group in scores["unseen_simulated_operations"].values():
        assert f"(`{group['protocol']}`)" in card
        assert group["how"] in card
        for figure, value in group.items():
            if isinstance(value, int | float):
                assert f"| {figure.replace('_', ' ')} | {value} |" in card


@pytest.mark.parametrize(
    ("name", "group", "figure", "goal"),
    [
        ("phase_segmenter", "phases", "accuracy", 0.92),
        ("phase_segmenter", "segments", "f1_50", 0.80),
        ("phase_segmenter", "segments", "edit", 80),
        ("instrument_detector", "boxes", "map50", 0.85),
        ("instrument_detector", "boxes", "map50_95", 0.50),
        ("anatomy_segmenter", "anatomy", "miou", 0.80),
    ],
)
def test_the_models_reach_what_is_asked_of_them(name: str, group: str, figure: str, goal: float) -> None:
    """On operations that none of them has seen, as the build that wrote them measured it."""
    scores = json.loads((MODELS / name / "scores.json").read_text())
    assert scores["unseen_simulated_operations"][group][figure] >= goal


def test_known_pictures_raise_few_alarms() -> None:
    scores = json.loads((MODELS / "feature_extractor" / "scores.json").read_text())
    assert scores["unseen_simulated_operations"]["novelty"]["share_above_1"] <= 0.05


def test_taxonomies_cover_the_labels() -> None:
    folder = MODELS / SEGMENTER / "taxonomies"
    default = yaml.safe_load((folder / "default.yaml").read_text())
    cholec80 = yaml.safe_load((folder / "cholec80.yaml").read_text())
    assert [(phase["id"], phase["name"]) for phase in default["phases"]] == list(enumerate(PHASES))
    names = [phase["name"] for phase in cholec80["phases"]]
    assert tuple(names) == vocabulary.CHOLEC80_PHASES
    assert [phase["id"] for phase in cholec80["phases"]] == list(range(7))
    assert set(cholec80["from_default"]) == set(PHASES)
    assert set(cholec80["from_default"].values()) == set(names)
    assert all(cholec80["from_default"][name] == name for name in names)


def test_features_have_unit_length(simulated: list[SimulatedFrame]) -> None:
    features, novelty = extract_features(MODELS, fitted([frame.image for frame in simulated], EXTRACTOR))
    assert features.shape == (len(simulated), 2048)
    np.testing.assert_allclose(np.linalg.norm(features, axis=1), 1.0, atol=1e-5)
    assert (novelty > 0).all()


@pytest.mark.parametrize("length", [1, 2, 7, 300])
def test_phases_of_any_length_are_probabilities(length: int) -> None:
    features = np.random.default_rng(0).random((length, 2048), dtype=np.float32) / 32
    probabilities = segment_phases(MODELS, features)
    assert probabilities.shape == (length, len(PHASES))
    np.testing.assert_allclose(probabilities.sum(axis=1), 1.0, atol=1e-5)


def test_a_batch_of_operations_gives_what_each_gives_alone() -> None:
    features = np.random.default_rng(1).random((3, 50, 2048), dtype=np.float32) / 32
    together = ExportedModel(MODELS, SEGMENTER).run(features)["predictions"]
    for place in range(len(features)):
        np.testing.assert_allclose(together[place], segment_phases(MODELS, features[place]), atol=1e-5)


def test_detections_find_drawn_instruments(simulated: list[SimulatedFrame]) -> None:
    pictures = fitted([frame.image for frame in simulated], DETECTOR)
    answer = ExportedModel(MODELS, DETECTOR).run_images(pictures)
    assert answer["boxes"].shape == (len(simulated), 32, 4)
    assert answer["boxes"].min() >= 0
    assert answer["boxes"].max() <= 640
    assert (answer["boxes"][..., 2:] >= answer["boxes"][..., :2]).all()
    assert (np.diff(answer["scores"], axis=1) <= 1e-6).all(), "falling, but for the last digit of the calibration"
    assert set(np.unique(answer["classes"])) <= set(range(len(INSTRUMENTS)))
    hits = wanted = 0
    for frame, classes, scores in zip(simulated, answer["classes"], answer["scores"], strict=True):
        truth = {INSTRUMENTS.index(one.instrument) for one in frame.instruments}
        hits += len(truth & set(classes[scores > 0.5].tolist()))
        wanted += len(truth)
    assert hits / wanted > 0.6, f"{hits} of {wanted} drawn instruments found"


def test_anatomy_agrees_with_the_drawing(simulated: list[SimulatedFrame]) -> None:
    probabilities = ExportedModel(MODELS, ANATOMIST).run_images(fitted([one.image for one in simulated], ANATOMIST))[
        "probabilities"
    ]
    assert probabilities.shape == (len(simulated), len(ANATOMY), 120, 160)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1.0, atol=1e-5)
    truth = np.stack([frame.anatomy[2::4, 2::4] for frame in simulated])
    assert (probabilities.argmax(axis=1) == truth).mean() > 0.7


def test_real_frames_are_novel_and_simulated_ones_are_not(simulated: list[SimulatedFrame], shared_data: Path) -> None:
    _, familiar = extract_features(MODELS, fitted([frame.image for frame in simulated], EXTRACTOR))
    assert np.median(familiar) < 1
    for clip in sorted((shared_data / "surgery" / "clips").glob("*.mp4")):
        _, novelty = extract_features(MODELS, fitted(clip_frames(clip), EXTRACTOR))
        assert (novelty > 1).mean() > 2 * ReportConfig().foreign_novel_share, (
            f"{clip.name}: median novelty {np.median(novelty):.2f}"
        )
        assert np.median(novelty) > np.percentile(familiar, 95)
