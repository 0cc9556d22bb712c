"""Unseen simulated operations as videos, with their truth, kept in a work folder.

Belongs here: rendering, the cache, what is true at each stored frame. Does not belong here: what the product says of
them, scores (`scores`).
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from models.data import renderings_digest
from models.labels import INSTRUMENTS, PHASES
from models.scoring.events import Span
from models.scoring.tracks import Tracked
from simulator.operation import OperationPlan, plan_operation
from simulator.render import render_frame
from simulator.video import write_video

FIRST_SEED = 9_000_100
"""Far above every seed that a build trains, validates or tests on (`models.build.seeds_of`). Operations 9,000,000 to
9,000,015 served to develop the rules of events."""
DURATION_S = 240.0
VIDEO_FPS = 4.0
"""Twice the rate of stored frames: more would be rendered and never looked at."""
WIDTH_PX, HEIGHT_PX = 640, 480


@dataclass(frozen=True)
class Truth:
    """What is true at the stored frames of an operation.

    Attributes:
        phases: int64 [T], index into `PHASES`.
        boxes: boxes in pixels of the video, with their tracks.
        events: all of the operation.
    """

    phases: npt.NDArray[np.int64]
    boxes: Tracked
    events: tuple[Span, ...]


@dataclass(frozen=True)
class SimulatedVideo:
    """One operation as the product gets it."""

    plan: OperationPlan
    path: Path

    def truth(self, timestamp_ms: npt.NDArray[np.int64]) -> Truth:
        """Give the truth at these times [T]; boxes are kept beside the video, because they must be rendered."""
        rows = self._boxes(timestamp_ms)
        return Truth(
            phases=np.array([PHASES.index(self.plan.phase_at(float(at)).phase) for at in timestamp_ms]),
            boxes=Tracked(*(rows[:, column].astype(np.int64) for column in range(3)), rows[:, 3:]),
            events=tuple(Span(event.kind, event.start_ms, event.end_ms) for event in self.plan.events),
        )

    def _boxes(self, timestamp_ms: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
        """Place of the frame, class, track and box of everything in view, float64 [k,7]."""
        kept = self.path.with_suffix(".npz")
        if kept.is_file():
            with np.load(kept) as arrays:
                if np.array_equal(arrays["timestamp_ms"], timestamp_ms):
                    return np.asarray(arrays["rows"], dtype=np.float64)
        rows = [
            (place, INSTRUMENTS.index(one.instrument), one.track, *one.box_px)
            for place, at in enumerate(timestamp_ms)
            for one in render_frame(self.plan, float(at), WIDTH_PX, HEIGHT_PX).instruments
        ]
        table = np.array(rows, dtype=np.float64).reshape(-1, 7)
        np.savez(kept, timestamp_ms=timestamp_ms, rows=table)
        return table


def simulated_videos(work: Path, operations: int) -> Iterator[SimulatedVideo]:
    """Render what the folder does not hold yet, one operation after another.

    Files lie in a folder named by all sources that decide them: changed ones never meet old pictures.
    """
    folder = work / f"videos-{renderings_digest(Path(__file__))[:12]}"
    processes = len(os.sched_getaffinity(0))
    for seed in range(FIRST_SEED, FIRST_SEED + operations):
        plan, path = plan_operation(seed, DURATION_S), folder / f"{seed}.mp4"
        if not path.is_file():
            write_video(plan, path, fps=VIDEO_FPS, width=WIDTH_PX, height=HEIGHT_PX, processes=processes)
        yield SimulatedVideo(plan, path)
