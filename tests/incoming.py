"""A folder ``incoming/`` with its own clock, for the tests of uploads.

Belongs here: dropping files and looking at them as the sensor does. Does not belong here: tests.
"""

import json
from pathlib import Path
from typing import Any

from neurovision_assets.uploads.intake import Outcome, look
from neurovision_assets.uploads.watch import IncomingState
from resources.object_store import ObjectStore
from resources.settings import Settings

PATIENT = "Иванов Иван 1961"
SETTLE_S = 3.0
SIDECAR_WAIT_S = 10.0
TICK_S = 5.0
PROFILES = ("fast_debug", "production")
START_S = 1_700_000_000.0


def video_bytes(seed: int, size: int = 4000) -> bytes:
    """Bytes that differ from seed to seed; to an upload a video is just bytes."""
    return bytes((seed * 31 + place) % 251 for place in range(size))


class Incoming:
    """A store, the sensor's state, and a clock that only moves when it is told to."""

    def __init__(self, home: Path, **settings: Any) -> None:
        self.home = home
        self.store = ObjectStore(url=(home / "objects").as_uri())
        self.settings = Settings(home=home, upload_settle_s=SETTLE_S, upload_sidecar_wait_s=SIDECAR_WAIT_S, **settings)
        self.state = IncomingState()
        self.known: set[str] = set()
        self.now_s = START_S

    @property
    def folder(self) -> Path:
        """Where a person drops files."""
        folder = self.store.root / "incoming"
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def drop(self, name: str, content: bytes | dict[str, Any]) -> Path:
        """Put a file, or a sidecar, into the folder."""
        path = self.folder / name
        path.write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
        return path

    def tick(self, seconds: float = TICK_S) -> Outcome:
        """Let time pass and look once, as the sensor does, cursor included."""
        self.now_s += seconds
        cursor = IncomingState.from_cursor(self.state.model_dump_json())
        outcome = look(self.store, self.settings, cursor, known=self.known, profiles=PROFILES, now_s=self.now_s)
        self.state = outcome.state
        self.known.update(record.video_id for record in outcome.registered)
        return outcome

    def ticks(self, count: int = 4) -> Outcome:
        """Several looks; long enough for any wait. What came of them together."""
        together = Outcome(state=self.state)
        for _ in range(count):
            outcome = self.tick()
            together.registered += outcome.registered
            together.refused += outcome.refused
            together.notes += outcome.notes
        together.state = self.state
        return together

    def names(self, prefix: str) -> list[str]:
        """File names under a prefix."""
        return [info.key.removeprefix(f"{prefix}/") for info in self.store.list_folder(prefix)]

    def everything_but_names(self, outcome: Outcome) -> str:
        """All that leaves for Dagster: cursor, keys, reasons, notes."""
        return "\n".join(
            [
                self.state.model_dump_json(),
                *(record.video_id + record.run_key for record in outcome.registered),
                *(f"{refused.upload_id} {refused.reason}" for refused in outcome.refused),
                *outcome.notes,
            ]
        )
