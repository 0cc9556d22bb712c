"""How long a video lies in ``incoming/`` of a platform that has nothing else to do until its run begins.

Promised: 30 s. ``python -m benchmarks.pick_up``

The platform is started by ``make up`` in a new home. Five videos are copied in, each when the run of the one before
has ended, so at any moment of the sensor's clock. Counted from the end of the copy; Dagster says when a run was
requested and when its process began.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.measure import Steal, machine, run, sample, scratch
from benchmarks.s3_uploads import padded
from commands.services.server import free_port

if TYPE_CHECKING:
    import dagster as dg

JOB = "process_video"
ROUNDS = 5
PROMISED_S = 30.0
PATIENCE_S = 600.0
LOOK_EVERY_S = 0.5


def ended_run(instance: dg.DagsterInstance, number: int) -> dg.RunRecord:
    """The newest run when there are that many and all are over.

    Raises:
        SystemExit: it did not come in time.
    """
    import dagster as dg

    wanted = dg.RunsFilter(job_name=JOB)
    deadline_s = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline_s:
        records = instance.get_run_records(wanted)
        if len(records) == number and all(record.dagster_run.is_finished for record in records):
            return records[0]
        time.sleep(LOOK_EVERY_S)
    raise SystemExit(f"video {number}: no run that ended within {PATIENCE_S:.0f} s")


def drop(video: bytes, incoming: Path, number: int) -> float:
    """Copy in a recording that the platform does not know; when the last byte was there, seconds since 1970."""
    padded(video, incoming / f"operation_{number:03}.mp4", len(video) + 16 * number)
    return time.time()


def measure(home: Path, video: bytes) -> list[float]:
    """Print each round; seconds from the copy to the beginning of the run."""
    import dagster as dg

    waited_s = []
    (home / "incoming").mkdir(exist_ok=True)
    with dg.DagsterInstance.from_config(str(home / "dagster")) as instance:
        for number in range(1, ROUNDS + 1):
            with Steal() as steal:
                dropped_s = drop(video, home / "incoming", number)
                record = ended_run(instance, number)
            requested_s = record.create_timestamp.timestamp() - dropped_s
            waited_s.append((record.start_time or float("inf")) - dropped_s)
            print(
                f"video {number}: run requested after {requested_s:.1f} s, begun after {waited_s[-1]:.1f} s "
                f"({record.dagster_run.status.value}), taken by other machines {steal.share:.0%}",
                flush=True,
            )
    return waited_s


def main() -> None:
    """Print every round, and whether the promise was kept."""
    print(f"from incoming/ to a run that has begun ({machine()})")
    with scratch() as folder:
        home = folder / "home"
        home.mkdir()
        video = sample(folder).read_bytes()
        run([sys.executable, "-m", "commands.up", "--port", str(free_port())], home)
        try:
            waited_s = measure(home, video)
        finally:
            run([sys.executable, "-m", "commands.down"], home)
    print(f"begun after {min(waited_s):.1f}–{max(waited_s):.1f} s, promise kept: {max(waited_s) <= PROMISED_S}")


if __name__ == "__main__":
    main()
