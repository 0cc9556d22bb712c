"""``make requests``: what was asked for, and what came of it.

Belongs here: showing requests. Does not belong here: writing them (``reprocess``, ``plans``).
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from neurovision_assets.reprocessing.outcomes import counts_of
from neurovision_assets.reprocessing.requests import items_of, load_request, newest_requests
from resources.database.engine import Database
from resources.errors import NeuroVisionError
from resources.settings import load_settings

SHOWN = 20
WIDE = 200


def main(arguments: Sequence[str] | None = None) -> int:
    """List the newest requests, or every video of one.

    Returns:
        0; 1 where there is no such request.
    """
    parser = argparse.ArgumentParser(prog="make requests", description="Requests to compute again and their outcomes.")
    parser.add_argument("request_id", nargs="?", help="one of them, video by video")
    chosen = parser.parse_args(arguments)
    console = Console(highlight=False, width=None if sys.stdout.isatty() else WIDE)
    try:
        database = Database.of(load_settings())
        console.print(one_request(database, chosen.request_id) if chosen.request_id else all_requests(database))
    except NeuroVisionError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def all_requests(database: Database) -> Table:
    """A line a request, the newest first."""
    table = Table("id", "asked at", "by", "reason", "stages", "videos", "outcome", title=f"the newest {SHOWN} requests")
    for request in newest_requests(database, SHOWN):
        counts = counts_of(database, request.id)
        outcome = f"{request.state}: {request.explanation}" if request.explanation else request.state
        table.add_row(
            request.id,
            f"{request.created_at:%Y-%m-%d %H:%M:%S}",
            request.requester,
            request.reason,
            ", ".join(request.stages) or "all",
            ", ".join(f"{count} {state}" for state, count in sorted(counts.items())),
            outcome,
        )
    return table


def one_request(database: Database, request_id: str) -> Table:
    """A line a video.

    Raises:
        PermanentFailure: there is no such request.
    """
    request = load_request(database, request_id)
    table = Table("video", "state", "run", "explanation", title=f"request {request.id}: {request.state}")
    for item in items_of(database, request.id):
        table.add_row(item.video_id, item.state, item.run_id or "", item.explanation or "")
    return table


if __name__ == "__main__":
    sys.exit(main())
