"""What every kind of object store shares: keys, what a listing tells, errors in the house's words.

Belongs here: checks and errors that name a key. Does not belong here: where bytes lie (``folder``, ``s3``).
"""

from __future__ import annotations

import errno
import hashlib
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from resources.errors import PermanentFailure, TransientFailure

OUT_OF_SPACE = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


@dataclass(frozen=True)
class ObjectInfo:
    """What a listing tells of an object.

    Attributes:
        key: the object's key.
        size_bytes: its size.
        modified_s: when it was last written, seconds since 1970; whole ones in a bucket.
        etag: what S3 calls this state of the object; empty in a folder.
    """

    key: str
    size_bytes: int
    modified_s: float
    etag: str = ""


def sha256_of_file(path: Path) -> str:
    """SHA-256 of a file's bytes, 64 hex digits, in constant memory."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def checked_key(key: str) -> str:
    """The key itself.

    Raises:
        PermanentFailure: it is absolute, empty, the store itself, or climbs out of the store with ``..``.
    """
    path = PurePosixPath(key)
    if not path.parts or path.is_absolute() or ".." in path.parts or "\x00" in key:
        raise PermanentFailure("This is not an object key.", subject=repr(key), remedy="Use a relative path.")
    return key


def missing_object(key: str) -> PermanentFailure:
    """The error of an object that should be there and is not."""
    return PermanentFailure(
        "The object does not exist.", subject=key, remedy="Materialize the asset that makes it, or upload it again."
    )


def altered_object(key: str) -> PermanentFailure:
    """The error of an object whose bytes are not those that were written."""
    return PermanentFailure(
        "The object was altered after it was written.",
        subject=key,
        remedy="Materialize its asset again for this video.",
    )


def unverified_write(key: str) -> TransientFailure:
    """The error of an object that is not there as it was written."""
    return TransientFailure(
        "The object is not as it was written.", subject=key, remedy="Check the storage and try again."
    )


def no_space_for(key: str, size_bytes: int, free_bytes: int) -> TransientFailure:
    """The error of a write that cannot end, told before the first byte."""
    return TransientFailure(
        f"There is no space left for it: {size_bytes:,} bytes are needed and {free_bytes:,} are free.",
        subject=key,
        remedy="Free disk space and start it again.",
    )


def refused_read(key: str, error: OSError) -> TransientFailure:
    """The error of a file that this machine cannot read just now."""
    return TransientFailure(
        f"The object cannot be read ({error.strerror}).", subject=key, remedy="Check the storage and try again."
    )


def is_out_of_space(error: OSError) -> bool:
    """Whether the storage is full, or this process may not write more to it."""
    return error.errno in OUT_OF_SPACE


def refused_write(key: str, error: OSError) -> TransientFailure:
    """The error of a file that this machine cannot write."""
    full = is_out_of_space(error)
    problem = "There is no space left to write the object." if full else f"The write failed ({error.strerror})."
    remedy = "Free disk space and start it again." if full else "Check the storage and try again."
    return TransientFailure(problem, subject=key, remedy=remedy)
