"""CholecSeg8k (Hong et al. 2020, arXiv 2012.12453): clips of 80 pictures of Cholec80 with a class for every pixel.

    video01/video01_00080/frame_80_endo.png                   the picture; 80 counts 25 frames a second
    video01/video01_00080/frame_80_endo_watershed_mask.png    grey: the code of the class

Codes are those found in its files, which differ from the paper's table. The mask has an edge of one white pixel, which
gets the class of its neighbour; white elsewhere (the lines between classes) and what has no class is background, as
instruments are. Thirteen classes become our eight.

Belongs here: names, codes and files of CholecSeg8k. Does not belong here: our tables.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from neurovision_assets.training.annotations.cholec80 import (
    CHOLECYSTECTOMY,
    CLOCK_FPS,
    CLOCK_STEP_MS,
    HOSPITAL,
    patient_of,
)
from neurovision_assets.training.annotations.draft import AnnotationError, OperationDraft, Who
from neurovision_assets.training.annotations.reading import required
from neurovision_assets.training.dataset.schemas import ANATOMY, MOMENTS

MASK_ENDING: Final = "_watershed_mask.png"
OURS: Final = {
    0: "background",  # no class
    5: "hepatic-vessels",  # liver ligament
    11: "abdominal-wall",
    12: "fat",
    13: "gastrointestinal-tract",
    21: "liver",
    22: "gallbladder",
    23: "connective-tissue",
    24: "blood",
    25: "connective-tissue",  # cystic duct
    31: "background",  # grasper
    32: "background",  # hook
    33: "hepatic-vessels",  # hepatic vein
    50: "background",  # black background
    255: "background",  # edge and lines
}
"""Our class of each code in the watershed mask (`models/labels.py` says how the thirteen were merged)."""
UNKNOWN: Final = 254


def read(folder: Path) -> Iterator[OperationDraft]:
    """The operations of a folder in CholecSeg8k's layout.

    Raises:
        AnnotationError: a file is missing or cannot be understood.
    """
    folders = sorted(path for path in folder.glob("video*") if path.is_dir())
    for path in required(folders, folder, "video01/video01_00080/frame_80_endo.png"):
        yield _operation(path)


def _operation(folder: Path) -> OperationDraft:
    number = re.fullmatch(r"video(\d+)", folder.name)
    pictures = {_frame_of(path): path for path in folder.glob("*/frame_*_endo.png")}
    required(list(pictures.values()), folder, f"{folder.name}_00080/frame_80_endo.png")
    if number is None:
        raise AnnotationError("The name holds no operation's number.", path=folder, remedy="Name it video01.")
    frames = sorted(pictures)
    return OperationDraft(
        name=folder.name,
        who=Who(patient_of(int(number[1])), "cholec80-unknown", HOSPITAL, CHOLECYSTECTOMY),
        duration_ms=(frames[-1] + 1) * CLOCK_STEP_MS,
        labelled=MOMENTS,
        size_px=_image(pictures[frames[0]]).shape[1::-1],
        fps=float(CLOCK_FPS),
        masks=((frame * CLOCK_STEP_MS, _mask(pictures[frame])) for frame in frames),
        pictures=tuple((frame * CLOCK_STEP_MS, pictures[frame]) for frame in frames),
    )


def _frame_of(picture: Path) -> int:
    match = re.fullmatch(r"frame_(\d+)_endo\.png", picture.name)
    if match is None:
        raise AnnotationError("The name holds no frame's number.", path=picture, remedy="Name it frame_80_endo.png.")
    return int(match[1])


def _mask(picture: Path) -> bytes:
    """Our class of every pixel, as PNG."""
    import cv2

    path = picture.with_name(picture.name.removesuffix(".png") + MASK_ENDING)
    codes = _image(path)[:, :, 0].copy()
    codes[[0, -1]] = codes[[1, -2]]
    codes[:, [0, -1]] = codes[:, [1, -2]]
    classes = _table()[codes]
    if (classes == UNKNOWN).any():
        strange = sorted(set(np.unique(codes[classes == UNKNOWN]).tolist()))
        raise AnnotationError(
            f"There is no class with the code {', '.join(map(str, strange))}.",
            path=path,
            remedy="Take the file from the data set again, or name the code's class in OURS.",
        )
    return bytes(cv2.imencode(".png", classes)[1])


@cache
def _table() -> NDArray[np.uint8]:
    """Our class id of every code, [256]."""
    table = np.full(256, UNKNOWN, dtype=np.uint8)
    for code, name in OURS.items():
        table[code] = ANATOMY.index(name)
    return table


def _image(path: Path) -> NDArray[Any]:
    """A picture, uint8 [h,w,3]."""
    import cv2

    image = cv2.imread(str(path), cv2.IMREAD_COLOR) if path.is_file() else None
    if image is None:
        problem = "This is no picture." if path.is_file() else "The file is missing."
        raise AnnotationError(problem, path=path, remedy="Take it from the data set again.")
    return np.asarray(image)
