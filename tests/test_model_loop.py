"""The loop of every training: the best epoch, early stopping, and going on after a kill. Needs torch."""

# ruff: noqa: E402 - torch must be looked for before what needs it is imported

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is absent: install the extra 'train' to test training")

from models.checkpoints import Checkpoint, read_tensors, weights_hash, write_tensors
from models.loop import Epoch, Lesson, Training, Watch, best_epoch, learn

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor


def lesson(scores: list[float]) -> Lesson:
    """A network that moves every step, and a validation that says these figures, epoch after epoch."""
    network = torch.nn.Linear(4, 1)
    told = iter(scores)

    def loss_of(chosen: NDArray[np.int64], rng: np.random.Generator) -> Tensor:
        given = torch.from_numpy(rng.normal(size=(len(chosen), 4)).astype(np.float32))
        return (network(given) - 1).square().mean()

    return Lesson(network, 6, loss_of, lambda: {"val_f1": next(told)})


def weights_after(one: Lesson, config: Training) -> list[str]:
    hashes: list[str] = []
    learn(one, config, Watch(told=lambda _: hashes.append(weights_hash(one.network.state_dict()))))
    return hashes


def test_the_best_epoch_is_kept_and_not_the_last() -> None:
    one = lesson([0.2, 0.7, 0.7, 0.1])
    hashes = weights_after(one, Training(epochs=4, batch_size=2))
    assert weights_hash(one.network.state_dict()) == hashes[1], "a later epoch that is as good does not replace it"
    assert len(set(hashes)) == 4


def test_a_figure_that_is_no_number_is_never_the_best() -> None:
    epochs = [Epoch(place, 3, {"val_f1": value}) for place, value in enumerate([float("nan"), 0.0, 0.0], start=1)]
    assert best_epoch(epochs).number == 2


def test_training_stops_when_nothing_gets_better() -> None:
    epochs = learn(lesson([0.1, 0.5, 0.4, 0.3, 0.9]), Training(epochs=5, batch_size=2, patience=1), Watch())
    assert [epoch.number for epoch in epochs] == [1, 2, 3, 4]
    assert best_epoch(epochs).number == 2


def test_without_validation_the_last_epoch_is_kept() -> None:
    one = lesson([])
    last = weights_after(Lesson(one.network, 6, one.loss_of), Training(epochs=3, batch_size=2))[-1]
    assert weights_hash(one.network.state_dict()) == last


def test_a_loss_that_is_no_number_stops_the_training() -> None:
    one = lesson([0.5])
    broken = Lesson(one.network, 6, lambda _, __: one.network(torch.full((1, 4), float("nan"))).sum())
    with pytest.raises(FloatingPointError, match="the loss is nan at step 0 of epoch 1"):
        learn(broken, Training(epochs=1), Watch())


def test_a_checkpoint_of_another_training_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "state.npz"
    Checkpoint(path, "one", every_s=0).write_if_due(lambda: ({"a": torch.ones(2)}, {"step": 3}))
    assert Checkpoint(path, "other").read() is None
    tensors, facts = Checkpoint(path, "one").read() or ({}, {})
    assert tensors["a"].tolist() == [1, 1]
    assert facts == {"step": 3}


def test_tensors_come_back_bit_for_bit_and_without_pickle(tmp_path: Path) -> None:
    given = {"a/b": torch.randn(3, 2), "count": torch.tensor(7), "none": torch.zeros(0, 4)}
    write_tensors(tmp_path / "w.npz", given, {"digits": 0.1 + 0.2})
    tensors, facts = read_tensors(tmp_path / "w.npz")
    assert weights_hash(tensors) == weights_hash(given)
    assert facts == {"digits": 0.1 + 0.2}
    assert weights_hash({**given, "count": torch.tensor(8)}) != weights_hash(given)
