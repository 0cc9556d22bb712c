"""How much ``make process`` takes beyond the stages' own computation, and how fast a second run is.

Promised: at most 4 s more than the stages; a second run at most 5 s. ``python -m benchmarks.main_job``

Stages that compute side by side are counted once: what is compared is the time in which at least one computed.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from benchmarks.measure import Steal, covered_s, machine, process, sample, scratch, stage_spans

RUNS = 3


def another_video(video: Path) -> Path:
    """Other bytes, the same pictures: a video that the home does not know yet."""
    other = video.with_name("operation_002.mp4")
    shutil.copy(video, other)
    with other.open("ab") as stream:
        stream.write(b"\0\0\0\x0cfree\0\0\0\0")  # an empty box at the end, allowed by ISO/IEC 14496-12
    return other


def tell(name: str, video: Path, home: Path) -> None:
    """One run, and what of it was not the stages' own."""
    with Steal() as steal:
        done = process(video, home)
    spans = stage_spans(home, done)
    own_s = covered_s(spans.values())
    print(
        f"{name}: {done.wall_s:.1f} s, stages {own_s:.1f} s, beyond them {done.wall_s - own_s:.1f} s, "
        f"peak {done.peak_bytes / 1e6:.0f} MB, taken by other machines {steal.share:.0%}"
    )
    print("  " + ", ".join(f"{stage} {end_s - start_s:.1f}" for stage, (start_s, end_s) in spans.items()))


def main() -> None:
    """Print for each run: its overhead in a new home and in one that is in use, and its repetition."""
    print(f"main job, a 1-minute video 640×480 at 25 fps ({machine()})")
    with scratch() as folder:
        video = sample(folder)
        other = another_video(video)
        for number in range(RUNS):
            home = folder / f"home{number}"
            home.mkdir()
            tell("new home ", video, home)
            tell("used home", other, home)
            with Steal() as steal:
                second = process(video, home)
            print(f"second run {second.wall_s:.1f} s, taken by other machines {steal.share:.0%}")


if __name__ == "__main__":
    main()
