"""``make down-services``: stop the platform on this machine's servers, then the servers.

Belongs here: the order of a stop and what is said about it. Does not belong here: finding and stopping processes
(``platform``). Data, settings and secrets stay for the next start.
"""

from __future__ import annotations

import sys

from commands.platform import processes_of, stop
from commands.up_services import RECORD_FILE, read_servers, run_with, stack_of
from resources.errors import NeuroVisionError
from resources.settings import load_settings


def main() -> int:
    """Stop what `make up-services` started; the exit code says whether all of it is gone."""
    try:
        stack = stack_of(load_settings())
    except NeuroVisionError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    record = read_servers(stack)
    if record is None:
        print("nothing to stop: the servers are not up")
        return 0
    run_with(stack, "down")
    count = stop(record)
    left = processes_of(record)
    if left:
        print(f"error: still alive: {', '.join(str(process.pid) for process in left)}", file=sys.stderr)
        return 1
    for server in stack.servers:  # what a killed one leaves in shared memory and temporary folders
        server.kill()
    (stack.folder / RECORD_FILE).unlink(missing_ok=True)
    print(f"stopped {count} processes ({', '.join(record.pids)} and what they had started)")
    return 0


if __name__ == "__main__":
    sys.exit(main())
