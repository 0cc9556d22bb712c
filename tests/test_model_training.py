"""The training steps, on a handful of pictures: shapes, targets, determinism. Needs torch (the extra `train`).

Belongs here: what a retraining loop relies on. Does not belong here: scores (the build measures them).
"""

# ruff: noqa: E402 - torch must be looked for before what needs it is imported

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is absent: install the extra 'train' to test training")

from models.anatomy_segmenter.train import AnatomyTraining, dice_loss
from models.anatomy_segmenter.train import train as train_anatomy
from models.contracts import ANATOMIST, CONTRACTS, DETECTOR
from models.export import TOLERANCE, difference_of, export_model, largest_difference
from models.instrument_detector.network import STRIDE_PX, InstrumentDetector, decode
from models.instrument_detector.train import targets_of
from models.labels import INSTRUMENTS, PHASES
from models.loop import Watch
from models.outliers import outlier_of
from models.phase_segmenter.network import PhaseSegmenter
from models.phase_segmenter.train import SegmenterTraining, fit_temperature, stage_loss, train
from models.temperature import best_temperature


def test_targets_are_read_back_by_the_decoder() -> None:
    boxes_px = np.array([[40, 60, 120, 180], [200, 220, 330, 300]], dtype=np.float32)
    classes = np.array([2, 6])
    heat, wanted, weight = targets_of(boxes_px, classes, cells=48)
    assert heat.shape[0] == len(INSTRUMENTS)
    assert (heat.max(axis=(1, 2)) == np.isin(np.arange(len(INSTRUMENTS)), classes)).all()
    centres = (np.arange(heat.shape[1], dtype=np.float32) + 0.5) * STRIDE_PX
    x_px, y_px = centres[np.newaxis], centres[:, np.newaxis]
    sides = np.stack([x_px - wanted[0], y_px - wanted[1], wanted[2] - x_px, wanted[3] - y_px]) * (weight > 0)
    found, scores, kinds = decode(torch.from_numpy(heat)[None], torch.from_numpy(sides.astype(np.float32))[None])
    np.testing.assert_allclose(scores[0, :2], 1.0)
    order = np.argsort(kinds[0, :2].numpy())
    np.testing.assert_allclose(found[0, :2].numpy()[order], boxes_px, atol=1e-3)


def test_the_temperature_of_overconfident_logits_is_found() -> None:
    generator = torch.Generator().manual_seed(0)
    honest = 2 * torch.randn(20_000, 4, generator=generator)
    wanted = torch.multinomial(honest.softmax(dim=1), 1, generator=generator)[:, 0]
    assert best_temperature(3 * honest, wanted) == pytest.approx(3.0, rel=0.1)
    assert best_temperature(honest / 2, wanted) == pytest.approx(0.5, rel=0.1)
    assert best_temperature(torch.zeros(0, 4), torch.zeros(0, dtype=torch.int64)) == 1.0


def test_calibrated_scores_keep_boxes_and_their_order() -> None:
    torch.manual_seed(0)
    network = InstrumentDetector().eval()
    torch.nn.init.normal_(network.heat.weight, std=2.0)
    torch.nn.init.constant_(network.heat.bias, -2.4)  # the warmest cells lie around one half
    frames = torch.rand(1, 3, 640, 640)
    with torch.no_grad():
        boxes, scores, classes = network(frames)
        network.calibrate(2.0, 0.3)
        same_boxes, surer, same_classes = network(frames)
    assert scores.min() < 0.5 < scores.max()
    torch.testing.assert_close(same_boxes, boxes)
    assert (same_classes == classes).all()
    assert (surer.diff() <= 0).all()
    torch.testing.assert_close(torch.logit(surer, 1e-6), 2 * torch.logit(scores, 1e-6) + 0.3, atol=1e-2, rtol=1e-2)


def test_stage_loss_ignores_padding() -> None:
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(1, len(PHASES), 12, generator=generator)
    wanted = torch.zeros(1, 12, dtype=torch.int64)
    mask = torch.ones(1, 1, 12)
    padded = torch.cat([logits, torch.randn(1, len(PHASES), 5, generator=generator)], dim=2)
    padded_wanted = torch.cat([wanted, torch.full((1, 5), -100)], dim=1)
    padded_mask = torch.cat([mask, torch.zeros(1, 1, 5)], dim=2)
    config = SegmenterTraining()
    alone = stage_loss(logits, wanted, mask, config)
    torch.testing.assert_close(stage_loss(padded, padded_wanted, padded_mask, config), alone)


