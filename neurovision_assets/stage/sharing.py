"""One stream read by several stages that work side by side.

Belongs here: that what costs (decoding stored pictures) is done once for all who read it, and that memory stays flat.
Does not belong here: what is in the stream, and which stages work side by side (``step``).

Readers go in step: the fastest waits when it is ``AHEAD`` items before the slowest. Whoever comes first waits a moment
for the others; who comes later than that, or reads a second time, has a stream of its own.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Generic, TypeVar

T = TypeVar("T")

AHEAD = 2
"""Items that wait for the slowest reader."""
JOIN_WAIT_S = 5.0
"""A stage that waits for somebody else's lock must not hold the others up."""


class Stopped(BaseException):
    """The run was cancelled while a stage was reading: nobody's fault, so no stage takes it for a failure."""


class Sharing:
    """Who reads together.

    Args:
        parties: names of the stages that start at the same time; with fewer than two nothing is shared.
    """

    def __init__(self, parties: Iterable[str] = ()) -> None:
        self._absent = set(parties)
        self._is_shared = len(self._absent) > 1
        self._changed = threading.Condition()
        self._streams: dict[str, _SharedStream[Any]] = {}
        self._is_stopped = False

    def read(self, party: str, key: str, make: Callable[[], Iterator[T]]) -> Iterator[T]:
        """The stream of that key, made once for all who come in time.

        Raises:
            Stopped: while iterating, after :meth:`stop`.
        """
        stream = self._join(party, key, make)
        yield from make() if stream is None else stream.read(party)

    def leave(self, party: str) -> None:
        """The stage has ended; nobody waits for it any more."""
        with self._changed:
            self._absent.discard(party)
            streams = list(self._streams.values())
            self._changed.notify_all()
        for stream in streams:
            stream.leave(party)

    def stop(self) -> None:
        """End every reader at its next item."""
        with self._changed:
            self._is_stopped = True
            streams = list(self._streams.values())
            self._changed.notify_all()
        for stream in streams:
            stream.stop()

    def check(self) -> None:
        """Ask before something new is begun.

        Raises:
            Stopped: after :meth:`stop`.
        """
        if self._is_stopped:
            raise Stopped("The run was cancelled.")

    def _join(self, party: str, key: str, make: Callable[[], Iterator[T]]) -> _SharedStream[T] | None:
        """The shared stream, None for a reader who has to read alone."""
        if not self._is_shared:
            return None
        with self._changed:
            if party not in self._absent:
                return None
            self._absent.discard(party)
            stream = self._streams.setdefault(key, _SharedStream(make))
            if not stream.join(party):
                return None
            self._changed.notify_all()
            deadline_s = time.monotonic() + JOIN_WAIT_S
            while self._absent and not self._is_stopped and (left_s := deadline_s - time.monotonic()) > 0:
                self._changed.wait(left_s)
        return stream


class _SharedStream(Generic[T]):
    """A source, what of it is still to be read by somebody, and how far each reader is."""

    def __init__(self, make: Callable[[], Iterator[T]]) -> None:
        self._source = make()
        self._changed = threading.Condition()
        self._positions: dict[str, int] = {}
        self._waiting: deque[T] = deque()
        self._first = 0
        self._is_being_read = False
        self._end: BaseException | None = None

    def join(self, party: str) -> bool:
        """Take part from the first item on; False where that is over."""
        with self._changed:
            if self._first or self._waiting or self._is_being_read or self._end:
                return False
            self._positions[party] = 0
            return True

    def leave(self, party: str) -> None:
        with self._changed:
            self._positions.pop(party, None)
            self._forget()

    def stop(self) -> None:
        with self._changed:
            self._end = Stopped("The run was cancelled.")
            self._waiting.clear()
            self._changed.notify_all()

    def read(self, party: str) -> Iterator[T]:
        try:
            while True:
                try:
                    item = self._next(party)
                except StopIteration:
                    return
                yield item
        finally:
            self.leave(party)

    def _next(self, party: str) -> T:
        with self._changed:
            position = self._positions[party]
            while position == self._first + len(self._waiting) and self._end is None:
                if self._is_being_read or len(self._waiting) >= AHEAD:
                    self._changed.wait()
                else:
                    self._take()
            place = position - self._first
            if place >= len(self._waiting):
                raise self._end or StopIteration
            item = self._waiting[place]
            self._positions[party] = position + 1
            self._forget()
            return item

    def _take(self) -> None:
        """Read the next item of the source; the others go on reading what is there."""
        self._is_being_read = True
        self._changed.release()
        try:
            item, end = next(self._source), None
        except BaseException as error:  # noqa: BLE001 - every reader is told, in its own thread
            item, end = None, error
        finally:
            self._changed.acquire()
        self._is_being_read = False
        if self._end is None:
            self._end = end
            if end is None:
                self._waiting.append(item)  # type: ignore[arg-type] # an item, where the source has not ended
        self._changed.notify_all()

    def _forget(self) -> None:
        """Let go of what all have read."""
        slowest = min(self._positions.values(), default=self._first + len(self._waiting))
        while self._waiting and self._first < slowest:
            self._waiting.popleft()
            self._first += 1
        self._changed.notify_all()
