"""``make reprocess VIDEO_ID=… REASON=…``: ask to have videos computed again, on a person's word.

Belongs here: reading the request, waiting for its outcome. Does not belong here: runs; the platform's sensor
starts them.
"""

from __future__ import annotations

import argparse
import getpass
import sys
import time
from collections.abc import Sequence

from commands.platform import living_servers, read_record
from neurovision_assets.reprocessing.asking import require_known
from neurovision_assets.reprocessing.requests import Request, State, load_request, submit
from neurovision_assets.surgery.pipeline import SURGERY
from resources.database.engine import Database
from resources.errors import NeuroVisionError
from resources.object_store import ObjectStore
from resources.settings import Settings, load_settings

POLL_S = 1.0
EXIT_CODES = {State.DONE: 0, State.NOTHING_TO_DO: 0, State.FAILED: 1, State.REFUSED: 2}
STILL_OPEN = 3


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the request and say its id; with ``--wait``, wait for its outcome.

    Returns:
        Without ``--wait`` 0, or 2 where no request could be written. With it: 0 done or nothing to do, 1 failed,
        2 refused, 3 while the platform is not up.
    """
    parser = argparse.ArgumentParser(prog="make reprocess", description="Have videos computed again.")
    parser.add_argument("video_ids", nargs="*", help="operation_001-1f3a9c2b and others, with spaces or commas between")
    parser.add_argument("--reason", default="", help="why, in one line; it must not name a patient")
    parser.add_argument("--stages", default="", help="stages with commas between; all without any")
    parser.add_argument("--requester", default="", help="who asks; the user of this machine without it")
    parser.add_argument("--only-stale", action="store_true", help="leave what is up to date as it is")
    parser.add_argument("--priority", type=int, default=0, help="0-99, greater first among requests")
    parser.add_argument("--wait", action="store_true", help="wait for the outcome")
    chosen = parser.parse_args(arguments)
    try:
        settings = load_settings()
        database = Database.of(settings)
        video_ids, stages = split(" ".join(chosen.video_ids)), split(chosen.stages)
        require_known(SURGERY, ObjectStore.of(settings), video_ids, stages)
        request_id = submit(
            database,
            video_ids=video_ids,
            requester=chosen.requester or getpass.getuser(),
            reason=chosen.reason,
            stages=stages,
            only_stale=chosen.only_stale,
            priority=chosen.priority,
        )
        print(f"request: {request_id}")
        is_up = is_platform_up(settings)
        if not is_up:
            print("The platform is not up; the request waits for make up.")
        if not chosen.wait:
            return 0
        return STILL_OPEN if not is_up else tell(wait_for(database, request_id))
    except NeuroVisionError as error:
        print(f"error: {error}", file=sys.stderr)
        return EXIT_CODES[State.REFUSED]


def split(text: str) -> list[str]:
    """Words with spaces or commas between."""
    return text.replace(",", " ").split()


def is_platform_up(settings: Settings) -> bool:
    """Whether a daemon runs that will see the request."""
    record = read_record(settings)
    return record is not None and "daemon" in living_servers(record)


def wait_for(database: Database, request_id: str) -> Request:
    """The request with its outcome."""
    while not (request := load_request(database, request_id)).has_ended:
        time.sleep(POLL_S)
    return request


def tell(request: Request) -> int:
    """Print an outcome and give its exit code."""
    print(f"{request.state}: {request.explanation or ''}")
    return EXIT_CODES[request.state]


if __name__ == "__main__":
    sys.exit(main())
