"""How long the report of a two-hour operation takes, and how large its page is.

Promised: under 10 s, HTML under 15 MB. ``python -m benchmarks.report``
"""

from __future__ import annotations

from benchmarks.measure import Steal, covered_s, machine, process, repeated, sample, scratch, stage_spans

MINUTES = 120
MEGABYTE = 1e6


def main() -> None:
    """Run the main job on two hours and look at its last stage."""
    print(f"report of a {MINUTES}-minute operation ({machine()})")
    with scratch() as folder:
        home = folder / "home"
        home.mkdir()
        video = repeated(sample(folder), folder / "operation_120.mp4", MINUTES)
        with Steal() as steal:
            done = process(video, home)
        spans = stage_spans(home, done)
        [page] = (home / "surgery" / "report").glob("*.html")
        print(
            f"report {covered_s([spans['report']]):.1f} s, HTML {page.stat().st_size / MEGABYTE:.1f} MB, "
            f"of {done.wall_s:.0f} s in all, peak {done.peak_bytes / MEGABYTE:.0f} MB, "
            f"taken by other machines {steal.share:.0%}"
        )


if __name__ == "__main__":
    main()
