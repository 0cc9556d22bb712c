"""Work in a thread that nobody has to wait for.

Belongs here: starting it. Does not belong here: what the work is, and how long one waits (``step``).

A pool of the standard library waits for its threads when it is left, and again when the interpreter ends: one thread
that hangs in a library's C code would keep a cancelled run, and its process, for ever.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

T = TypeVar("T")


def begin(name: str, work: Callable[[], T]) -> Future[T]:
    """Start work in a daemon thread of that name; its result or its error comes in the future."""
    future: Future[T] = Future()

    def run() -> None:
        try:
            result = work()
        except BaseException as error:  # noqa: BLE001 - whoever asks for the result is told
            future.set_exception(error)
        else:
            future.set_result(result)

    threading.Thread(target=run, name=name, daemon=True).start()
    return future
