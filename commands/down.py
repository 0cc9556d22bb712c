"""``make down``: stop all that ``make up`` started, and nothing else.

Belongs here: what is said about it. Does not belong here: finding and stopping processes (``platform``).
"""

from __future__ import annotations

import sys

from commands.platform import processes_of, read_record, record_path, stop
from resources.errors import NeuroVisionError
from resources.settings import Settings, load_settings


def main() -> int:
    """Stop the platform of this data home; that nothing runs is no error, that something goes on running is."""
    try:
        return down(load_settings())
    except NeuroVisionError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1


def down(settings: Settings) -> int:
    """Stop servers, code servers and run workers; the exit code says whether all are gone."""
    record = read_record(settings)
    if record is None:
        print("nothing to stop: the platform is not up")
        return 0
    servers = ", ".join(record.pids) or "no server"
    count = stop(record)
    left = processes_of(record)
    if left:
        print(f"error: still alive: {', '.join(str(process.pid) for process in left)}", file=sys.stderr)
        return 1
    record_path(settings).unlink(missing_ok=True)
    if count:
        print(f"stopped {count} processes ({servers} and what they had started) of {record.url}")
    else:
        print("nothing to stop: the platform had ended by itself")
    return 0


if __name__ == "__main__":
    sys.exit(main())
