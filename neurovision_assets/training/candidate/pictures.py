"""Pictures of a training: its curves, and the confusion of its answers (NV-052).

Belongs here: drawing. Does not belong here: the figures.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from models.loop import Epoch, best_epoch

if TYPE_CHECKING:
    from numpy.typing import NDArray

CURVES_FILE: Final = "training_curves.png"
CONFUSION_FILE: Final = "confusion_matrix.png"
DOTS_PER_INCH: Final = 110


def draw_curves(epochs: Sequence[Epoch], path: Path) -> Path:
    """Draw the loss on the left, everything that was validated on the right, and the epoch that was kept."""
    figure, (left, right) = _canvas((10, 4), columns=2)
    numbers = [epoch.number for epoch in epochs]
    for name in epochs[-1].figures:
        axes = left if name.endswith("loss") else right
        axes.plot(numbers, [epoch.figures[name] for epoch in epochs], label=name, marker=".")
    for axes in (left, right):
        axes.axvline(best_epoch(epochs).number, linestyle="--", color="grey", linewidth=1)
        axes.set_xlabel("epoch")
        if axes.lines[1:]:
            axes.legend()
    figure.savefig(path)
    return path


def draw_confusion(confusion: NDArray[np.int64], labels: Sequence[str], path: Path) -> Path:
    """Draw shares of each true class, row by row."""
    side = 2.5 + 0.5 * len(labels)
    figure, axes = _canvas((side + 1, side))
    shares = confusion / np.maximum(confusion.sum(axis=1, keepdims=True), 1)
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    axes.set_xticks(range(len(labels)), labels, rotation=60, ha="right")
    axes.set_yticks(range(len(labels)), labels)
    axes.set_xlabel("told")
    axes.set_ylabel("true")
    for row, column in zip(*np.nonzero(shares >= 0.005), strict=True):
        dark = shares[row, column] > 0.5
        text = f"{shares[row, column]:.2f}"
        axes.text(column, row, text, ha="center", va="center", fontsize=7, color="white" if dark else "black")
    figure.savefig(path)
    return path


def _canvas(size_inch: tuple[float, float], columns: int = 1) -> tuple[Any, Any]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=size_inch, dpi=DOTS_PER_INCH, layout="constrained")
    return figure, figure.subplots(1, columns)
