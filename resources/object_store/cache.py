"""Copies of objects on this machine, for libraries that want a file.

Belongs here: finding, keeping and forgetting copies. Does not belong here: loading them (``s3``).
A copy carries the object's entity tag in its name: another state of the object is another copy.
"""

from __future__ import annotations

import hashlib
import os
import time
from contextlib import AbstractContextManager, suppress
from pathlib import Path, PurePosixPath

from resources.object_store.objects import ObjectInfo, refused_write
from resources.object_store.temporary import temporary_file

CACHE_BYTES = 20_000_000_000
"""A few operations with their pictures; what does not fit is loaded again."""
KEPT_S = 7 * 86_400
IN_USE_S = 3 * 3600
"""A run has two hours: what was asked for since then may still be opened."""
TEMPORARY_PREFIX = ".loading-"


class LocalCopies:
    """A folder of copies that any number of processes share.

    Args:
        folder: of the copies; nothing else may lie in it.
        max_bytes: what all copies may take together, but for those in use.
    """

    def __init__(self, folder: Path, max_bytes: int = CACHE_BYTES) -> None:
        self._folder, self._max_bytes = folder, max_bytes

    def find(self, info: ObjectInfo) -> Path | None:
        """The copy of an object in this state, None where there is none."""
        path = self._path_of(info)
        try:
            os.utime(path)  # whoever was asked for last is forgotten last
        except FileNotFoundError:
            return None
        except OSError as error:
            raise refused_write(info.key, error) from error
        return path

    def keep(self, info: ObjectInfo, file: Path) -> Path:
        """Take a file that holds the object's bytes; it must lie on the same file system."""
        path = self._path_of(info)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            os.utime(file)
            file.replace(path)
        except OSError as error:
            raise refused_write(info.key, error) from error
        self._forget_old()
        return path

    def loading(self, key: str) -> AbstractContextManager[Path]:
        """An empty file for a copy, gone afterwards unless it was kept."""
        return temporary_file(key, self._folder, prefix=TEMPORARY_PREFIX)

    def _path_of(self, info: ObjectInfo) -> Path:
        state = f"{info.key}\0{info.etag}\0{info.size_bytes}\0{info.modified_s}"
        name = hashlib.sha256(state.encode()).hexdigest() + PurePosixPath(info.key).suffix
        return self._folder / name[:2] / name

    def _forget_old(self) -> None:
        """Remove what nobody asked for in a week, then the oldest until all fits."""
        now_s = time.time()
        found = []
        for path in self._folder.rglob("*"):
            with suppress(FileNotFoundError):  # another process may be forgetting too
                state = path.stat()
                if path.is_file() and now_s - state.st_mtime > IN_USE_S:
                    found.append((state.st_mtime, state.st_size, path))
        excess = self._bytes() - self._max_bytes
        for used_s, size_bytes, path in sorted(found):
            if now_s - used_s > KEPT_S or excess > 0:
                path.unlink(missing_ok=True)
                excess -= size_bytes

    def _bytes(self) -> int:
        total = 0
        for path in self._folder.rglob("*"):
            with suppress(FileNotFoundError):
                total += path.stat().st_size
        return total
