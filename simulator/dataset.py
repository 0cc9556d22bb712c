"""Writes a set of operations: videos, sidecars, truth in our tables and in public layouts, and the index.

Belongs here: which file lies where. Does not belong here: what is in the files, arguments and progress (`__main__`).

    operation_001.mp4, operation_001.json   what a hospital would upload
    recording.json                          how it was made, so that it goes on in the same way
    index.csv                               for each operation: patient, surgeon, hospital, type, day, seed, recording
    truth/operation_001/                    our tables (`truth`)
    layouts/cholec80/ ...                   the same truth as public data sets have it (`layouts`)

A folder holds one set: files of two would carry the same names. One that was interrupted goes on with the first
operation that is not whole, and one of four operations grows to one of eight.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

from simulator.begun import INDEX, begin, held, sources_digest
from simulator.cohort import Member, index_row, write_index
from simulator.layouts import write_layouts
from simulator.layouts.cholecseg8k import clip_start
from simulator.truth import sidecar, write_sampled_truth, write_truth
from simulator.video import write_video


@dataclass(frozen=True)
class Recording:
    """How the operations of a set are recorded.

    `size_px` (width, height, even) is the hospital's own when None; `crf` the codec's usual when None; `truth_fps`
    pictures a second get boxes and masks, 0 for none; without `videos` only truth is written.
    """

    fps: float = 25.0
    size_px: tuple[int, int] | None = None
    codec: str = "libx264"
    crf: int | None = None
    vfr: bool = False
    truth_fps: float = 1.0
    videos: bool = True
    layouts: bool = True


def write_set(
    members: Iterable[Member],
    out: Path,
    recording: Recording,
    watch: Callable[[Member], Callable[[int, int], None]],
) -> int:
    """Write every operation of the set that is not there yet, and the index, which grows with each operation.

    Args:
        members: the operations.
        out: folder to write to; made where it is missing, refused where it holds another set.
        recording: how they are recorded.
        watch: asked for each operation, gives what is called as `on_frame(done, total)`.

    Returns:
        How many of the operations were there already.

    Raises:
        FileExistsError: `out` is a file, or holds another set; nothing was written.
        BlockingIOError: another process makes a set there; nothing was written.
        ValueError: an operation has no clip for the layouts; nothing was written.
        OSError, ValueError, av.error.FFmpegError: As `write_video`; what was written before stays.
    """
    chosen = list(members)
    if recording.layouts:
        _require_clips(chosen)
    out.mkdir(parents=True, exist_ok=True)
    sizes = [recording.size_px or member.plan.hospital.size_px for member in chosen]
    rows = [
        index_row(member, size, recording.fps, recording.codec, vfr=recording.vfr)
        for member, size in zip(chosen, sizes, strict=True)
    ]
    with held(out):
        there = begin(out, {**asdict(recording), "simulator": sources_digest()}, rows)
        for place in range(there, len(chosen)):
            _write(chosen[place], out, recording, sizes[place], watch(chosen[place]))
            write_index(out / INDEX, rows[: place + 1])
    return there


def _require_clips(members: Iterable[Member]) -> None:
    """Refuse before hours of rendering what would end it half-way."""
    for member in members:
        try:
            clip_start(member.plan)
        except ValueError as error:
            raise ValueError(f"{member.name}: {error}, or write no layouts (--no-layouts)") from error


def _write(
    member: Member, out: Path, recording: Recording, size: tuple[int, int], on_frame: Callable[[int, int], None]
) -> None:
    """One operation."""
    plan, truth = member.plan, out / "truth" / member.name
    if recording.videos:
        write_video(
            plan,
            out / f"{member.name}.mp4",
            recording.fps,
            *size,
            recording.codec,
            recording.crf,
            vfr=recording.vfr,
            processes=len(os.sched_getaffinity(0)),
            on_frame=on_frame,
        )
        card = sidecar(plan, member.name, plan.hospital.department)
        (out / f"{member.name}.json").write_text(json.dumps(card, indent=2) + "\n", encoding="utf-8")
    write_truth(plan, truth)
    if recording.truth_fps > 0:
        write_sampled_truth(plan, truth, recording.truth_fps, *size)
    if recording.layouts:
        write_layouts(plan, member.number, out / "layouts", size)
