"""When a look into ``incoming/`` can be saved, because a server that tells of new objects has told of none.

Belongs here: the listener of this process, and the rule. Does not belong here: looking (``sensors.uploads``). Events
only ever save looks: one is taken in any case while nothing can be heard, while files wait, and every half minute.
"""

import time

from neurovision_assets.uploads.names import INCOMING
from neurovision_assets.uploads.watch import IncomingState
from resources.object_store import ObjectStore
from resources.object_store.events import BucketEvents

LOOK_ANYWAY_S = 30.0


class Looks:
    """Which events were followed by a look, for the stores that this process looks into."""

    def __init__(self) -> None:
        self._listeners: dict[str, BucketEvents] = {}
        self._followed: dict[str, int] = {}

    def heard(self, store: ObjectStore) -> int | None:
        """How many events there were; None where nobody tells. To be asked before a look."""
        if store.url not in self._listeners:
            events = store.events(INCOMING)
            if events is None:
                return None
            self._listeners[store.url] = events.start()
        return self._listeners[store.url].heard

    def is_due(self, store: ObjectStore, state: IncomingState, heard: int | None) -> bool:
        """Whether a look may find something."""
        is_quiet = heard is not None and heard == self._followed.get(store.url) and not state.seen
        return not is_quiet or not 0 <= time.time() - state.looked_s < LOOK_ANYWAY_S

    def done(self, store: ObjectStore, heard: int | None) -> None:
        """A look has succeeded that began when so many events had been heard."""
        if heard is not None:
            self._followed[store.url] = heard
