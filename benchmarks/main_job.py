"""How much ``make process`` takes beyond the stages' own computation, and how fast a second run is.

Promised: at most 4 s more than the stages; a second run at most 5 s. ``python -m benchmarks.main_job``
"""

from __future__ import annotations

from pathlib import Path

from benchmarks.measure import Run, machine, process, sample, scratch
from neurovision_assets.artifacts import ArtifactReader
from neurovision_assets.surgery.pipeline import SURGERY
from resources.object_store import ObjectStore

RUNS = 3


def stages_s(home: Path, done: Run) -> dict[str, float]:
    """Seconds of computation by stage, as the records tell."""
    [line] = [line for line in done.out.splitlines() if line.startswith("video_id: ")]
    reader = ArtifactReader(ObjectStore(url=home.as_uri()))
    video_id = line.removeprefix("video_id: ")
    return {
        stage.name: reader.required_record(stage.asset, video_id).provenance.duration_ms / 1000
        for stage in SURGERY.stages
    }


def main() -> None:
    """Print a table: each run, its overhead, its repetition."""
    print(f"main job, a 1-minute video 640×480 at 25 fps ({machine()})")
    with scratch() as folder:
        video = sample(folder)
        for number in range(RUNS):
            home = folder / f"home{number}"
            home.mkdir()
            first = process(video, home)
            spent = stages_s(home, first)
            second = process(video, home)
            own = sum(spent.values())
            print(
                f"run {number + 1}: {first.wall_s:.1f} s, stages {own:.1f} s, beyond them {first.wall_s - own:.1f} s; "
                f"second run {second.wall_s:.1f} s; peak {first.peak_bytes / 1e6:.0f} MB"
            )
            print("  " + ", ".join(f"{name} {seconds:.1f}" for name, seconds in spent.items()))


if __name__ == "__main__":
    main()
