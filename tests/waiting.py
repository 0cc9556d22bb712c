"""Waiting for what another process or thread does.

Belongs here: how long, and in what steps. Does not belong here: what a single test waits for.
"""

import time
from collections.abc import Callable
from typing import TypeVar

Found = TypeVar("Found")

PATIENCE_S = 300.0
"""For what takes seconds: passing does not wait for it, and a busy machine that is ten times slower fails nothing."""
LOOK_EVERY_S = 0.5


def wait_for(what: str, look: Callable[[], Found], limit_s: float = PATIENCE_S) -> Found:
    """What `look` finds as soon as it is something true.

    Args:
        what: said when it does not come.
        look: asked again and again.
        limit_s: until then.
    """
    until_s = time.monotonic() + limit_s
    while not (found := look()):
        assert time.monotonic() < until_s, f"{what} did not come within {limit_s:.0f} s"
        time.sleep(LOOK_EVERY_S)
    return found
