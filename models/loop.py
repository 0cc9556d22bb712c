"""The loop that every network is trained by: `make models` and retraining alike.

Belongs here: order, optimiser, learning rate, precision, device, the best epoch, early stopping, going on after a kill.
Does not belong here: pictures, targets, losses (`<name>/train.py`), the file of a checkpoint (`checkpoints.py`).

Whatever is random in a step follows from the seed and the step's number alone. So a training that was killed and goes
on needs no state of generators, and ends with the weights of the uninterrupted one.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from pydantic import BaseModel, ConfigDict

from models.checkpoints import Checkpoint, Facts, Tensors

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor, device, nn

_LARGEST_GRADIENT: Final = 10.0
DECISIVE: Final = "val_f1"
"""The figure that decides which epoch is kept (NV-051)."""


class Training(BaseModel):
    """Settings that every training has.

    Attributes:
        epochs: passes over the examples.
        batch_size: most examples of one step.
        learning_rate: highest of the cycle.
        weight_decay: of AdamW.
        warm_up_share: share of all steps in which the learning rate grows.
        patience: epochs without a better validation F1 after which the training stops; None never stops early.
        seed: decides weights, order and augmentation.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    epochs: int = 6
    batch_size: int = 16
    learning_rate: float = 3e-3
    weight_decay: float = 1e-2
    warm_up_share: float = 0.15
    patience: int | None = None
    seed: int = 0


@dataclass(frozen=True)
class Lesson:
    """What is trained.

    Attributes:
        network: everything that learns; its weights and buffers are what a checkpoint holds.
        examples: how many there are.
        loss_of: the loss of a batch, given the sorted numbers of its examples and the step's own generator.
        validate: figures on unseen examples, `val_f1` among them; None keeps the last epoch.
    """

    network: nn.Module
    examples: int
    loss_of: Callable[[NDArray[np.int64], np.random.Generator], Tensor]
    validate: Callable[[], dict[str, float]] | None = None


@dataclass(frozen=True)
class Epoch:
    """One pass over the examples: its number from 1, of how many, and its figures, `train_loss` among them."""

    number: int
    of: int
    figures: Mapping[str, float]

    def __str__(self) -> str:
        figures = ", ".join(f"{name} {value:.3f}" for name, value in self.figures.items())
        return f"epoch {self.number}/{self.of}: {figures}"


@dataclass(frozen=True)
class Watch:
    """Who follows a training.

    Attributes:
        told: receives every epoch; a training that goes on after a kill tells its earlier epochs again.
        checkpoint: where the training can go on from; None keeps nothing.
    """

    told: Callable[[Epoch], None] = lambda _: None
    checkpoint: Checkpoint | None = None


def best_epoch(epochs: Sequence[Epoch]) -> Epoch:
    """Give the first epoch with the best validation F1; the last one where nothing is validated."""
    if DECISIVE not in epochs[-1].figures:
        return epochs[-1]
    return max(epochs, key=lambda one: np.nan_to_num(one.figures[DECISIVE], nan=-1.0))


def best_device() -> device:
    """Give the graphics card where there is one."""
    import torch

    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def mixed_precision(*, on_processor: bool = True) -> AbstractContextManager[Any]:
    """Give a context of half precision: float16 on a graphics card, bfloat16 where the processor computes with it."""
    import torch

    if best_device().type == "cuda":
        return torch.autocast("cuda", torch.float16)
    able = torch.cpu.get_capabilities()
    enabled = on_processor and bool(able.get("avx512_bf16") or able.get("amx_bf16"))
    return torch.autocast("cpu", torch.bfloat16, enabled=enabled)


def learn(lesson: Lesson, config: Training, watch: Watch) -> tuple[Epoch, ...]:
    """Train in place: AdamW, one cycle of the learning rate (Smith & Topin 2019), clipped gradients.

    The network ends with the weights of the epoch with the best validation F1, in evaluation mode, on the processor.

    Returns:
        Every epoch that was trained.

    Raises:
        FloatingPointError: the loss is no number any more.
    """
    run = _Run(lesson, config)
    if watch.checkpoint and (found := watch.checkpoint.read()):
        run.restore(*found)
        for epoch in run.epochs():
            watch.told(epoch)
    while not run.is_over():
        run.train_epoch(watch.checkpoint)
        watch.told(run.close_epoch())
        if watch.checkpoint:
            watch.checkpoint.write_if_due(run.state)
    run.take_best()
    return run.epochs()


