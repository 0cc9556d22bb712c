"""Masks as COCO run lengths, made without ever making the big mask.

Belongs here: run lengths of an enlarged class map. Does not belong here: which classes there are.

A source picture has millions of pixels, a model's answer some ten thousand. Nearest-neighbour enlargement repeats rows
and columns, so the runs of the large mask follow from the runs of the small one by arithmetic. COCO counts along
columns.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from neurovision_assets.surgery.timeline import runs

ClassMap = npt.NDArray[np.uint8]
"""uint8 [h, w], class ids."""


@dataclass(frozen=True)
class Enlargement:
    """Nearest-neighbour resampling of a small map to a larger picture.

    Attributes:
        rows: int64 [height], row of the small map that each row of the picture shows.
        columns: int64 [width], the same for columns.
    """

    rows: npt.NDArray[np.int64]
    columns: npt.NDArray[np.int64]

    @cached_property
    def row_starts(self) -> npt.NDArray[np.int64]:
        """First row of the picture that shows each of the small map's rows in view, int64 [k]."""
        starts, _ = runs(self.rows)
        return starts

    def shows_the_same(self, other: Enlargement) -> bool:
        """Whether both pictures are of one size and show one cell in each pixel."""
        return np.array_equal(self.rows, other.rows) and np.array_equal(self.columns, other.columns)

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the picture."""
        return len(self.rows), len(self.columns)


@dataclass(frozen=True)
class ClassRuns:
    """Runs of equal class along the columns of a picture.

    Attributes:
        start: int64 [k], place of each run's first pixel, counted down the columns.
        length: int64 [k], pixels.
        class_id: uint8 [k].
        size: height and width of the picture.
    """

    start: npt.NDArray[np.int64]
    length: npt.NDArray[np.int64]
    class_id: npt.NDArray[np.uint8]
    size: tuple[int, int]

    def areas(self, classes: int) -> npt.NDArray[np.int64]:
        """Pixels of each class, int64 [classes]."""
        return np.bincount(self.class_id, weights=self.length, minlength=classes).astype(np.int64)

    def encode(self, classes: Iterable[int]) -> list[str]:
        """COCO's compressed run lengths of each of these classes; `pycocotools.mask.decode` reads them."""
        by_class = np.argsort(self.class_id, kind="stable")
        start = self.start[by_class]
        edges = np.stack((start, start + self.length[by_class]), axis=1).reshape(-1)
        bounds = 2 * np.searchsorted(self.class_id[by_class], [(c, c + 1) for c in classes])
        return [self._packed(edges[first:after]) for first, after in bounds.reshape(-1, 2).tolist()]

    def _packed(self, edges: npt.NDArray[np.int64]) -> str:
        """The text of one mask, whose runs begin and end in turns at these places."""
        from pycocotools import mask

        height, width = self.size
        counts = np.empty(len(edges) + 1, dtype=np.uint32)
        counts[0] = edges[0] if len(edges) else 0
        counts[1:-1] = edges[1:] - edges[:-1]
        counts[-1] = height * width - (edges[-1] if len(edges) else 0)
        if counts[-1] == 0:
            counts = counts[:-1]  # COCO writes no empty run at the end, and equal masks must have equal text
        packed = mask.frPyObjects({"size": [height, width], "counts": counts}, height, width)
        return str(packed["counts"], "ascii")


def class_runs(small: ClassMap, enlargement: Enlargement) -> ClassRuns:
    """Runs of the enlarged class map.

    Args:
        small: uint8 [h, w].
        enlargement: to the picture.
    """
    height, width = enlargement.size
    row_starts = enlargement.row_starts
    shown = np.ascontiguousarray(small[enlargement.rows[row_starts]].T)
    down = shown[enlargement.columns].reshape(-1)
    first, _ = runs(down)
    column = first // len(row_starts)
    start = column * height + row_starts[first - column * len(row_starts)]
    return ClassRuns(start, np.diff(start, append=height * width), down[first], (height, width))
