"""``video_id``: the grammar of the key, and how one is made from an upload.

Belongs here: the one partition dimension, labels, fingerprints. Does not belong here: what is done with an upload
(``neurovision_assets.uploads``). File names carry patients' names, so a name becomes a label only when it is safe.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Sequence

import dagster as dg

from resources.errors import PermanentFailure

VIDEO_ID_PATTERN = re.compile(r"^[a-z0-9][a-z0-9_]{0,54}-[0-9a-f]{8}$")
LABEL_PATTERN = re.compile(r"^[a-z0-9][a-z0-9_]{0,54}$")
ANONYMOUS_LABEL = "video"
FINGERPRINT_DIGITS = 8
SAMPLE_BYTES = 1 << 20

video_ids = dg.DynamicPartitionsDefinition(name="video_id")

ReadRange = Callable[[int, int], bytes]


def check_video_id(video_id: str) -> str:
    """The key itself.

    Raises:
        PermanentFailure: it does not follow the grammar.
    """
    if not VIDEO_ID_PATTERN.fullmatch(video_id):
        raise PermanentFailure(
            "This is not a video_id.",
            subject=repr(video_id[:80]),
            remedy="A video_id is a label, '-' and eight hex digits, as in operation_001-1f3a9c2b.",
        )
    return video_id


def label_of(operation_id: str | None, file_stem: str, safe_name: str) -> str:
    """The readable part of a key.

    Args:
        operation_id: from the sidecar, None without one.
        file_stem: the upload's file name without its ending.
        safe_name: regular expression of file names that carry nobody's name (full match).

    Raises:
        PermanentFailure: the operation_id cannot be a label.
    """
    if operation_id is not None:
        label = operation_id.lower()
        if not LABEL_PATTERN.fullmatch(label):
            raise PermanentFailure(
                "operation_id must be 1–55 letters, digits or '_'.",
                subject="the sidecar",
                remedy="Correct operation_id and upload again.",
            )
        return label
    stem = file_stem.lower()
    return stem if re.fullmatch(safe_name, stem) and LABEL_PATTERN.fullmatch(stem) else ANONYMOUS_LABEL


def fingerprint_of(parts: Sequence[tuple[int, ReadRange]]) -> str:
    """Eight hex digits of an upload: size and three sampled MiB of each part (a tick cannot hash gigabytes).

    Args:
        parts: for each file in order its size in bytes and a function ``(start, length) -> bytes``.
    """
    digest = hashlib.sha256()
    for size, read in parts:
        digest.update(size.to_bytes(8, "little"))
        for start in (0, max(0, size // 2 - SAMPLE_BYTES // 2), max(0, size - SAMPLE_BYTES)):
            digest.update(read(start, SAMPLE_BYTES))
    return digest.hexdigest()[:FINGERPRINT_DIGITS]


def make_video_id(label: str, fingerprint: str) -> str:
    """The key of an upload."""
    return check_video_id(f"{label}-{fingerprint}")
