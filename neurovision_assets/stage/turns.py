"""Progress of stages that work side by side, told as if they came one after another.

Belongs here: whose turn it is. Does not belong here: where progress lies (``resources.progress``). NV-125…131 give
every stage its share of the whole; a reader sees the earliest stage that has not ended: the figure only ever grows.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence

from resources.progress import ERROR_STAGE, ProgressRecord, ProgressSink


class ProgressInTurns:
    """Takes the records of several stages of one video and passes on those whose turn it is.

    Args:
        board: where they go.
        stages: names in the order of their turns.
    """

    def __init__(self, board: ProgressSink, stages: Sequence[str]) -> None:
        self._board = board
        self._turns = list(stages)
        self._held: dict[str, tuple[str, ProgressRecord]] = {}
        self._ended: set[str] = set()
        self._lock = threading.Lock()

    def update(self, video_id: str, record: ProgressRecord) -> None:
        """Pass a record on, or keep it until its stage's turn. An error is told at once and is the last word."""
        with self._lock:
            if record.stage == ERROR_STAGE:
                self._turns.clear()
                self._board.update(video_id, record)
            elif self._turns and record.stage == self._turns[0]:
                self._board.update(video_id, record)
            else:
                self._held[record.stage] = (video_id, record)

    def ended(self, stage: str) -> None:
        """The stage will tell nothing more; who comes behind it is told, up to the first that has not ended."""
        with self._lock:
            self._ended.add(stage)
            while self._turns and self._turns[0] in self._ended:
                self._turns.pop(0)
                if self._turns and self._turns[0] in self._held:
                    self._board.update(*self._held.pop(self._turns[0]))
