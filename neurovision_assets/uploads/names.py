"""Where uploads lie and how their files are called.

Belongs here: prefixes, endings, stems, and the guard that keeps names out of errors. Does not belong here: decisions.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import PurePosixPath

from resources.errors import NeuroVisionError, TransientFailure

INCOMING = "incoming"
REJECTED = "rejected"
RAW = "raw"
SIDECAR_ENDING = ".json"
VIDEO_ENDINGS = frozenset(
    f".{ending}"
    for ending in (
        *("3gp", "asf", "avi", "divx", "dv", "flv", "h264", "h265", "hevc", "ivf", "m2t", "m2ts", "m2v", "m4v", "mkv"),
        *("mov", "mp4", "mpeg", "mpg", "mts", "mxf", "obu", "ogv", "ts", "vob", "webm", "wmv"),
    )
)
# Names under which browsers and transfer programs write until they are done; they rename the file themselves.
UNFINISHED_ENDINGS = frozenset({".crdownload", ".download", ".filepart", ".part", ".partial", ".tmp"})


def name_of(key: str) -> str:
    """File name of a key, in the one Unicode form in which names are compared (macOS decomposes them)."""
    return unicodedata.normalize("NFC", PurePosixPath(key).name)


def stem_of(key: str) -> str:
    """File name without its last ending: what a video and its sidecar share."""
    return PurePosixPath(name_of(key)).stem


def ending_of(key: str) -> str:
    """Last ending in lower case with its dot, empty where there is none."""
    return PurePosixPath(key).suffix.lower()


def endings_in_words() -> str:
    """The endings of videos, for people."""
    return ", ".join(sorted(VIDEO_ENDINGS))


@contextmanager
def without_names(subject: str) -> Iterator[None]:
    """Let storage errors out of the block without the file's name: the event log would keep it.

    Args:
        subject: what the error shall name instead, a video_id or a neutral word.

    Raises:
        NeuroVisionError: the same one, now about ``subject``.
        TransientFailure: in place of an ``OSError``.
    """
    try:
        yield
    except NeuroVisionError as error:
        error.subject = subject
        error.args = (error.problem, subject, error.remedy)
        raise error from None  # a chained error would bring the name along
    except OSError as error:
        raise TransientFailure(
            f"The storage failed ({error.strerror}).", subject=subject, remedy="Check the storage and try again."
        ) from None
