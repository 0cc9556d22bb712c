"""The record of an upload, ``raw/{video_id}/upload.json``: restricted, like everything under ``raw/``.

Belongs here: what is remembered of an upload, and reading and writing it. Does not belong here: how it comes about
(``registration``).
"""

from __future__ import annotations

import datetime as dt

from pydantic import AwareDatetime, BaseModel, ConfigDict, ValidationError

from neurovision_assets.uploads.names import RAW, without_names
from resources.errors import PermanentFailure
from resources.object_store import ObjectStore


class UploadPart(BaseModel):
    """One file of an upload.

    Attributes:
        incoming_key: where it was dropped, None when it came by ``make process`` or a gateway.
        raw_key: where it lies once it is claimed.
        size_bytes: its size.
        original_name: the file's name, kept nowhere else.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    incoming_key: str | None
    raw_key: str
    size_bytes: int
    original_name: str


class IncomingSidecar(BaseModel):
    """The sidecar as it lay in ``incoming/``; removed when the upload is claimed, if it is still the same.

    Attributes:
        key: its object key.
        size_bytes: its size.
        modified_s: when it was written, seconds since 1970.
        etag: of the object in a bucket, empty in a folder.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    key: str
    size_bytes: int
    modified_s: float
    etag: str = ""


class UploadRecord(BaseModel):
    """What is known of an upload. The patient's number is not in it, only the pseudonym.

    Attributes:
        video_id: the partition.
        fingerprint: of sizes and samples of all parts, eight hex digits.
        parts: the files in order.
        sidecar: where the sidecar lay, None without one.
        operation_id: as the sidecar spells it.
        operation_type: kind of operation.
        surgeon: who operated.
        department: where.
        date: of the operation.
        title: for people.
        description: for people.
        patient_pseudonym: 16 hex digits, None where no patient was named.
        profile: analysis profile the sidecar asks for, None for the deployment's default.
        priority: in Dagster's run queue, higher first.
        callback_url: told about the end.
        received_at: when it was registered, UTC.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    video_id: str
    fingerprint: str
    parts: tuple[UploadPart, ...]
    sidecar: IncomingSidecar | None = None
    operation_id: str | None = None
    operation_type: str | None = None
    surgeon: str | None = None
    department: str | None = None
    date: dt.date | None = None
    title: str | None = None
    description: str | None = None
    patient_pseudonym: str | None = None
    profile: str | None = None
    priority: int = 0
    callback_url: str | None = None
    received_at: AwareDatetime

    @property
    def run_key(self) -> str:
        """What Dagster remembers so that an upload starts one run.

        Dagster never forgets a run key; with the time of registration in it, an upload that was erased can come again.
        """
        return f"{self.video_id}:{self.fingerprint}:{self.received_at:%Y%m%dT%H%M%S}"

    @property
    def size_bytes(self) -> int:
        """Size of all parts together."""
        return sum(part.size_bytes for part in self.parts)


def record_key(video_id: str) -> str:
    """Object key of the record."""
    return f"{RAW}/{video_id}/upload.json"


def find_record(store: ObjectStore, video_id: str) -> UploadRecord | None:
    """The record of a video, or None before there is one.

    Raises:
        PermanentFailure: it is there and cannot be understood.
    """
    key = record_key(video_id)
    with without_names(video_id):
        data = store.find_bytes(key)
    if data is None:
        return None
    try:
        return UploadRecord.model_validate_json(data)
    except ValidationError:
        # The validation error quotes the record, and with it the file's name.
        raise PermanentFailure(
            "The upload's record cannot be understood.", subject=key, remedy="Upload the video again."
        ) from None


def load_record(store: ObjectStore, video_id: str) -> UploadRecord:
    """The record of a video.

    Raises:
        PermanentFailure: there is none, or it cannot be understood.
    """
    record = find_record(store, video_id)
    if record is None:
        raise PermanentFailure(
            "The store has no upload under this video_id.",
            subject=video_id,
            remedy="Copy the video into incoming/, or start make process VIDEO=path.",
        )
    return record


def create_record(store: ObjectStore, record: UploadRecord) -> bool:
    """Write the record of a new upload; False where somebody else has written one in this very moment."""
    return store.create_bytes(record_key(record.video_id), _spelt(record))


def save_record(store: ObjectStore, record: UploadRecord) -> None:
    """Write the record, all of it or nothing."""
    store.write_bytes(record_key(record.video_id), _spelt(record))


def _spelt(record: UploadRecord) -> bytes:
    return record.model_dump_json(indent=1).encode()
