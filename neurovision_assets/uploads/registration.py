"""From a complete upload in ``incoming/`` to a record, and from the record to files under ``raw/``.

Belongs here: writing the record, claiming the files. Does not belong here: deciding that an upload is complete
(``listing``), files of this machine (``local``), probing (``surgery.video``).

A sidecar is removed when its upload is claimed. Everything it says is in the record by then, the patient's number as
a pseudonym; a copy under ``raw/`` would be one more place to guard and to erase, which nothing reads.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import asdict
from datetime import datetime

from neurovision_assets.uploads.decisions import Accept
from neurovision_assets.uploads.identity import DuplicateUpload, find_twin, key_of, stored_fingerprint
from neurovision_assets.uploads.names import RAW, ending_of, name_of, without_names
from neurovision_assets.uploads.record import IncomingSidecar, UploadPart, UploadRecord, create_record
from neurovision_assets.uploads.sidecar import Sidecar, pseudonym_of
from resources.errors import PermanentFailure
from resources.object_store import ObjectInfo, ObjectStore
from resources.settings import Settings

RECORDED_FIELDS = ("operation_id", "operation_type", "surgeon", "department", "date", "title", "description", "profile")


def register(
    store: ObjectStore, settings: Settings, upload: Accept, known: Collection[str], received_at: datetime
) -> UploadRecord:
    """Give an upload in ``incoming/`` its key and write its record; nothing is moved.

    Doing it again, after a crash or in another tick, returns the same record.

    Args:
        store: where ``incoming/`` is.
        settings: safe names.
        upload: the complete upload.
        known: every video_id there is.
        received_at: now, with a time zone.

    Raises:
        DuplicateUpload: the same bytes are here as another upload.
        RefusedUpload: it cannot be taken, the reason says why.
        PermanentFailure: a file is gone.
        TransientFailure: the storage failed.
    """
    with without_names("an upload in incoming/"):
        fingerprint = stored_fingerprint(store, [(info.key, info.size_bytes) for info in upload.parts])
    video_id = key_of(settings, upload.stem, upload.sidecar, fingerprint)
    incoming_keys = [info.key for info in upload.parts]
    twin = find_twin(store, video_id, known, [info.size_bytes for info in upload.parts])
    if twin is not None:
        is_same = [part.incoming_key for part in twin.parts] == incoming_keys
        if is_same and (not _is_claimed(store, twin) or _finish_moves(store, twin)):
            return twin
        raise DuplicateUpload(twin.video_id)
    record = new_record(video_id, upload, incoming_keys, received_at)
    if not create_record(store, record):  # two looks at once: the other's record is found now
        return register(store, settings, upload, known, received_at)
    return record


def new_record(
    video_id: str, upload: Accept, incoming_keys: Sequence[str | None], received_at: datetime
) -> UploadRecord:
    """The record of an upload that has its key.

    Raises:
        RefusedUpload: the sidecar names a patient and there is no key for pseudonyms.
    """
    said = upload.sidecar or Sidecar()
    lay = upload.sidecar_info
    return UploadRecord(
        video_id=video_id,
        fingerprint=video_id.rpartition("-")[2],
        parts=tuple(
            _part(video_id, number, info, incoming_key)
            for number, (info, incoming_key) in enumerate(zip(upload.parts, incoming_keys, strict=True))
        ),
        sidecar=IncomingSidecar.model_validate(asdict(lay)) if lay else None,
        **{field: getattr(said, field) for field in RECORDED_FIELDS},
        patient_pseudonym=pseudonym_of(said),
        priority=said.run_priority,
        callback_url=str(said.callback_url) if said.callback_url else None,
        received_at=received_at,
    )


def claim_parts(store: ObjectStore, record: UploadRecord) -> list[str]:
    """Bring the files of a registered upload under ``raw/`` and remove its sidecar.

    A crash at any point is mended by calling it again.

    Returns:
        Keys of the parts in order.

    Raises:
        PermanentFailure: a file is gone, or is not the one that was registered.
        TransientFailure: the storage failed.
    """
    with store.lock(f"claim-{record.video_id}"), without_names(record.video_id):
        places = [_place_of(store, record, part) for part in record.parts]
        sizes = [part.size_bytes for part in record.parts]
        if stored_fingerprint(store, list(zip(places, sizes, strict=True))) != record.fingerprint:
            raise changed_upload(record)
        for place, part in zip(places, record.parts, strict=True):
            if place != part.raw_key:
                store.move(place, part.raw_key)
        _finish_moves(store, record)
        _remove_sidecar(store, record.sidecar)
    return [part.raw_key for part in record.parts]


def changed_upload(record: UploadRecord) -> PermanentFailure:
    """The error of files that are not those that were registered."""
    return PermanentFailure(
        "The upload changed after it was registered.",
        subject=record.video_id,
        remedy="Upload it again once it is complete; other bytes become a video of their own.",
    )


def _part(video_id: str, number: int, info: ObjectInfo, incoming_key: str | None) -> UploadPart:
    return UploadPart(
        incoming_key=incoming_key,
        raw_key=f"{RAW}/{video_id}/part_{number:03d}{ending_of(info.key)}",
        size_bytes=info.size_bytes,
        original_name=name_of(info.key).encode(errors="replace").decode(),
    )


def _is_claimed(store: ObjectStore, record: UploadRecord) -> bool:
    return all(store.stat(part.raw_key) is not None for part in record.parts)


def _finish_moves(store: ObjectStore, record: UploadRecord) -> bool:
    """Clear away what a move that ended half-way left in ``incoming/``; whether there was such a thing."""
    found = [store.finish_move(part.incoming_key, part.raw_key) for part in record.parts if part.incoming_key]
    return any(found)


def _place_of(store: ObjectStore, record: UploadRecord, part: UploadPart) -> str:
    """Where a part lies now; under ``raw/`` when an earlier claim has moved it."""
    for key in (part.raw_key, part.incoming_key):
        found = store.stat(key) if key else None
        if key and found:
            if found.size_bytes != part.size_bytes:
                raise changed_upload(record)
            return key
    raise PermanentFailure(
        "A file of the upload is gone since it was registered.", subject=record.video_id, remedy="Upload it again."
    )


def _remove_sidecar(store: ObjectStore, sidecar: IncomingSidecar | None) -> None:
    """A sidecar that was written anew since then is a correction that nobody has read: it stays."""
    found = store.stat(sidecar.key) if sidecar else None
    if sidecar and found and asdict(found) == sidecar.model_dump():
        store.delete(sidecar.key)
