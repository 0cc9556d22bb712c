"""Which coded pictures must be decoded, told from times and headers before anything is decoded.

Belongs here: the choice on packets, its slack of one picture. Does not belong here: reading headers (`coded.py`),
decoding, the choice among decoded pictures (`sampling.py`, which meets fewer of them).

For each grid instant the nearest picture is wanted, as `sampling.py` says. Where that one is disposable and the
nearest of the instant's others stands directly beside it, that one is wanted instead: it is decoded anyhow. What must
be decoded are the wanted pictures and all that they may be predicted from. Left out are disposable pictures that
nobody wants, and what lies between a wanted picture and the next restart.

The answer depends on the packets alone, so it is the same on every machine. It is known when a picture of the next
instant was read; the packets that wait are bounded in bytes.
"""

from __future__ import annotations

import heapq
import sys
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import count
from typing import TYPE_CHECKING, Final

from neurovision_assets.surgery.frames.clock import FrameClock
from neurovision_assets.surgery.frames.coded import Coded, Reader
from neurovision_assets.surgery.frames.sampling import GridSampler, Timed

if TYPE_CHECKING:
    from av.packet import Packet
    from av.video.stream import VideoStream

MAX_WAITING_BYTES = 16 << 20
"""Twenty seconds of full HD at 6 Mbit/s, three of 4K at 40: longer than instants of the usual rates wait."""

MAX_STEP_INTERVALS = 1.5
"""Directly beside is at most this many usual intervals away: after a pause the next picture shows something else."""


CHANGED_HEADERS: Final = "new_extradata"
"""FFmpeg's name of headers that come beside a packet, where a file changes them in the middle."""


@dataclass(frozen=True)
class Grid:
    """Where pictures of a file are wanted.

    Attributes:
        fps: grid instants a second.
        start_us: where the file begins on the recording's clock.
        interval_us: the usual time between two of its pictures.
    """

    fps: float
    start_us: int
    interval_us: int


@dataclass(eq=False, slots=True)
class _Waiting:
    """What is known of a packet; the packet itself is kept apart, as it may have to go before this does."""

    coded: Coded
    may_go: bool
    is_decided: bool
    is_wanted: bool = False
    time_us: int = 0


Verdict = tuple["Packet[VideoStream]", bool]
"""A packet, and whether it must be decoded."""


