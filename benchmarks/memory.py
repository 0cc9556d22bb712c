"""Whether memory depends on a video's length.

Promised: below 1.5 GB for 2 and for 60 minutes, and at most 20 KB more for each further stored frame.
``python -m benchmarks.memory``
"""

from __future__ import annotations

from benchmarks.measure import machine, process, repeated, sample, scratch

MINUTES = (2, 60)
FRAMES_A_MINUTE = 120


def main() -> None:
    """Print peak memory of both lengths and the growth between them."""
    print(f"memory of the main job, 640×480 at 25 fps, repeated by stream copy ({machine()})")
    peaks = {}
    with scratch() as folder:
        one = sample(folder)
        for minutes in MINUTES:
            home = folder / f"home{minutes}"
            home.mkdir()
            video = repeated(one, folder / f"operation_{minutes:03}.mp4", minutes)
            done = process(video, home)
            peaks[minutes] = done.peak_bytes
            print(f"{minutes} minutes: peak {done.peak_bytes / 1e6:.0f} MB, {done.wall_s:.0f} s")
    short, long = MINUTES
    growth = (peaks[long] - peaks[short]) / ((long - short) * FRAMES_A_MINUTE)
    print(f"growth: {growth / 1e3:.1f} KB a stored frame")


if __name__ == "__main__":
    main()
