"""An object in a bucket as a seekable file: what is read is asked for, nothing else is loaded.

Belongs here: the file's interface. Does not belong here: the requests behind it (``s3``).
"""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, cast

from resources.object_store.objects import ObjectInfo

READ_AHEAD_BYTES = 8 << 20
"""One request; some seconds of a recording, so that a decoder waits rarely and asks little in vain."""

ReadRange = Callable[[ObjectInfo, int, int], bytes]


@dataclass(frozen=True)
class RemoteFile:
    """An object that can be opened as a file.

    Attributes:
        info: the state of the object that is read; one that was replaced meanwhile is an error.
        read_range: reads some bytes of it.
    """

    info: ObjectInfo
    read_range: ReadRange

    @property
    def size_bytes(self) -> int:
        """Its size."""
        return self.info.size_bytes

    def open(self) -> BinaryIO:
        """The object as a seekable binary file with a name."""
        return cast("BinaryIO", io.BufferedReader(_RangedFile(self.info, self.read_range), READ_AHEAD_BYTES))


Source = Path | RemoteFile
"""What a decoder can read: a file of this machine, or an object that is not here."""


def size_of(source: Source) -> int:
    """Size in bytes."""
    return source.stat().st_size if isinstance(source, Path) else source.size_bytes


def opened(source: Source) -> BinaryIO:
    """A seekable binary file, to be closed by the caller."""
    return source.open("rb") if isinstance(source, Path) else source.open()


class _RangedFile(io.RawIOBase):
    def __init__(self, info: ObjectInfo, read_range: ReadRange) -> None:
        self.name = info.key
        """Decoders look at a name's ending."""
        self._info, self._read_range, self._position = info, read_range, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._info.size_bytes}[whence]
        self._position = max(0, start + offset)
        return self._position

    def readinto(self, buffer: Any) -> int:
        length = min(len(buffer), self._info.size_bytes - self._position)
        if length <= 0:
            return 0
        data = self._read_range(self._info, self._position, length)
        buffer[: len(data)] = data
        self._position += len(data)
        return len(data)
