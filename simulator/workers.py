"""Pictures of an operation in order, rendered by several processes.

Belongs here: handing times out and bringing pictures back in order, in bounded memory. Does not belong here: pictures
(`render`), files (`video`). Every picture depends on plan and time alone, so the number of processes changes nothing.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import contextmanager

import cv2

from simulator.operation import OperationPlan
from simulator.render import render_frame
from simulator.view import Picture

WAITING_A_PROCESS = 8
"""Pictures that may wait for the encoder, for each process."""
STOPS = (signal.SIGINT, signal.SIGTERM)


def pictures(
    plan: OperationPlan,
    times_ms: Iterable[float],
    width: int,
    height: int,
    processes: int,
    faces: tuple[Picture, ...] = (),
) -> Iterator[Picture]:
    """Render pictures.

    Args:
        plan: the operation.
        times_ms: when.
        width: of each picture.
        height: of each picture.
        processes: how many render; 1 renders in this one.
        faces: as `render_frame` takes them.

    Yields:
        uint8 [height, width, 3], RGB, in the order of `times_ms`.
    """
    if processes <= 1:
        yield from (_picture(plan, time_ms, width, height, faces) for time_ms in times_ms)
        return
    waiting: deque[Future[Picture]] = deque()
    pool = renderers(processes)
    try:
        for time_ms in times_ms:
            waiting.append(pool.submit(_picture, plan, time_ms, width, height, faces))
            if len(waiting) > WAITING_A_PROCESS * processes:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)


def renderers(processes: int) -> ProcessPoolExecutor:
    """Processes with a core each, which end with this one, however it ends.

    They are started anew: a fork of a process with threads may wait for ever for a lock that one of them held.
    """
    pool = ProcessPoolExecutor(processes, mp_context=multiprocessing.get_context("spawn"), initializer=_begin)
    with _stops_held_back():
        for _ in range(processes):
            pool.submit(int)  # starts one, as none is idle yet
    return pool


@contextmanager
def _stops_held_back() -> Iterator[None]:
    """Take Ctrl-C and SIGTERM after what is done here: a process that was half started would tell of it at length.

    Those that are started here never get Ctrl-C, which reaches all processes of a terminal: this one decides.
    """
    if threading.current_thread() is not threading.main_thread():
        yield  # signals are the main thread's
        return
    came: list[int] = []
    handlers = {number: signal.signal(number, lambda what, _: came.append(what)) for number in STOPS}
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
        signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
    for what in came:
        signal.raise_signal(what)


def _begin() -> None:
    cv2.setNumThreads(1)
    threading.Thread(target=_end_with_parent, name="parent", daemon=True).start()


def _end_with_parent() -> None:
    """A killed parent tells nobody, and the pool's processes would wait for more work."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _picture(plan: OperationPlan, time_ms: float, width: int, height: int, faces: tuple[Picture, ...]) -> Picture:
    return render_frame(plan, time_ms, width, height, faces).image
