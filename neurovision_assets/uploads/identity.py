"""Which video an upload is: its label, its fingerprint, and whether the same bytes are here already.

Belongs here: what decides about a key. Does not belong here: the grammar of keys (``partitions``), writing records.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from functools import partial

from neurovision_assets.partitions import ANONYMOUS_LABEL, fingerprint_of, label_of, make_video_id
from neurovision_assets.uploads.record import UploadRecord, find_record
from neurovision_assets.uploads.sidecar import RefusedUpload, Sidecar
from resources.object_store import ObjectStore
from resources.settings import Settings


class DuplicateUpload(RefusedUpload):
    """The same recording is already here.

    Args:
        video_id: under this key.
    """

    def __init__(self, video_id: str) -> None:
        super().__init__(
            f"The same recording is already here as {video_id}.",
            remedy="Nothing is lost: look at its report, or ask for it to be processed again.",
        )
        self.video_id = video_id


def check_size(sizes: Sequence[int], limit: int | None) -> None:
    """Sizes of an upload's files are acceptable.

    Raises:
        RefusedUpload: a file is empty, or all together exceed the limit (CA-024).
    """
    if min(sizes) == 0:
        raise RefusedUpload("A file of the upload is empty (0 bytes).", remedy="Upload it again.")
    if limit is not None and sum(sizes) > limit:
        raise RefusedUpload(
            f"File size cannot exceed {limit} bytes.",
            remedy="Upload a smaller file, or raise NEUROVISION_UPLOAD_MAX_BYTES.",
        )


def key_of(settings: Settings, stem: str, sidecar: Sidecar | None, fingerprint: str) -> str:
    """The video_id of an upload; a label that would tell the patient's number is left out of it."""
    label = label_of(sidecar.operation_id if sidecar else None, stem, settings.upload_safe_name)
    hidden = sidecar is not None and sidecar.mentions_patient(label)
    return make_video_id(ANONYMOUS_LABEL if hidden else label, fingerprint)


def stored_fingerprint(store: ObjectStore, files: Sequence[tuple[str, int]]) -> str:
    """Fingerprint of objects, given as key and size in bytes, by ranged reads."""
    return fingerprint_of([(size, partial(store.read_range, key)) for key, size in files])


def find_twin(store: ObjectStore, video_id: str, known: Collection[str], sizes: Sequence[int]) -> UploadRecord | None:
    """The record of the same bytes, whatever its label.

    A fingerprint's 32 bits meet by chance once among some ten thousand videos, so sizes are compared too.

    Args:
        store: where records are.
        video_id: the key this upload would get.
        known: every video_id there is.
        sizes: of the upload's files in order.

    Raises:
        RefusedUpload: another recording has this very key.
    """
    fingerprint = video_id.rpartition("-")[2]
    candidates = [
        video_id,
        *sorted(other for other in known if other != video_id and other.endswith(f"-{fingerprint}")),
    ]
    records = [record for candidate in candidates if (record := find_record(store, candidate))]
    for record in records:
        if [part.size_bytes for part in record.parts] == list(sizes):
            return record
    if any(record.video_id == video_id for record in records):
        raise RefusedUpload(
            f"Another recording has the key {video_id} by chance.",
            remedy="Give this one a different operation_id in its sidecar.",
        )
    return None
