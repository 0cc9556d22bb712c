"""``make status``: whether the platform runs, and where.

Belongs here: one answer for people and, as exit code, for scripts. Does not belong here: progress of single videos.
"""

from __future__ import annotations

import sys

from commands.platform import living_servers, read_record
from commands.readiness import ask
from resources.errors import NeuroVisionError
from resources.settings import load_settings


def main() -> int:
    """Print one line; 0 means that the platform works, 1 that it does not."""
    try:
        record = read_record(load_settings())
    except NeuroVisionError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    if record is None:
        print("down")
        return 1
    answer = ask(record.url)
    gone = sorted(set(record.pids) - living_servers(record))
    if answer.ready and not gone:
        print(f"up: {record.url}")
        return 0
    print(f"not working: {', '.join([f'{name} has ended' for name in gone]) or answer}")
    return 1


if __name__ == "__main__":
    sys.exit(main())
