"""Operations as training data, and simulated ones: rendered once, kept in a work folder, read back.

Belongs here: what an operation's frames and truth look like to the training code, whatever set they come from. Does not
belong here: how a network wants them (its `train.py`), how they are drawn (`simulator`), other sets.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

import numpy as np

from models.augment import coin
from models.labels import INSTRUMENTS, PHASES
from models.letterbox import FrameGeometry, letterbox, pad

if TYPE_CHECKING:
    from numpy.typing import NDArray

T = TypeVar("T", bound=np.generic)

WIDTH_PX: Final = 640
HEIGHT_PX: Final = 480
FPS: Final = 2.0
"""Frames per second of the default sampling policy."""
_DURATION_S: Final = (120, 361)
"""Shortest length, and the first that is too long: four minutes on average."""
_CAMERAS_PX: Final = ((640, 480), (640, 480), (640, 360))
"""Pictures as they come from the cameras; the wide one gets the bars that the frames stage gives it."""
_JPEG_QUALITY: Final = (60, 96)
"""Stored frames have quality 95, but the video that they came from was compressed before."""
_MASK_STRIDE_PX: Final = 4


@dataclass(frozen=True)
class Operation:
    """The frames of one operation with their truth; a kind of annotation that its set lacks is None.

    Attributes:
        name: the operation's in its set.
        operation_type: `cholecystectomy` and the like.
        jpegs: T encoded frames of 640x480.
        phases: int64 [T], index into `PHASES`.
        anatomy: uint8 [T,120,160], class of the pixel in the middle of every 4x4 square, 0 is background.
        boxes_px: float32 [M,4], x_min, y_min, x_max, y_max; None together with the two below.
        box_frames: int64 [M], the frame each box lies in.
        box_classes: int64 [M], index into `INSTRUMENTS`.
    """

    name: str
    operation_type: str
    jpegs: tuple[bytes, ...]
    phases: NDArray[np.int64] | None
    anatomy: NDArray[np.uint8] | None
    boxes_px: NDArray[np.float32] | None
    box_frames: NDArray[np.int64] | None
    box_classes: NDArray[np.int64] | None

    def __len__(self) -> int:
        return len(self.jpegs)

    def frame(self, index: int) -> NDArray[np.uint8]:
        """Decode one frame: RGB [480,640,3]."""
        return decode_jpeg(self.jpegs[index])

    def phase_labels(self) -> NDArray[np.int64]:
        """Give `phases`; raises ValueError where the set has none."""
        return self._given(self.phases, "phases")

    def anatomy_masks(self) -> NDArray[np.uint8]:
        """Give `anatomy`; raises ValueError where the set has none."""
        return self._given(self.anatomy, "anatomy")

    def boxes_at(self, index: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Give the boxes [M,4] of one frame and their classes [M]; raises ValueError where the set has none."""
        rows = self._given(self.box_frames, "boxes") == index
        return self._given(self.boxes_px, "boxes")[rows], self._given(self.box_classes, "boxes")[rows]

    def presence(self) -> NDArray[np.float32]:
        """Which instruments are seen in each frame: [T,7] of 0 and 1; raises ValueError where the set has no boxes."""
        table = np.zeros((len(self), len(INSTRUMENTS)), dtype=np.float32)
        table[self._given(self.box_frames, "boxes"), self._given(self.box_classes, "boxes")] = 1.0
        return table

    def _given(self, values: NDArray[T] | None, kind: str) -> NDArray[T]:
        if values is None:
            raise ValueError(f"{self.name} has no {kind}: leave it out, or take another set")
        return values


def decode_jpeg(encoded: bytes) -> NDArray[np.uint8]:
    """Decode a JPEG to RGB [h,w,3]."""
    import cv2

    image = cv2.imdecode(np.frombuffer(encoded, dtype=np.uint8), cv2.IMREAD_COLOR_RGB)
    if image is None:
        raise ValueError("not a JPEG")
    return np.asarray(image, dtype=np.uint8)


def load_operations(work: Path, seeds: Sequence[int]) -> list[Operation]:
    """Give the operations of these seeds, rendering what the work folder does not hold yet.

    Renderings lie in a folder named by all sources that decide them: changed ones never meet old pictures.
    """
    folder = work / f"operations-{renderings_digest()[:12]}"
    folder.mkdir(parents=True, exist_ok=True)
    missing = [seed for seed in seeds if not _path(folder, seed).is_file()]
    if missing:
        from simulator.workers import renderers

        with renderers(len(os.sched_getaffinity(0))) as pool:
            list(pool.map(_render_to, [folder] * len(missing), missing))
    return [_read(_path(folder, seed), seed) for seed in seeds]


def renderings_digest(*more: Path) -> str:
    """Give the SHA-256 of the sources that decide rendered operations, in the order of their names.

    Args:
        more: files that decide them too, beside the simulator and what `render_operation` uses.
    """
    from simulator.begun import sources_digest

    own = [Path(__file__).with_name(f"{name}.py") for name in ("augment", "data", "labels", "letterbox")]
    digest = hashlib.sha256(sources_digest().encode())
    for path in (*own, *more):
        digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()


