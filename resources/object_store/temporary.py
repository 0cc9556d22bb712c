"""Files that are being written and are not objects yet.

Belongs here: making one and removing it. Does not belong here: what it becomes (``folder``, ``cache``).
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from resources.object_store.objects import refused_write


@contextmanager
def temporary_file(key: str, folder: Path, *, prefix: str, suffix: str = "") -> Iterator[Path]:
    """An empty file in the folder, gone afterwards unless it was moved away.

    Args:
        key: object that it is for, named by errors.
        folder: made where it is missing.
        prefix: of its name.
        suffix: of its name.

    Raises:
        TransientFailure: it cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=prefix, suffix=suffix, dir=folder)
        os.close(handle)
    except OSError as error:
        raise refused_write(key, error) from error
    try:
        yield Path(name)
    finally:
        Path(name).unlink(missing_ok=True)