class _Run:
    """What changes from step to step, all of which a checkpoint holds."""

    def __init__(self, lesson: Lesson, config: Training) -> None:
        import torch

        self.lesson, self.config = lesson, config
        self.network = lesson.network.to(best_device())
        self.steps = -(-lesson.examples // config.batch_size)
        self.trained = [one for one in self.network.parameters() if one.requires_grad]
        self.optimiser = torch.optim.AdamW(self.trained, lr=config.learning_rate, weight_decay=config.weight_decay)
        total_steps = self.steps * config.epochs
        self.schedule = torch.optim.lr_scheduler.OneCycleLR(
            self.optimiser, config.learning_rate, total_steps=total_steps, pct_start=config.warm_up_share
        )
        self.scaler = torch.amp.GradScaler("cuda", enabled=best_device().type == "cuda")
        self.step = 0
        self.losses = 0.0
        self.history: list[dict[str, float]] = []
        self.best: Tensors = {}

    def epochs(self) -> tuple[Epoch, ...]:
        return tuple(Epoch(number, self.config.epochs, figures) for number, figures in enumerate(self.history, start=1))

    def is_over(self) -> bool:
        """Whether all epochs are done, or the best one is too long ago."""
        done = len(self.history)
        patience = self.config.patience
        if done == 0 or done >= self.config.epochs or patience is None:
            return done >= self.config.epochs
        return done - best_epoch(self.epochs()).number > patience

    def train_epoch(self, checkpoint: Checkpoint | None) -> None:
        """Take the steps that the epoch still lacks."""
        self.network.train()
        order = np.random.default_rng([self.config.seed, len(self.history)]).permutation(self.lesson.examples)
        for chosen in np.array_split(order, self.steps)[self.step :]:
            self._take_step(np.sort(chosen))
            self.step += 1
            if checkpoint:
                checkpoint.write_if_due(self.state)

    def close_epoch(self) -> Epoch:
        """Validate, keep the weights where they are the best so far, and go on to the next epoch."""
        import torch

        figures = {"train_loss": self.losses / self.steps}
        if self.lesson.validate:
            self.network.eval()
            with torch.no_grad():
                figures |= self.lesson.validate()
        self.history.append(figures)
        if best_epoch(self.epochs()).number == len(self.history):
            self.best = {name: value.detach().clone() for name, value in self.network.state_dict().items()}
        self.step, self.losses = 0, 0.0
        return self.epochs()[-1]

    def take_best(self) -> None:
        self.network.load_state_dict(self.best)
        self.network.to("cpu").eval()

    def _take_step(self, chosen: NDArray[np.int64]) -> None:
        import torch

        numbers = np.random.SeedSequence([self.config.seed, len(self.history), self.step])
        torch.manual_seed(int(numbers.generate_state(1, np.uint32)[0]))
        loss = self.lesson.loss_of(chosen, np.random.default_rng(numbers))
        value = loss.item()
        if not math.isfinite(value):
            raise FloatingPointError(f"the loss is {value} at step {self.step} of epoch {len(self.history) + 1}")
        self.optimiser.zero_grad()
        self.scaler.scale(loss).backward()
        self.scaler.unscale_(self.optimiser)
        torch.nn.utils.clip_grad_norm_(self.trained, _LARGEST_GRADIENT)
        self.scaler.step(self.optimiser)
        self.scaler.update()
        self.schedule.step()
        self.losses += value

    def state(self) -> tuple[Tensors, Facts]:
        """Everything that the next step depends on."""
        optimiser = self.optimiser.state_dict()
        tensors = {f"network/{name}": value for name, value in self.network.state_dict().items()}
        tensors |= {f"best/{name}": value for name, value in self.best.items()}
        for place, moments in optimiser["state"].items():
            tensors |= {f"optimiser/{place}/{name}": value for name, value in moments.items()}
        facts = {
            "step": self.step,
            "losses": self.losses,
            "history": self.history,
            "groups": optimiser["param_groups"],
            "schedule": self.schedule.state_dict(),
            "scaler": self.scaler.state_dict(),
        }
        return tensors, facts

    def restore(self, tensors: Tensors, facts: Facts) -> None:
        """Go back to a state."""
        moments: dict[int, dict[str, Tensor]] = {}
        for name, value in _below(tensors, "optimiser").items():
            place, _, moment = name.partition("/")
            moments.setdefault(int(place), {})[moment] = value
        self.network.load_state_dict(_below(tensors, "network"))
        self.best = _below(tensors, "best")
        self.optimiser.load_state_dict({"state": moments, "param_groups": facts["groups"]})
        self.schedule.load_state_dict(facts["schedule"])
        self.scaler.load_state_dict(facts["scaler"])
        self.step, self.losses, self.history = facts["step"], facts["losses"], facts["history"]


def _below(tensors: Tensors, folder: str) -> Tensors:
    return {name.removeprefix(f"{folder}/"): one for name, one in tensors.items() if name.startswith(f"{folder}/")}
