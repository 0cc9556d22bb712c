"""Refusing an upload: the files go to ``rejected/``, each with a ``NAME.reason.txt`` beside it.

Belongs here: names under ``rejected/`` and the reason's file. Does not belong here: deciding to refuse (``listing``).
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import count
from pathlib import PurePosixPath

from neurovision_assets.uploads.names import REJECTED, name_of, without_names
from resources.object_store import ObjectStore

REASON_ENDING = ".reason.txt"
FILE_NAME_MAX_BYTES = 255  # of ext4, XFS, NTFS and APFS alike
ENDING_MAX = 16


def refuse(store: ObjectStore, keys: Sequence[str], reason: str, upload_id: str) -> list[str]:
    """Move files to ``rejected/``; nothing there is ever overwritten.

    Args:
        store: where they lie.
        keys: the files.
        reason: what is wrong and what to do.
        upload_id: what logs and checks call the upload; it stands in the reason's file too.

    Returns:
        Their new keys; a file that has vanished meanwhile is left out.

    Raises:
        TransientFailure: the storage failed. A reason may then lie there without its file, never the other way round.
    """
    text = f"{reason}\n\nupload: {upload_id}\nrefused: {datetime.now(UTC).isoformat(timespec='seconds')}\n"
    moved = []
    with store.lock("rejected"), without_names(f"upload {upload_id}"):
        for key in keys:
            if store.stat(key) is None:
                continue
            target = _free_key(store, name_of(key))
            store.write_bytes(target + REASON_ENDING, text.encode())
            store.move(key, target)
            moved.append(target)
    return moved


def _free_key(store: ObjectStore, name: str) -> str:
    readable = name.encode(errors="replace").decode()
    ending = PurePosixPath(readable).suffix
    ending = ending if len(ending) <= ENDING_MAX else ""
    base = readable.removesuffix(ending).encode()
    for number in count(1):
        tail = ending if number == 1 else f"-{number}{ending}"
        room = FILE_NAME_MAX_BYTES - len(REASON_ENDING) - len(tail.encode())
        key = f"{REJECTED}/{base[:room].decode(errors='ignore')}{tail}"
        if store.stat(key) is None and store.stat(key + REASON_ENDING) is None:
            return key
    raise AssertionError("count() does not end")
