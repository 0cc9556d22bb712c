"""How good the product is on whole operations that no model has seen, through its own stages from file to events.

Phases, tracks and events are scored as the product tells them, events from found phases, instruments and tissue and
not from true ones. ``python -m benchmarks.scores --operations 20``
"""

from __future__ import annotations

import argparse
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.measure import REPOSITORY, machine, process
from benchmarks.simulated import SimulatedVideo, Truth, simulated_videos
from models.contracts import NAMES
from models.evaluate import phase_scores
from models.labels import INSTRUMENTS
from models.scoring.calibration import calibration_scores
from models.scoring.events import Span, event_scores
from models.scoring.protocol import Scores
from models.scoring.tracks import Tracked, tracking_scores
from models.triton_config import sha256_of
from neurovision_assets.artifacts import ArtifactReader
from neurovision_assets.surgery.pipeline import SURGERY
from resources.object_store import ObjectStore
from simulator.vocabulary import EVENTS as EVENT_KINDS

DEFAULT_WORK = REPOSITORY / "data" / "benchmarks"
OPERATIONS = 20
SIDES = ("x_min", "y_min", "x_max", "y_max")


@dataclass(frozen=True)
class Said:
    """What the product told about an operation.

    Attributes:
        timestamp_ms: int64 [T], of the stored frames.
        probabilities: float [T,11], of the phases.
        boxes: with tracks, in pixels of the video.
        events: in order of time.
    """

    timestamp_ms: npt.NDArray[np.int64]
    probabilities: npt.NDArray[np.float64]
    boxes: Tracked
    events: tuple[Span, ...]


def said_of(reader: ArtifactReader, video_id: str) -> Said:
    """Read the product's own tables."""
    frames, phases, boxes, events = (
        reader.table(reader.required_record(stage.asset, video_id), columns=columns)
        for stage, columns in (
            (SURGERY["frames"], ["frame_index", "timestamp_ms"]),
            (SURGERY["phases"], None),
            (SURGERY["instruments"], None),
            (SURGERY["events"], None),
        )
    )
    sides = [boxes[f"source_{side}_px"].to_numpy().astype(np.float64) for side in SIDES]
    classes = [INSTRUMENTS.index(name) for name in boxes["instrument"].to_pylist()]
    return Said(
        timestamp_ms=frames["timestamp_ms"].to_numpy(),
        probabilities=np.array(phases["probabilities"].to_pylist()),
        boxes=Tracked(
            frame=np.searchsorted(frames["frame_index"].to_numpy(), boxes["frame_index"].to_numpy()),
            class_id=np.array(classes, dtype=np.int64),
            track_id=boxes["track_id"].to_numpy().astype(np.int64),
            box_px=np.stack(sides, axis=1),
        ),
        events=tuple(Span(row["kind"], row["start_ms"], row["end_ms"]) for row in events.to_pylist()),
    )


def scores_of(operations: Sequence[tuple[Said, Truth]]) -> dict[str, Scores]:
    """Every score, by its subject."""
    pairs = [(said.probabilities.argmax(axis=1), truth.phases) for said, truth in operations]
    step_ms = float(np.median(np.diff(operations[0][0].timestamp_ms)))
    return {
        **phase_scores(pairs, samples_per_s=1000 / step_ms),
        "calibration": calibration_scores(
            np.concatenate([said.probabilities for said, _ in operations]),
            np.concatenate([truth.phases for _, truth in operations]),
        ),
        "tracks": tracking_scores(
            [(said.boxes, truth.boxes, len(said.timestamp_ms)) for said, truth in operations], INSTRUMENTS
        ),
        "events": event_scores([(said.events, truth.events) for said, truth in operations], EVENT_KINDS),
    }


def processed(video: SimulatedVideo, home: Path) -> Said:
    """Run ``make process``, which computes only what is not there yet, and read its answer."""
    done = process(video.path, home)
    [line] = [line for line in done.out.splitlines() if line.startswith("video_id: ")]
    return said_of(ArtifactReader(ObjectStore(url=home.as_uri())), line.removeprefix("video_id: "))


def weights_digest() -> str:
    """Give the SHA-256 of the four models' digests: a home keeps the models that it was first started with."""
    digests = [sha256_of(REPOSITORY / "models" / name / "1" / "model.onnx") for name in NAMES]
    return hashlib.sha256("".join(digests).encode()).hexdigest()


def tell(scores: dict[str, Scores]) -> None:
    """Print every figure below its protocol."""
    for subject, one in scores.items():
        print(f"\n{subject}: {one.protocol.statement} ({one.protocol.name}/{one.protocol.version})")
        for name, value in one.figures.items():
            print(f"  {name}: {_spelt(value)}")


def main(arguments: Sequence[str] = ()) -> None:
    """Print the scores, and write them to ``scores.json`` in the work folder."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scores", description="Score the product.")
    parser.add_argument("--operations", type=int, default=OPERATIONS)
    parser.add_argument("--work", type=Path, default=DEFAULT_WORK, help="folder that keeps videos and results")
    options = parser.parse_args(arguments)
    print(f"scores on {options.operations} unseen simulated operations of 4 minutes ({machine()})")
    home = options.work / f"home-{weights_digest()[:12]}"
    home.mkdir(parents=True, exist_ok=True)
    operations = []
    for video in simulated_videos(options.work, options.operations):
        said = processed(video, home)
        operations.append((said, video.truth(said.timestamp_ms)))
    scores = scores_of(operations)
    tell(scores)
    written: dict[str, Any] = {subject: one.as_json() for subject, one in scores.items()}
    (options.work / "scores.json").write_text(json.dumps(written, indent=2) + "\n")


def _spelt(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {_spelt(inner)}" for name, inner in value.items())
    return f"{value:.4g}" if isinstance(value, float) else str(value)


if __name__ == "__main__":
    import sys

    main(sys.argv[1:])
