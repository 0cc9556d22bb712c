"""Masks as COCO run lengths, made without ever making the big mask.

Belongs here: run lengths of an enlarged class map. Does not belong here: which classes there are.

A source picture has millions of pixels, a model's answer some ten thousand. Nearest-neighbour enlargement repeats rows
and columns, so the runs of the large mask follow from the runs of the small one by arithmetic. COCO counts along
columns.
"""

from __future__ import annotations

from dataclasses import dataclass

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

    def encode(self, class_id: int) -> str:
        """COCO's compressed run lengths of one class; `pycocotools.mask.decode` reads them."""
        from pycocotools import mask

        own = np.flatnonzero(self.class_id == class_id)
        height, width = self.size
        edges = np.empty(2 * len(own) + 2, dtype=np.int64)
        edges[0], edges[-1] = 0, height * width
        edges[1:-1:2] = self.start[own]
        edges[2:-1:2] = self.start[own] + self.length[own]
        counts = np.diff(edges)
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
    row_first, _ = runs(enlargement.rows)
    down = np.ascontiguousarray(small[enlargement.rows[row_first]].T)[enlargement.columns].reshape(-1)
    first, _ = runs(down)
    column, row = np.divmod(first, len(row_first))
    start = column * height + row_first[row]
    return ClassRuns(start, np.diff(start, append=height * width), down[first], (height, width))
