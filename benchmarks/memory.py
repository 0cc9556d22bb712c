"""Whether memory depends on a video's length, and whether time grows with it and no faster.

Promised: below 1.5 GB for 2 and for 60 minutes, at most 20 KB more for each further stored frame; time a minute of
video within 10 % from 2 to 10 to 60 minutes.
``python -m benchmarks.memory``
"""

from __future__ import annotations

from benchmarks.measure import Steal, covered_s, machine, process, repeated, sample, scratch, stage_spans

MINUTES = (2, 10, 60)
FRAMES_A_MINUTE = 120


def main() -> None:
    """Print peak memory and time of each length, stage by stage, and how both grow."""
    print(f"memory of the main job, 640×480 at 25 fps, repeated by stream copy ({machine()})")
    peaks: dict[int, int] = {}
    walls_s: dict[int, float] = {}
    with scratch() as folder:
        one = sample(folder)
        for minutes in MINUTES:
            home = folder / f"home{minutes}"
            home.mkdir()
            video = repeated(one, folder / f"operation_{minutes:03}.mp4", minutes)
            with Steal() as steal:
                done = process(video, home)
            peaks[minutes], walls_s[minutes] = done.peak_bytes, done.wall_s
            print(
                f"{minutes} minutes: peak {done.peak_bytes / 1e6:.0f} MB, {done.wall_s:.0f} s, "
                f"taken by other machines {steal.share:.0%}"
            )
            spans = stage_spans(home, done)
            told = ", ".join(f"{name} {covered_s([span]) / minutes:.2f}" for name, span in spans.items())
            print(f"  s a minute, some side by side: {told}", flush=True)
    short, middle, long = MINUTES
    growth = (peaks[long] - peaks[short]) / ((long - short) * FRAMES_A_MINUTE)
    print(f"growth: {growth / 1e3:.1f} KB a stored frame")
    slope_s = (walls_s[middle] - walls_s[short]) / (middle - short)
    later_s = (walls_s[long] - walls_s[middle]) / (long - middle)
    ratio = later_s / slope_s
    print(f"a further minute: {slope_s:.1f} s up to {middle} minutes, {later_s:.1f} s after, {ratio:.2f} times")


if __name__ == "__main__":
    main()
