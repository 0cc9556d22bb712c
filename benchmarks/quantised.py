"""What eight-bit weights cost in score and bring in speed: ONNX Runtime's dynamic and static quantisation.

Kept where the score stays within one point; the decision is in docs/decisions.md. ``python -m benchmarks.quantised``
"""

from __future__ import annotations

import argparse
import shutil
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from benchmarks.measure import Steal, machine, scratch
from benchmarks.scores import DEFAULT_WORK
from models.build import REPOSITORY as MODELS
from models.build import seeds_of
from models.contracts import ANATOMIST, CONTRACTS, DETECTOR, EXTRACTOR, NAMES, SEGMENTER
from models.data import Operation, load_operations, resized_frames
from models.engine import ExportedModel, extract_features
from models.evaluate import judge_anatomist, judge_detector, judge_segmenter, score_extractor
from models.letterbox import as_batch

OPERATIONS = 4
CALIBRATION_OPERATIONS = 2
CALIBRATION_EVERY = 16
"""Frames 8 s apart calibrate as well as all of them and take a sixteenth of the time."""
TIMED_FRAMES = 8
REPEATS = 5
Score = Callable[[Path, Sequence[Operation]], dict[str, float]]


def phases_of(repository: Path, operations: Sequence[Operation]) -> dict[str, float]:
    """Accuracy and F1@50 of phases: what a backbone and a segmenter are for."""
    told = judge_segmenter(repository, operations).report
    return {"accuracy": told["phases"]["accuracy"], "f1_50": told["segments"]["f1_50"]}


def backbone_of(repository: Path, operations: Sequence[Operation]) -> dict[str, float]:
    """Phases by the unchanged segmenter, and false alarms of novelty."""
    alarms = score_extractor(repository, operations)["novelty"]["share_above_1"]
    return {**phases_of(repository, operations), "share_above_1": alarms}


def boxes_of(repository: Path, operations: Sequence[Operation]) -> dict[str, float]:
    """Average precision of boxes."""
    told = judge_detector(repository, operations).report["boxes"]
    return {name: told[name] for name in ("map50", "map50_95")}


def areas_of(repository: Path, operations: Sequence[Operation]) -> dict[str, float]:
    """Mean intersection over union."""
    return {"miou": judge_anatomist(repository, operations).report["anatomy"]["miou"]}


SCORES: dict[str, Score] = {EXTRACTOR: backbone_of, SEGMENTER: phases_of, DETECTOR: boxes_of, ANATOMIST: areas_of}


class Calibration:
    """Inputs of a model, one after another, as ONNX Runtime's calibration asks for them."""

    def __init__(self, name: str, inputs: Iterator[npt.NDArray[np.float32]]) -> None:
        self._name, self._inputs = CONTRACTS[name].inputs[0].name, inputs

    def get_next(self) -> dict[str, npt.NDArray[np.float32]] | None:
        """Give the next input, None after the last."""
        given = next(self._inputs, None)
        return None if given is None else {self._name: given}


def inputs_of(name: str, operations: Sequence[Operation], *, every: int) -> Iterator[npt.NDArray[np.float32]]:
    """Give what a model sees: a picture at a time, or the features of an operation."""
    source = EXTRACTOR if name == SEGMENTER else name
    height_px, width_px = CONTRACTS[source].picture_px
    for operation in operations:
        step = 1 if name == SEGMENTER else every
        pictures = resized_frames([operation], height_px=height_px, width_px=width_px, every=step)
        if name == SEGMENTER:
            yield extract_features(MODELS, pictures)[0][np.newaxis]
        else:
            yield from (as_batch(picture[np.newaxis]) for picture in pictures)


def quantise(way: str, name: str, path: Path, operations: Sequence[Operation]) -> None:
    """Write the model with eight-bit weights (dynamic), or weights and activations (static), to `path`."""
    import onnx
    from onnxruntime.quantization import QuantFormat, QuantType, quantize_dynamic, quantize_static

    source = onnx.load(MODELS / name / "1" / "model.onnx")
    del source.graph.value_info[:]  # the exporter's notes on shapes contradict each other; they are worked out again
    if way == "dynamic":
        quantize_dynamic(source, path, weight_type=QuantType.QInt8)
        return
    quantize_static(
        source,
        path,
        Calibration(name, inputs_of(name, operations, every=CALIBRATION_EVERY)),
        quant_format=QuantFormat.QDQ,
        per_channel=True,
        activation_type=QuantType.QUInt8,
        weight_type=QuantType.QInt8,
    )


def frame_ms(repository: Path, name: str, operation: Operation) -> tuple[float, float]:
    """Least and greatest mean time for an input over repeated runs, in milliseconds."""
    model = ExportedModel(repository, name)
    given = list(inputs_of(name, [operation], every=max(1, len(operation) // TIMED_FRAMES)))
    model.run(given[0])
    spent = []
    for _ in range(REPEATS):
        started = time.perf_counter()
        for one in given:
            model.run(one)
        spent.append(1000 * (time.perf_counter() - started) / len(given))
    return min(spent), max(spent)


def measure(way: str, repository: Path, name: str, operations: Sequence[Operation], limit_ms: float) -> float:
    """Print speed and size of one model in this repository, and its score unless it is slower than the limit.

    Returns:
        Least mean time for an input, ms.
    """
    size_mb = (repository / name / "1" / "model.onnx").stat().st_size / 1e6
    with Steal() as steal:
        least, most = frame_ms(repository, name, operations[0])
    print(f"{name}, {way}: {least:.1f}-{most:.1f} ms an input (stolen {steal.share:.0%}), {size_mb:.1f} MB", flush=True)
    if least <= limit_ms:
        figures = SCORES[name](repository, operations)
        print("  " + ", ".join(f"{figure} {value:.4f}" for figure, value in figures.items()), flush=True)
    else:
        print("  not scored: slower than it was")
    return least


def main(arguments: Sequence[str] = ()) -> None:
    """Print score, speed and size of every model as it is and quantised in two ways."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.quantised", description="Measure INT8.")
    parser.add_argument("--operations", type=int, default=OPERATIONS)
    parser.add_argument("--work", type=Path, default=DEFAULT_WORK, help="folder for rendered operations")
    parser.add_argument("--only", choices=NAMES, nargs="*", default=NAMES)
    options = parser.parse_args(arguments)
    _, checked, asked = seeds_of(0, 2 * options.operations)
    calibration = load_operations(options.work, checked[:CALIBRATION_OPERATIONS])
    operations = load_operations(options.work, asked[: options.operations])
    print(f"quantised models on {options.operations} unseen simulated operations ({machine()})")
    for name in options.only:
        limit_ms = measure("float32", MODELS, name, operations, float("inf"))
        for way in ("dynamic", "static"):
            with scratch() as repository:
                for other in NAMES:
                    (repository / other / "1").mkdir(parents=True)
                    shutil.copy(MODELS / other / "1" / "model.onnx", repository / other / "1")
                quantise(way, name, repository / name / "1" / "model.onnx", calibration)
                measure(f"{way} int8", repository, name, operations, limit_ms)


if __name__ == "__main__":
    main(sys.argv[1:])
