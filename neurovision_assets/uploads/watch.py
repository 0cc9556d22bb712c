"""What earlier looks at ``incoming/`` saw: the sensor's cursor.

Belongs here: which files lie there unchanged since when, which were taken already. Does not belong here: decisions.
The cursor is kept in Dagster's storage, so it holds no names: a file is a short hash of its name, size and time.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict, ValidationError

from neurovision_assets.uploads.names import ending_of, name_of, stem_of
from resources.object_store import ObjectInfo

TOKEN_DIGITS = 12
# Files in view at once, new ones and taken ones each: bounds the cursor to some 50 KB whatever is dropped.
WATCHED_MAX = 1000


class IncomingState(BaseModel):
    """What a look leaves to the next.

    Attributes:
        looked_s: when it was, seconds since 1970.
        seen: since when a file lies there unchanged, by token.
        taken: tokens of files that are registered and wait for their run to claim them.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    looked_s: float = 0.0
    seen: dict[str, float] = {}
    taken: tuple[str, ...] = ()

    @classmethod
    def from_cursor(cls, cursor: str | None) -> IncomingState:
        """The state in a cursor; one that cannot be read only means that every file is watched anew."""
        try:
            return cls.model_validate_json(cursor) if cursor else cls()
        except ValidationError:
            return cls()

    def with_taken(self, tokens: Iterable[str]) -> IncomingState:
        """The state after some files were registered."""
        new = set(tokens)
        return self.model_copy(
            update={
                "seen": {token: since_s for token, since_s in self.seen.items() if token not in new},
                "taken": (*self.taken, *sorted(new.difference(self.taken))),
            }
        )

    def with_postponed(self, tokens: Iterable[str]) -> IncomingState:
        """The state after some files made trouble: they are believed anew, behind all others, and block nobody."""
        return self.model_copy(update={"seen": {**self.seen, **dict.fromkeys(tokens, self.looked_s)}})


@dataclass(frozen=True)
class WatchedFile:
    """A file in ``incoming/`` as decisions see it.

    Attributes:
        info: key, size, time.
        since_s: since when it lies there unchanged, seconds since 1970.
        settled: whether that is long enough to believe that it is complete.
        taken: whether it belongs to a registered upload.
    """

    info: ObjectInfo
    since_s: float
    settled: bool
    taken: bool

    @property
    def key(self) -> str:
        """Its object key."""
        return self.info.key

    @property
    def name(self) -> str:
        """Its file name, in the Unicode form in which names are compared."""
        return name_of(self.info.key)

    @property
    def stem(self) -> str:
        """Its file name without the ending."""
        return stem_of(self.info.key)

    @property
    def ending(self) -> str:
        """Its ending in lower case."""
        return ending_of(self.info.key)


def token_of(info: ObjectInfo) -> str:
    """A file in one state: other bytes, another time or another name give another token."""
    text = f"{info.key}\0{info.size_bytes}\0{info.modified_s!r}" + (f"\0{info.etag}" if info.etag else "")
    return hashlib.sha256(text.encode(errors="surrogateescape")).hexdigest()[:TOKEN_DIGITS]


def watch(
    listing: Sequence[ObjectInfo], state: IncomingState, now_s: float, settle_s: float | None
) -> tuple[list[WatchedFile], IncomingState]:
    """Compare a listing with what was seen before.

    A file is settled when it stayed the same under our own eyes for ``settle_s``: its own time may come from a
    machine whose clock is wrong, or be years old in the middle of a copy.

    Args:
        listing: all of ``incoming/``.
        state: of the last look.
        now_s: seconds since 1970.
        settle_s: how long an upload must stay unchanged; None where a listing never shows unfinished ones.

    Returns:
        The files in view, and the state for the next look.
    """
    tokens = {token_of(info): info for info in listing}
    taken = [token for token in state.taken if token in tokens]
    fresh = [token for token in tokens if token not in set(taken)][:WATCHED_MAX]
    # A clock that was set back must not make anybody wait until it has caught up.
    seen = {token: min(state.seen.get(token, now_s), now_s) for token in fresh}
    files = [
        WatchedFile(
            tokens[token],
            since_s,
            settled=settle_s is None or (token in state.seen and now_s - since_s >= settle_s),
            taken=False,
        )
        for token, since_s in seen.items()
    ]
    files += [WatchedFile(tokens[token], now_s, settled=True, taken=True) for token in taken]
    return files, IncomingState(looked_s=now_s, seen=seen, taken=tuple(taken))
