"""What becomes of a store's results while something happens: what is there, what was written twice, which reasons.

Belongs here: looking every few seconds, in a thread. Does not belong here: what happens (``faults``), runs (``scene``).

A result is written twice when its record, the last thing of it that is written, is replaced by another of the same
data version: two runs computed and published the same. The same bytes sent again by a client whose answer was lost
give the same entity tag, and are not counted; nor is what a store has lost in between.
"""

from __future__ import annotations

import re
import threading
from collections import Counter
from pathlib import PurePosixPath
from typing import Self

from neurovision_assets.artifacts import RECORD_ENDING, ArtifactRecord
from neurovision_assets.stage.failures import FailureRecord
from neurovision_assets.surgery.pipeline import REPORT, SURGERY
from resources.errors import NeuroVisionError
from resources.object_store import ObjectInfo, ObjectStore

LOOK_EVERY_S = 4.0
FAILURE_ENDING = "failure.json"
REPORTS = f"{REPORT.asset}/"
VIDEO_ID = re.compile(r"operation_\d+-[0-9a-f]+")


class Watch:
    """Looks until the block ends.

    Args:
        store: past any link.
    """

    def __init__(self, store: ObjectStore) -> None:
        self.twice: Counter[str] = Counter()
        self.reasons: Counter[str] = Counter()
        self._store = store
        self._versions: dict[str, tuple[str, str]] = {}
        self._failures: dict[str, str] = {}
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def reported(self) -> set[str]:
        """Videos that have a whole report, as of the last look."""
        return {PurePosixPath(key).name.partition(".")[0] for key in list(self._versions) if key.startswith(REPORTS)}

    def _run(self) -> None:
        while not self._ended.wait(LOOK_EVERY_S):
            for stage in SURGERY.stages:
                try:
                    self._look(stage.asset)
                except NeuroVisionError:  # a fault is at work: the next look will tell
                    break

    def _look(self, asset: str) -> None:
        found = {info.key: info for info in self._store.list_folder(asset)}
        for key in [key for key in self._versions if key.startswith(f"{asset}/") and key not in found]:
            del self._versions[key]
        for info in found.values():
            if info.key.endswith(f".{RECORD_ENDING}"):
                self._note_record(info)
            elif info.key.endswith(f".{FAILURE_ENDING}"):
                self._note_failure(info)

    def _note_record(self, info: ObjectInfo) -> None:
        before = self._versions.get(info.key)
        if before and before[0] == info.etag:
            return
        if data := self._store.find_bytes(info.key):
            version = ArtifactRecord.model_validate_json(data).data_version
            self._versions[info.key] = (info.etag, version)
            if before and before[1] == version:
                self.twice[info.key] += 1

    def _note_failure(self, info: ObjectInfo) -> None:
        if self._failures.get(info.key) == info.etag:
            return
        if data := self._store.find_bytes(info.key):
            self._failures[info.key] = info.etag
            failure = FailureRecord.model_validate_json(data)
            if failure.asset == failure.cause:
                self.reasons[f"{failure.kind}: {without_names(failure.reason)}"] += 1


def without_names(reason: str) -> str:
    """The same reason of two videos is one reason."""
    return VIDEO_ID.sub("VIDEO", reason)