def test_padding_does_not_change_a_sequence() -> None:
    torch.manual_seed(0)
    network = PhaseSegmenter().eval()
    features = torch.rand(1, 20, 2048)
    padded = torch.cat([features, torch.rand(1, 9, 2048)], dim=1)
    mask = torch.cat([torch.ones(1, 1, 20), torch.zeros(1, 1, 9)], dim=2)
    with torch.no_grad():
        torch.testing.assert_close(network.logits(padded, mask)[-1][:, :, :20], network.logits(features)[-1])


@pytest.mark.slow
def test_segmenter_learns_and_is_deterministic() -> None:
    rng = np.random.default_rng(0)
    phases = [np.repeat([0, 3, 5], 20) for _ in range(4)]
    means = rng.normal(size=(len(PHASES), 2048))
    features = [(means[one] + rng.normal(size=(60, 2048))).astype(np.float32) / 45 for one in phases]
    config = SegmenterTraining(epochs=20, batch_size=2, num_layers=4, learning_rate=5e-3)
    first, second = (train((features, phases), None, config, Watch())[0] for _ in range(2))
    given = torch.from_numpy(features[0])[None]
    with torch.no_grad():
        torch.testing.assert_close(first(given), second(given), rtol=0, atol=0)
        assert (first(given)[0].argmax(dim=1).numpy() == phases[0]).mean() > 0.8
    assert fit_temperature(first, features, phases) == first.temperature.item()


class Listener(logging.Handler):
    """Keeps what is logged."""

    def __init__(self) -> None:
        super().__init__()
        self.heard: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep one."""
        self.heard.append(record.getMessage())


@pytest.mark.slow
def test_anatomy_trains_exports_and_a_wrong_file_is_noticed(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    images = rng.integers(0, 255, size=(4, 240, 320, 3), dtype=np.uint8)
    masks = rng.integers(0, 9, size=(4, 120, 160), dtype=np.uint8)
    config = AnatomyTraining(epochs=1, batch_size=2)
    network, _ = train_anatomy((images, masks), None, config, Watch())
    example = torch.rand(2, 3, 240, 320)
    told = Listener()
    logging.getLogger("torch.onnx").addHandler(told)
    assert export_model(network, ANATOMIST, tmp_path, example=example) < 1e-4
    logging.getLogger("torch.onnx").removeHandler(told)
    assert [one for one in told.heard if "torchvision" in one] == [], "no model has operators of it"
    with torch.no_grad():
        network.classify.bias += torch.linspace(0, 2, 9)
    path = tmp_path / ANATOMIST / "1" / "model.onnx"
    assert largest_difference(network, path, CONTRACTS[ANATOMIST], example) > 1e-2


def test_boxes_are_compared_where_there_is_an_instrument() -> None:
    sure = {"boxes": np.full((1, 2, 4), 300.0), "scores": np.array([[0.9, 0.02]]), "classes": np.array([[3, 0]])}
    other_peak = sure | {"boxes": sure["boxes"] + [[0], [50]], "scores": np.array([[0.9, 0.03]])}
    moved, unseen = sure | {"boxes": sure["boxes"] + [[1], [0]]}, sure | {"scores": np.array([[0.04, 0.02]])}
    contract = CONTRACTS[DETECTOR]
    assert difference_of(contract, sure, other_peak) == 0.0, "of two cells that are equally warm, either is the peak"
    for wrong in (moved, unseen, sure | {"classes": np.array([[4, 0]])}, sure | {"scores": np.array([[0.9, 0.06]])}):
        assert difference_of(contract, sure, wrong) > TOLERANCE


def test_dice_is_zero_for_the_truth() -> None:
    wanted = torch.randint(0, 9, (2, 8, 8), generator=torch.Generator().manual_seed(0))
    certain = 50.0 * torch.nn.functional.one_hot(wanted, 9).permute(0, 3, 1, 2).float()
    assert dice_loss(certain, wanted).item() == pytest.approx(0.0, abs=1e-5)


def test_outliers_differ_from_their_frame_and_follow_the_seed() -> None:
    frame = np.random.default_rng(0).integers(60, 200, size=(96, 128, 3), dtype=np.uint8)
    other = np.full_like(frame, 90)
    made = [outlier_of(frame, other, np.random.default_rng(seed)) for seed in range(20)]
    assert all(np.abs(one.astype(int) - frame).mean() > 1 for one in made)
    assert (outlier_of(frame, other, np.random.default_rng(3)) == made[3]).all()
