"""``python -m commands.trial``: does this deployment turn an upload into a report?

Belongs here: an upload as a hospital makes it, into ``incoming/`` of the deployment's object store, and the wait for
what comes of it. Does not belong here: the work itself; nothing here starts a run.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from commands.process import sample_video
from resources.errors import NeuroVisionError, PermanentFailure, TransientFailure
from resources.object_store import ObjectStore
from resources.settings import Settings, load_settings

POLL_S = 2.0
WAIT_S = 900.0
REPORTS, PAGE = "surgery/report", ".html"
REJECTED = "rejected"


def main(arguments: Sequence[str] | None = None) -> int:
    """Try it; 0 when there is a report."""
    parser = argparse.ArgumentParser(prog="commands.trial", description="Upload a sample and wait for its report.")
    parser.add_argument("video", nargs="?", type=Path, help="the video; a simulated operation without it")
    parser.add_argument(
        "--wait", type=float, default=WAIT_S, metavar="SECONDS", help="longest wait (default %(default)s)"
    )
    options = parser.parse_args(arguments)
    started_s = time.monotonic()
    try:
        settings = load_settings()
        video = options.video or sample_video(settings, Console(highlight=False))
        report = try_upload(settings, video, f"operation_{time.time_ns() // 1_000_000}", options.wait)
    except NeuroVisionError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(f"report: {report} (after {time.monotonic() - started_s:.0f} s)")
    return 0


def try_upload(settings: Settings, video: Path, label: str, wait_s: float) -> str:
    """Key of the report that an upload became.

    Args:
        settings: of the deployment.
        video: a local file.
        label: of the operation; the upload's name too.
        wait_s: longest wait.

    Raises:
        PermanentFailure: the upload was refused; the reason is part of the text.
        TransientFailure: there was no report in time.
    """
    store = ObjectStore.of(settings)
    store.check()
    sidecar = {"operation_id": label, "operation_type": "cholecystectomy", "priority": "high"}
    store.write_bytes(f"incoming/{label}.json", json.dumps(sidecar).encode())
    store.write_file(f"incoming/{label}{video.suffix}", video)
    deadline_s = time.monotonic() + wait_s
    while time.monotonic() < deadline_s:
        for found in store.list_folder(REPORTS):  # beside pages lie other formats, and why there is none
            if label in found.key and found.key.endswith(PAGE):
                return found.key
        for found in store.list_folder(REJECTED):
            if label in found.key and found.key.endswith(".reason.txt"):
                reason = store.read_bytes(found.key).decode().strip()
                raise PermanentFailure("It was refused.", subject=label, remedy=reason)
        time.sleep(POLL_S)
    raise TransientFailure(
        f"There was no report after {wait_s:.0f} s.", subject=label, remedy="Look at its run in the Dagster UI."
    )


if __name__ == "__main__":
    sys.exit(main())
