"""What the platform adds to a network's own time, for each model that looks at single pictures.

Promised: features, detection and segmentation take at most 5 % more than a bare ONNX Runtime loop over the same
batches. ``python -m benchmarks.inference``

Both sides start from the same decoded pictures and fit them into the model's input; the bare loop does no more than a
script would: letterbox, one division, ``session.run``. Ours checks both sides of every call, and makes tables of it.
"""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.measure import Steal, machine, scratch
from models.letterbox import FrameGeometry, letterbox
from neurovision_assets.surgery.anatomy.config import AnatomyConfig
from neurovision_assets.surgery.anatomy.masks import anatomy_tables
from neurovision_assets.surgery.features.compute import features_tables
from neurovision_assets.surgery.features.config import FeaturesConfig
from neurovision_assets.surgery.instruments.config import InstrumentsConfig
from neurovision_assets.surgery.instruments.detect import detect
from neurovision_assets.surgery.pictures import PictureBatch
from resources.inference.client import InferenceResource

if TYPE_CHECKING:
    from numpy.typing import NDArray

PICTURES = 96
BATCH = 32
ROUNDS = 21
SIZE_PX = (640, 480)


def pictures() -> list[PictureBatch]:
    """Frames of a simulated operation, as stages get them."""
    from simulator.operation import plan_operation
    from simulator.render import render_frame

    plan = plan_operation(7, 60.0)
    times_ms = np.linspace(0, plan.duration_ms - 1, PICTURES).astype(np.int64)
    images = np.stack([render_frame(plan, float(time_ms), *SIZE_PX).image for time_ms in times_ms])
    index = np.arange(PICTURES, dtype=np.int32)
    spans = [slice(start, start + BATCH) for start in range(0, PICTURES, BATCH)]
    return [PictureBatch(index[span], times_ms[span], images[span]) for span in spans]


def bare_loop(inference: InferenceResource, name: str, batches: list[PictureBatch]) -> Callable[[], None]:
    """What a script would do with the model's file."""
    import onnxruntime

    spec = inference.pin(name)
    _, height, width = spec.inputs["images"].dims
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = len(os.sched_getaffinity(0))
    path = inference.models.file(name, spec.identity.version)
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])

    def prepared(images: NDArray[np.uint8]) -> Iterator[NDArray[np.float32]]:
        for start in range(0, len(images), spec.max_batch_size):
            part = [letterbox(image, width, height)[0] for image in images[start : start + spec.max_batch_size]]
            yield np.stack(part).transpose(0, 3, 1, 2).astype(np.float32, order="C") / np.float32(255)

    def loop() -> None:
        for batch in batches:
            for images in prepared(batch.images):
                session.run(None, {"images": images})

    return loop


def stages(inference: InferenceResource, batches: list[PictureBatch]) -> dict[str, Callable[[], Any]]:
    """The stages' own computation by model."""
    width, height = SIZE_PX
    geometry = FrameGeometry.fit(width, height, width, height)
    return {
        "feature_extractor": lambda: list(features_tables(batches, inference, FeaturesConfig())),
        "instrument_detector": lambda: detect(batches, inference, InstrumentsConfig(), geometry),
        "anatomy_segmenter": lambda: list(anatomy_tables(batches, inference, AnatomyConfig(), geometry)),
    }


def seconds(work: Callable[[], Any]) -> float:
    """Wall time of one call."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def main() -> None:
    """Print for each model the median of both sides, taken in turns, and their ratio."""
    print(f"stages against a bare ONNX Runtime loop, {PICTURES} pictures {SIZE_PX[0]}×{SIZE_PX[1]} ({machine()})")
    with scratch() as folder:
        inference = InferenceResource(repository=str(Path(folder) / "models"))
        batches = pictures()
        for name, own in stages(inference, batches).items():
            bare = bare_loop(inference, name, batches)
            own(), bare()
            with Steal() as steal:
                rounds = [(seconds(own), seconds(bare)) for _ in range(ROUNDS)]
            ours_s, bare_s = (statistics.median(side) for side in zip(*rounds, strict=True))
            ratio = statistics.median(one / other for one, other in rounds)
            print(
                f"{name}: {1e3 * ours_s / PICTURES:.1f} ms a picture, bare {1e3 * bare_s / PICTURES:.1f} ms, "
                f"ratio {ratio:.2f}, taken by other machines {steal.share:.0%}"
            )


if __name__ == "__main__":
    main()
