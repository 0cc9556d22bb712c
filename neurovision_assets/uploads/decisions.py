"""The three things that can be decided about files in ``incoming/``.

Belongs here: the decisions' types. Does not belong here: how they are reached (``listing``).
"""

from __future__ import annotations

from dataclasses import dataclass

from neurovision_assets.uploads.sidecar import Sidecar
from resources.object_store import ObjectInfo


@dataclass(frozen=True)
class Waiting:
    """Nothing to do yet.

    Attributes:
        keys: the files.
        why: for the log, without names.
        since_s: since when they have been lying there unchanged, seconds since 1970.
    """

    keys: tuple[str, ...]
    why: str
    since_s: float


@dataclass(frozen=True)
class Accept:
    """A complete upload.

    Attributes:
        parts: the video's files in order.
        stem: the file name that may become a label.
        sidecar: what its sidecar says.
        sidecar_info: where the sidecar lies.
    """

    parts: tuple[ObjectInfo, ...]
    stem: str
    sidecar: Sidecar | None = None
    sidecar_info: ObjectInfo | None = None

    @property
    def keys(self) -> tuple[str, ...]:
        """All files that belong to it."""
        return tuple(info.key for info in (*self.parts, self.sidecar_info) if info is not None)


@dataclass(frozen=True)
class Refuse:
    """Files that go to ``rejected/``.

    Attributes:
        keys: the files.
        reason: what is wrong and what to do, without names.
    """

    keys: tuple[str, ...]
    reason: str


Decision = Waiting | Accept | Refuse
