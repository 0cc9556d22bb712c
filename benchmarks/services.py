"""What a backfill makes of a server that is killed, frozen, emptied, slowed, refuses credentials or has a full disk.

Promised: every video ends right, or fails with a clear reason and is picked up when the server is back; nothing is
written twice. ``python -m benchmarks.services [--servers postgresql …] [--faults kill …] [--videos 20]``

One server after another, each in a scene of its own, which goes on to the next fault when it has got over the last.
The fault begins when a quarter of the reports are there, and ends after `FAULT_S`. A store that was emptied has lost
the uploads: they are sent again once nothing runs any more, as the hospital would be asked to.
"""

from __future__ import annotations

import argparse
import signal
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.faults import FAULTS, NOT_APPLICABLE
from benchmarks.measure import Steal, machine
from benchmarks.scene import SERVERS, Scene, scene
from benchmarks.watch import Watch, without_names

VIDEOS = 20
FAULT_S = 30.0
PATIENCE_S = 420.0
POLL_S = 4.0
QUIET_S = 45.0
"""So long no run is asked for: a sensor looks every few seconds, the one for uploads at the latest after 30."""
FIRST_NUMBER = 100
ENDED = {"SUCCESS", "FAILURE", "CANCELED"}


@dataclass(frozen=True)
class Asked:
    """What was asked of each pair.

    Attributes:
        videos: that are uploaded.
        fault_s: how long the fault lasts.
        patience_s: how long is waited for what should come.
    """

    videos: int
    fault_s: float
    patience_s: float

    def wait_for(self, is_so: Callable[[], bool]) -> None:
        """Until it is so, or patience ends: then the row shows what is missing."""
        deadline_s = time.monotonic() + self.patience_s
        while time.monotonic() < deadline_s and not is_so():
            time.sleep(POLL_S)


@dataclass
class Row:
    """What came of one pair.

    Attributes:
        server: that suffered.
        fault: what it suffered.
        videos: that were uploaded.
        reports: that there are in the end, in the store and as far as Dagster knows.
        again: videos that had to be uploaded again.
        failed: runs that ended so.
        took_s: from the uploads to the end of all runs.
        after_s: of these, from the end of the fault.
        twice: results that were written twice.
        doctor: what `make doctor` said in the middle of the fault.
        reasons: what was told of videos and runs that failed, and how often.
    """

    server: str
    fault: str
    videos: int
    reports: int = 0
    again: int = 0
    failed: int = 0
    took_s: float = 0.0
    after_s: float = 0.0
    twice: int = 0
    doctor: list[str] = field(default_factory=list)
    reasons: dict[str, int] = field(default_factory=dict)

    @property
    def is_over(self) -> bool:
        """Whether all got over it."""
        return self.reports == self.videos

    def told(self) -> str:
        """A line of the table, and what was said below it."""
        again = f" ({self.again} sent again)" if self.again else ""
        figures = (f"{self.reports} of {self.videos}{again}", self.failed, round(self.took_s), round(self.after_s))
        lines = [f"| {self.server} | {self.fault} | {' | '.join(map(str, figures))} | {self.twice} |"]
        lines += [f"    doctor: {line}" for line in self.doctor]
        lines += [f"    {count} × {reason}" for reason, count in self.reasons.items()]
        return "\n".join(lines)


def main() -> None:
    """Try the pairs that were named, all of them without a name."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.services")
    parser.add_argument("--servers", nargs="+", choices=SERVERS, default=SERVERS)
    parser.add_argument("--faults", nargs="+", choices=FAULTS, default=[name for name in FAULTS if name != "none"])
    parser.add_argument("--videos", type=int, default=VIDEOS)
    parser.add_argument("--fault-s", type=float, default=FAULT_S, help="how long each fault lasts")
    parser.add_argument("--patience-s", type=float, default=PATIENCE_S, help="how long is waited for what should come")
    parser.add_argument("--logs", type=Path, help="folder where the platform's logs are kept")
    chosen = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended"))  # and nothing of it is left behind
    faults = [name for name in FAULTS if name in chosen.faults]
    print("| server | fault | reports | failed runs | s | s after the fault | written twice |", flush=True)
    with Steal() as steal:
        for server in chosen.servers:
            one_server(server, faults, Asked(chosen.videos, chosen.fault_s, chosen.patience_s), chosen.logs)
    print(f"{machine()}; taken by other machines: {steal.share:.0%}")


def one_server(server: str, faults: Sequence[str], asked: Asked, logs: Path | None) -> None:
    """Its rows; a scene that did not get over a fault is not used for the next."""
    with ExitStack() as exits:
        here: Scene | None = None
        for number, fault in enumerate(faults):
            if why := NOT_APPLICABLE.get((server, fault)):
                print(f"| {server} | {fault} | does not apply: {why} |", flush=True)
                continue
            here = here or exits.enter_context(scene(server, logs))
            first = FIRST_NUMBER * (number + 1)
            row = pair(here, fault, range(first, first + asked.videos), asked)
            print(row.told(), flush=True)
            if not row.is_over:
                exits.close()
                here = None


def pair(here: Scene, fault: str, numbers: range, asked: Asked) -> Row:
    """One fault in the middle of one backfill."""
    row = Row(here.victim.name, fault, len(numbers))
    before = set(here.runs() or {})
    with Watch(here.store) as watch:

        def reports() -> set[int]:
            there = watch.reported() & here.told_reports()
            return {int(video.partition("-")[0].partition("_")[2]) for video in there} & set(numbers)

        started_s = time.monotonic()
        here.upload(numbers)
        asked.wait_for(lambda: len(reports()) >= max(1, len(numbers) // 4))
        end = FAULTS[fault](here)
        begun_s = time.monotonic()
        row.doctor = here.doctor() if fault != "none" else []
        time.sleep(max(0.0, asked.fault_s - (time.monotonic() - begun_s)))
        end()
        ended_s = time.monotonic()
        if fault == "empty" and here.victim is here.stack.store:
            asked.wait_for(Quiet(here))
            lost = sorted(set(numbers) - reports())
            row.again = len(lost)
            here.upload(lost)
        asked.wait_for(lambda: len(reports()) == len(numbers) and is_idle(here))
        row.took_s, row.after_s = time.monotonic() - started_s, time.monotonic() - ended_s
        row.reports = len(reports())
    failed = [run for run, status in (here.runs() or {}).items() if status == "FAILURE" and run not in before]
    row.failed, row.twice = len(failed), sum(watch.twice.values())
    row.reasons = dict(watch.reasons)
    for reason in map(without_names, here.reasons_of(failed)):
        row.reasons[f"run: {reason}"] = row.reasons.get(f"run: {reason}", 0) + 1
    return row


def is_idle(here: Scene) -> bool:
    """Whether every run has ended; a database that does not answer says nothing."""
    runs = here.runs()
    return runs is not None and set(runs.values()) <= ENDED


class Quiet:
    """Whether nothing has run for a while.

    Args:
        here: the scene.
    """

    def __init__(self, here: Scene) -> None:
        self._here = here
        self._busy_s = time.monotonic()

    def __call__(self) -> bool:
        """One look."""
        if not is_idle(self._here):
            self._busy_s = time.monotonic()
        return time.monotonic() - self._busy_s >= QUIET_S


if __name__ == "__main__":
    main()
