"""The gate as pure functions, and tests in staging on models of a few hundred bytes: each refusal has its reason."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from models.contracts import SEGMENTER
from models.evaluate import VideoScore
from models.labels import PHASES
from neurovision_assets.training.gate.comparison import check_better, compare
from neurovision_assets.training.gate.config import GateConfig, Thresholds
from neurovision_assets.training.gate.staging import Staged, run_staging_tests
from neurovision_assets.training.gate.thresholds import check_thresholds
from neurovision_assets.training.params import load_gate, load_params
from resources.errors import ConfigurationError
from tests.tiny_models import Node, install, tiny_segmenter


@pytest.mark.parametrize(
    ("metrics", "passes"),
    [
        ({"accuracy": 0.85, "f1": 0.80}, True),
        ({"accuracy": 0.849, "f1": 0.80}, False),
        ({"accuracy": 0.99}, False),
        ({"accuracy": 0.9, "f1": float("nan")}, False),
        ({}, False),
    ],
)
def test_every_figure_must_reach_its_threshold_and_a_missing_one_counts_as_nothing(
    metrics: dict[str, float], passes: bool
) -> None:
    refusal = check_thresholds(metrics, Thresholds())
    assert (refusal is None) == passes
    assert refusal is None or refusal.reason == "metrics_below_threshold"


def test_a_deployment_changes_what_is_asked_of_one_model_type(tmp_path: Path) -> None:
    path = tmp_path / "params.yaml"
    path.write_text("production: {gate: {phase_segmentation: {thresholds: {f1: 0.9}}}}\n")
    gate = load_params("production", path).gate
    assert gate.phase_segmentation.thresholds == Thresholds(accuracy=0.85, f1=0.9)
    assert gate.phase_segmentation.request_items == 1200, "what is not named is as before"
    assert gate.instrument_detection.thresholds == Thresholds(accuracy=0.85, f1=0.8)
    assert check_thresholds({"accuracy": 0.9, "f1": 0.85}, gate.phase_segmentation.thresholds) is not None
    assert check_thresholds({"accuracy": 0.9, "f1": 0.85}, gate.instrument_detection.thresholds) is None


@pytest.mark.parametrize("given", ["{f1: 80}", "{f1: -0.1}", "{f2: 0.8}", "{f1: .nan}"])
def test_a_threshold_that_can_never_or_always_be_reached_is_named(tmp_path: Path, given: str) -> None:
    path = tmp_path / "params.yaml"
    path.write_text(f"production: {{gate: {{anatomy_segmentation: {{thresholds: {given}}}}}}}\n")
    with pytest.raises(ConfigurationError, match=r"production\.gate\.anatomy_segmentation\.thresholds\.f"):
        load_params("production", path)


def test_the_gate_makes_no_other_data() -> None:
    assert "gate" not in load_params("laptop").model_dump()
    assert load_gate("phase_segmentation", "laptop").request_items == 1200


def difference(candidate: list[float], production: list[float]) -> str | None:
    ours, theirs = ({f"v{place}": score for place, score in enumerate(row)} for row in (candidate, production))
    refusal = check_better(compare(ours, theirs, figure="f1", confidence=0.9, seed=0))
    return refusal.reason if refusal else None


def test_better_on_every_video_is_better() -> None:
    assert difference([0.90, 0.84, 0.88, 0.91], [0.88, 0.80, 0.87, 0.85]) is None


def test_a_better_mean_that_one_video_carries_is_not() -> None:
    ours, theirs = [0.95, 0.80, 0.79, 0.80], [0.60, 0.81, 0.80, 0.81]
    assert np.mean(ours) > np.mean(theirs)
    assert difference(ours, theirs) == "not_better_than_production"


def test_equal_and_worse_are_not_better() -> None:
    assert difference([0.8, 0.9, 0.7], [0.8, 0.9, 0.7]) == "not_better_than_production"
    assert difference([0.7, 0.8, 0.6], [0.8, 0.9, 0.7]) == "not_better_than_production"


def test_two_videos_prove_nothing() -> None:
    assert difference([0.9, 0.9], [0.1, 0.1]) == "too_few_test_videos"


def test_the_interval_covers_the_truth_as_often_as_it_says() -> None:
    """300 draws of 12 videos with a true difference of 0.02: the 90 % interval holds it in 84 to 94 of a hundred."""
    rng = np.random.default_rng(1)
    held = 0
    for draw in range(300):
        gains = dict(enumerate(rng.normal(0.02, 0.05, size=12)))
        found = compare(
            {str(k): v for k, v in gains.items()}, {str(k): 0.0 for k in gains}, figure="f1", confidence=0.9, seed=draw
        )
        held += found.low <= 0.02 <= found.high
    assert 0.82 <= held / 300 <= 0.94, "the percentile interval is a little short for twelve videos"


def test_only_the_same_videos_are_compared() -> None:
    with pytest.raises(ValueError, match="same videos"):
        compare({"a": 1.0}, {"b": 1.0}, figure="f1", confidence=0.9, seed=0)


def video(name: str, f1: float, *, said: int = 5, operation_type: str = "cholecystectomy") -> VideoScore:
    return VideoScore(name, operation_type, {"accuracy": f1, "f1": f1, "overlap": f1}, there=5, said=said)


@pytest.fixture
def staged(tmp_path: Path) -> Staged:
    """A segmenter that answers with the first eleven features."""
    install(tmp_path, SEGMENTER, tiny_segmenter())
    (tmp_path / SEGMENTER / "labels.txt").write_text("\n".join(PHASES))
    given = np.random.default_rng(0).random((1, 7, 2048), dtype=np.float32)
    golden = {"input": given, "predictions": given[:, :, : len(PHASES)]}
    return Staged(
        SEGMENTER, "1.3.0", tmp_path, golden, [video("a", 0.8), video("b", 0.9)], 0.02, GateConfig(request_items=50)
    )


def reason(staged: Staged) -> str:
    refusal, _ = run_staging_tests(staged)
    assert refusal is not None
    return refusal.reason


def test_a_good_candidate_passes_every_test(staged: Staged) -> None:
    refusal, passed = run_staging_tests(staged)
    assert refusal is None
    assert [line.partition(":")[0] for line in passed] == [
        "loads", "contract", "latency", "golden", "no_collapse", "calibration",
    ]  # fmt: skip
    assert passed[0].startswith("loads: phase_segmenter@1.3.0 on "), "the candidate, not what its configuration names"


def test_a_broken_file_does_not_load(staged: Staged) -> None:
    path = staged.repository / SEGMENTER / "1" / "model.onnx"
    path.write_bytes(path.read_bytes()[:100])
    assert reason(staged) == "staging_test_failed:loads"


def test_other_labels_break_the_contract(staged: Staged) -> None:
    (staged.repository / SEGMENTER / "labels.txt").write_text("\n".join(reversed(PHASES)))
    assert reason(staged) == "staging_test_failed:contract"


def test_a_slow_model_is_over_its_budget(staged: Staged) -> None:
    config = staged.config.model_copy(update={"latency_budget_ms": 1e-6})
    assert reason(replace(staged, config=config)) == "staging_test_failed:latency"


def test_another_network_than_torch_s_gives_other_answers(staged: Staged) -> None:
    other = tiny_segmenter()
    shifted = [Node("Slice", ["features"], ["predictions"], {"axes": [2], "starts": [1], "ends": [len(PHASES) + 1]})]
    path = staged.repository / SEGMENTER / "1" / "model.onnx"
    path.write_bytes(replace(other, nodes=shifted).onnx())
    assert reason(staged) == "staging_test_failed:golden"


def test_one_answer_for_everything_is_a_collapse(staged: Staged) -> None:
    flat = [video("a", 0.8), video("b", 0.9, said=1)]
    assert reason(replace(staged, videos=flat)) == "staging_test_failed:no_collapse"


def test_a_type_of_operation_that_is_left_behind_is_a_collapse(staged: Staged) -> None:
    types = [*(video(str(n), 0.9) for n in range(6)), video("rare", 0.2, operation_type="adhesiolysis")]
    refusal, _ = run_staging_tests(replace(staged, videos=types))
    assert refusal is not None
    assert "adhesiolysis" in refusal.detail


def test_confidence_that_cannot_be_believed_is_refused(staged: Staged) -> None:
    assert reason(replace(staged, calibration_error=0.4)) == "staging_test_failed:calibration"