class Need:
    """Decides on packets; add them in the file's order, then finish.

    Args:
        reader: tells what a packet's picture is to others.
        grid: where pictures are wanted.
        time_base: seconds a tick of the packets' times.
        reorders: whether the decoder must reorder pictures for display.
    """

    def __init__(self, reader: Reader, grid: Grid, time_base: Fraction, *, reorders: bool) -> None:
        self._reader = reader
        self._reorders = reorders
        self._clock = FrameClock(time_base, grid.interval_us, start_us=grid.start_us)
        self._max_step_us = MAX_STEP_INTERVALS * grid.interval_us
        self._sampler: GridSampler[_Waiting] = GridSampler(grid.fps)
        self._is_certain = True
        self._last_dts = -sys.maxsize
        self._latest_pts = -sys.maxsize
        self._last_shown_pts = -sys.maxsize
        self._order = count()
        self._unordered: list[tuple[int, int, _Waiting]] = []
        self._of_instant: list[_Waiting] = []
        self._undecided: deque[tuple[Packet[VideoStream], _Waiting]] = deque()
        self._held: list[tuple[Packet[VideoStream], bool]] = []
        self._waiting_bytes = 0

    def add(self, packet: Packet[VideoStream]) -> Iterator[Verdict]:
        """Take the next packet; gives out all whose need is known, in the file's order.

        The first packet without a clear header or time ends all choice: it and what follows is decoded.
        """
        coded = self._coded(packet) if self._is_certain else None
        if coded is None:
            self._is_certain = False
            yield from self._all_waiting()
            yield packet, True
            return
        self._put(packet, coded)
        # No later packet is shown before it is decoded, so what is due by now is in order. Matroska's first packets
        # come without a decode time.
        self._is_certain = packet.dts is None or self._show_until(packet.dts)
        yield from self._known() if self._is_certain else self._all_waiting()

    def finish(self) -> Iterator[Verdict]:
        """The need of the packets that still wait."""
        if self._is_certain and self._show_until(sys.maxsize):
            last = self._sampler.finish(sys.maxsize)
            if last is not None:
                self._decide(last.item)
            yield from self._known()
            yield from self._given_out(leads_on=False)
        yield from self._all_waiting()

    def _coded(self, packet: Packet[VideoStream]) -> Coded | None:
        """What the packet's picture is to others; None where its header or its time is not clear."""
        coded = None if packet.has_sidedata(CHANGED_HEADERS) else self._reader(bytes(packet))
        if coded is None or packet.pts is None or not self._is_plausible(packet.pts, packet.dts, coded):
            return None
        return coded

    def _put(self, packet: Packet[VideoStream], coded: Coded) -> None:
        """Let a packet wait with the others."""
        waiting = _Waiting(coded, may_go=coded.is_disposable, is_decided=packet.is_discard)
        self._undecided.append((packet, waiting))
        self._waiting_bytes += packet.size
        if packet.pts is not None and not packet.is_discard:
            heapq.heappush(self._unordered, (packet.pts, next(self._order), waiting))

    def _is_plausible(self, pts: int, dts: int | None, coded: Coded) -> bool:
        """Whether the times of the next packet can be true."""
        if dts is not None:
            if pts < dts or dts <= self._last_dts:
                return False
            self._last_dts = dts
        # Nobody would reorder pictures for a disposable one that comes last anyway: such times are made up, as in a
        # file that was AVI once.
        is_made_up = self._reorders and coded.is_disposable and pts > self._latest_pts
        self._latest_pts = max(pts, self._latest_pts)
        return not is_made_up

    def _show_until(self, tick: int) -> bool:
        """Bring packets into the order of display; whether no two have one time."""
        while self._unordered and self._unordered[0][0] <= tick:
            pts, _, waiting = heapq.heappop(self._unordered)
            if pts <= self._last_shown_pts:
                return False
            self._last_shown_pts = pts
            waiting.time_us = self._clock.tell(pts, None)
            kept = self._sampler.offer(Timed(waiting.time_us, waiting))
            if kept is not None:
                self._decide(kept.item)
            self._of_instant.append(waiting)
        return True

    def _decide(self, nearest: _Waiting) -> None:
        """Close an instant whose nearest picture is known."""
        self._wanted(nearest).is_wanted = True
        for waiting in self._of_instant:
            waiting.is_decided = True
        self._of_instant = []

    def _wanted(self, nearest: _Waiting) -> _Waiting:
        """The nearest picture or the one beside it."""
        others = [waiting for waiting in self._of_instant if not waiting.may_go]
        if not nearest.may_go or not others:
            return nearest
        instant = self._sampler.instant_of(nearest.time_us)
        other = min(others, key=lambda waiting: self._sampler.distance(waiting.time_us, instant))
        places = self._of_instant.index(nearest), self._of_instant.index(other)
        is_beside = abs(places[0] - places[1]) == 1 and abs(nearest.time_us - other.time_us) <= self._max_step_us
        return other if is_beside else nearest

    def _known(self) -> Iterator[Verdict]:
        """Packets whose need is known, and the oldest ones when too much waits."""
        while self._undecided and self._undecided[0][1].is_decided:
            packet, waiting = self._undecided.popleft()
            if waiting.coded.is_restart:
                yield from self._given_out(leads_on=False)
            is_wanted = waiting.is_wanted or waiting.coded.has_parameters
            self._held.append((packet, is_wanted or not waiting.may_go))
            if is_wanted:
                yield from self._given_out(leads_on=True)
        if self._waiting_bytes > MAX_WAITING_BYTES:
            yield from self._all_waiting()

    def _all_waiting(self) -> Iterator[Verdict]:
        """Everything that waits, to be decoded unless it is known that nobody wants it."""
        for packet, waiting in self._undecided:
            waiting.may_go = False
            self._held.append((packet, True))
        self._undecided.clear()
        yield from self._given_out(leads_on=True)

    def _given_out(self, *, leads_on: bool) -> Iterator[Verdict]:
        """What was read after the last wanted picture.

        Args:
            leads_on: whether a wanted picture follows, so that those that others are predicted from are needed.
        """
        for packet, may_lead in self._held:
            self._waiting_bytes -= packet.size
            yield packet, leads_on and may_lead
        self._held = []
