"""Every recipe on a few tiny operations, from pictures to a judged file: one way for the build and for retraining."""

import shutil
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch", reason="torch is absent: install the extra 'train' to test training")

from models.checkpoints import weights_hash
from models.contracts import ANATOMIST, CONTRACTS, DETECTOR, EXTRACTOR, SEGMENTER
from models.data import HEIGHT_PX, WIDTH_PX, Operation
from models.evaluate import JUDGES
from models.export import TOLERANCE
from models.labels import ANATOMY, INSTRUMENTS
from models.loop import Epoch, Watch
from models.recipes import RECIPES, Material

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("recipes")]
FRAMES = 6
MODELS = Path(__file__).parents[1] / "models"


def operation(seed: int) -> Operation:
    """Six pictures: one of nothing, as operations begin, then a bright rectangle, its box, and a mask of it."""
    import cv2

    rng = np.random.default_rng(seed)
    jpegs, masks, boxes = [], [], []
    for index in range(FRAMES):
        image = rng.integers(40, 90, size=(HEIGHT_PX, WIDTH_PX, 3), dtype=np.uint8)
        mask = np.zeros((HEIGHT_PX, WIDTH_PX), dtype=np.uint8)
        if index:
            left, top = (int(place) for place in rng.integers(0, 240, size=2))
            image[top : top + 160, left : left + 200] = 220
            mask[top : top + 160, left : left + 200] = 3
            boxes.append([left, top, left + 200, top + 160])
        jpegs.append(cv2.imencode(".jpg", image)[1].tobytes())
        masks.append(mask[2::4, 2::4])
    return Operation(
        name=f"operation_{seed}",
        operation_type="laparoscopic-cholecystectomy",
        jpegs=tuple(jpegs),
        phases=np.repeat([0, 2, 4], FRAMES // 3),
        anatomy=np.stack(masks),
        boxes_px=np.array(boxes, dtype=np.float32),
        box_frames=np.arange(1, FRAMES),
        box_classes=np.full(FRAMES - 1, 5),
    )


@pytest.mark.parametrize("name", [SEGMENTER, DETECTOR, ANATOMIST])
def test_a_recipe_gives_a_file_that_can_be_judged(name: str, tmp_path: Path) -> None:
    shutil.copytree(MODELS / EXTRACTOR / "1", tmp_path / EXTRACTOR / "1")
    epochs: list[Epoch] = []
    known, unseen = [operation(seed) for seed in (0, 1)], [operation(2), operation(3)]
    settings = {"epochs": 2, "batch_size": 2}
    material = Material(tmp_path, known, unseen, 0, lambda _: None, settings, Watch(told=epochs.append))
    made = RECIPES[name](material)
    assert made.config.epochs == 2
    assert made.epochs == tuple(epochs)
    assert {"train_loss", "val_accuracy", "val_f1"} <= set(epochs[0].figures)
    assert made.difference <= TOLERANCE
    assert set(made.golden) == {"input", *(tensor.name for tensor in CONTRACTS[name].outputs)}
    assert len(weights_hash(made.weights)) == 64
    brightest = made.golden["input"].max(axis=(1, 2, 3)) if name == DETECTOR else None
    assert brightest is None or (brightest > 0.8).all(), "a picture without an instrument compares no box with torch's"

    judged = JUDGES[name](tmp_path, unseen)
    assert [video.name for video in judged.videos] == ["operation_2", "operation_3"]
    for video in judged.videos:
        assert set(video.figures) == {"accuracy", "f1", "overlap"}
        assert all(0 <= value <= 1 for value in video.figures.values())
    labels = {DETECTOR: len(INSTRUMENTS) + 1, ANATOMIST: len(ANATOMY), SEGMENTER: 11}[name]
    assert judged.confusion.shape == (labels, labels)
    assert len(judged.labels) == labels
    assert 0 <= judged.calibration_error <= 1
    assert judged.report
