"""The loop that the networks for single frames are trained by.

Belongs here: order, optimiser, learning rate, precision. Does not belong here: pictures, targets, losses
(`<name>/train.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import BaseModel, ConfigDict

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor
    from torch.nn import Parameter

_WARM_UP_SHARE = 0.15
_LARGEST_GRADIENT = 10.0


class FrameTraining(BaseModel):
    """Settings that every network for single frames has."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    epochs: int = 6
    batch_size: int = 16
    learning_rate: float = 3e-3
    weight_decay: float = 1e-2
    seed: int = 0


def mixed_precision() -> Any:
    """Give a context in which convolutions use bfloat16 where the processor computes with it: half the time."""
    import torch

    able = torch.cpu.get_capabilities()
    return torch.autocast("cpu", torch.bfloat16, enabled=bool(able.get("avx512_bf16") or able.get("amx_bf16")))


def run_epochs(
    parameters: Iterable[Parameter],
    examples: int,
    loss_of: Callable[[NDArray[np.int64]], Tensor],
    config: FrameTraining,
    report: Callable[[str], None],
) -> None:
    """Train in place: AdamW, one cycle of the learning rate (Smith & Topin 2019).

    Args:
        parameters: what is trained.
        examples: how many there are.
        loss_of: the loss of a batch, given the sorted numbers of its examples.
        config: settings; the seed decides the order.
        report: receives one line an epoch.
    """
    import torch

    trained = list(parameters)
    order = np.random.default_rng(config.seed)
    steps = max(1, examples // config.batch_size)
    optimiser = torch.optim.AdamW(trained, lr=config.learning_rate, weight_decay=config.weight_decay)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, config.learning_rate, total_steps=steps * config.epochs, pct_start=_WARM_UP_SHARE
    )
    for epoch in range(config.epochs):
        shuffled = order.permutation(examples)
        total = 0.0
        for step in range(steps):
            chosen = np.sort(shuffled[step * config.batch_size : (step + 1) * config.batch_size])
            loss = loss_of(chosen)
            optimiser.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(trained, _LARGEST_GRADIENT)
            optimiser.step()
            schedule.step()
            total += loss.item()
        report(f"epoch {epoch + 1}/{config.epochs}: loss {total / steps:.3f}")