def camera_px(seed: int) -> tuple[int, int]:
    """Width and height of the pictures that `render_operation` takes for a seed, before they are fitted."""
    return _recording(np.random.default_rng(seed))[1:]


def _recording(rng: np.random.Generator) -> tuple[int, int, int]:
    """Length in seconds, width and height: the first that is drawn for an operation."""
    duration_s = int(rng.integers(*_DURATION_S))
    return duration_s, *_CAMERAS_PX[int(rng.integers(len(_CAMERAS_PX)))]


def render_operation(seed: int) -> Operation:
    """Render one operation; its length, its camera and the compression of its frames follow from the seed.

    Half of them were recorded in hospitals that the simulator does not have otherwise.
    """
    import cv2

    from simulator.cast import strange_hospital
    from simulator.operation import plan_operation
    from simulator.render import render_frame

    rng = np.random.default_rng(seed)
    duration_s, width_px, height_px = _recording(rng)
    geometry = FrameGeometry.fit(width_px, height_px, WIDTH_PX, HEIGHT_PX)
    plan = plan_operation(seed, duration_s)
    if coin(rng):
        plan = replace(plan, hospital=strange_hospital(rng))
    jpegs, phases, anatomy, boxes = [], [], [], []
    for index in range(int(duration_s * FPS)):
        frame = render_frame(plan, int(index * 1000 / FPS), width_px, height_px)
        image, _ = letterbox(frame.image, WIDTH_PX, HEIGHT_PX)
        quality = [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(*_JPEG_QUALITY))]
        jpegs.append(cv2.imencode(".jpg", np.ascontiguousarray(image[:, :, ::-1]), quality)[1].tobytes())
        phases.append(PHASES.index(frame.phase))
        mask = pad(frame.anatomy, geometry)
        middle = _MASK_STRIDE_PX // 2
        anatomy.append(mask[middle::_MASK_STRIDE_PX, middle::_MASK_STRIDE_PX])
        boxes += [
            (index, INSTRUMENTS.index(one.instrument), *geometry.to_frame_box(one.box_px)) for one in frame.instruments
        ]
    table = np.array(boxes, dtype=np.float32).reshape(-1, 6)
    return Operation(
        name=_name(seed),
        operation_type=plan.operation_type,
        jpegs=tuple(jpegs),
        phases=np.array(phases, dtype=np.int64),
        anatomy=np.stack(anatomy).astype(np.uint8),
        boxes_px=table[:, 2:],
        box_frames=table[:, 0].astype(np.int64),
        box_classes=table[:, 1].astype(np.int64),
    )


def frames_of(operations: Sequence[Operation], *, every: int = 1) -> Iterator[tuple[Operation, int]]:
    """Walk over every n-th frame of all operations, in order."""
    for operation in operations:
        for index in range(0, len(operation), every):
            yield operation, index


def resized_frames(
    operations: Sequence[Operation], *, height_px: int, width_px: int, every: int = 1
) -> NDArray[np.uint8]:
    """Give every n-th frame letterboxed to a network's input: RGB bytes [N,height_px,width_px,3]."""
    chosen = list(frames_of(operations, every=every))
    pictures = np.empty((len(chosen), height_px, width_px, 3), dtype=np.uint8)
    for place, (operation, index) in enumerate(chosen):
        pictures[place], _ = letterbox(operation.frame(index), width_px, height_px)
    return pictures


def clip_frames(path: Path) -> list[NDArray[np.uint8]]:
    """Decode every frame of a video: RGB [h,w,3] each."""
    import av

    with av.open(path) as container:
        return [np.asarray(frame.to_ndarray(format="rgb24"), dtype=np.uint8) for frame in container.decode(video=0)]


def _name(seed: int) -> str:
    return f"simulated_{seed}"


def _path(folder: Path, seed: int) -> Path:
    return folder / f"{seed}.npz"


def _render_to(folder: Path, seed: int) -> None:
    operation = render_operation(seed)
    arrays: dict[str, Any] = {
        "encoded": np.frombuffer(b"".join(operation.jpegs), dtype=np.uint8),
        "ends": np.cumsum([len(encoded) for encoded in operation.jpegs]),
        "phases": operation.phases,
        "anatomy": operation.anatomy,
        "boxes_px": operation.boxes_px,
        "box_frames": operation.box_frames,
        "box_classes": operation.box_classes,
    }
    partial = folder / f"{seed}.partial"
    with partial.open("wb") as stream:
        np.savez_compressed(stream, **arrays)
    partial.rename(_path(folder, seed))


def _read(path: Path, seed: int) -> Operation:
    from simulator.cast import CHOLECYSTECTOMY

    with np.load(path) as arrays:
        encoded = arrays["encoded"].tobytes()
        ends = arrays["ends"].tolist()
        return Operation(
            name=_name(seed),
            operation_type=CHOLECYSTECTOMY,
            jpegs=tuple(encoded[start:end] for start, end in zip([0, *ends[:-1]], ends, strict=True)),
            phases=arrays["phases"],
            anatomy=arrays["anatomy"],
            boxes_px=arrays["boxes_px"],
            box_frames=arrays["box_frames"],
            box_classes=arrays["box_classes"],
        )
