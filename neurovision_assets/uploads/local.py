"""A video of this machine as an upload: ``make process VIDEO=path``.

Belongs here: checking and copying it straight under ``raw/``, so that no sensor sees it. Does not belong here: what
lands in ``incoming/`` (``registration``).
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import UTC, datetime
from pathlib import Path

from neurovision_assets.partitions import fingerprint_of
from neurovision_assets.uploads.decisions import Accept
from neurovision_assets.uploads.identity import check_size, find_twin, key_of, stored_fingerprint
from neurovision_assets.uploads.names import VIDEO_ENDINGS, ending_of, endings_in_words, stem_of, without_names
from neurovision_assets.uploads.record import UploadPart, UploadRecord, save_record
from neurovision_assets.uploads.registration import changed_upload, new_record
from neurovision_assets.uploads.sidecar import parse_sidecar
from resources.errors import PermanentFailure
from resources.object_store import ObjectInfo, ObjectStore
from resources.settings import Settings

SUBJECT = "the given file"
# What a video is, whatever is said about it.
IDENTITY_FIELDS = {"video_id", "fingerprint", "received_at"}


def register_local_file(
    store: ObjectStore,
    settings: Settings,
    path: Path,
    sidecar_path: Path | None = None,
    *,
    known: Collection[str] = (),
    profile: str | None = None,
) -> UploadRecord:
    """Copy a file of this machine under ``raw/`` and write its record.

    The same bytes again give the record they have, with what a new sidecar or profile says, and mend their copy when
    that is gone. When the sidecar lists parts, they are looked for beside ``path``, which must be one of them.

    Args:
        store: where it is copied to.
        settings: safe names, size limit.
        path: the video.
        sidecar_path: its sidecar, None without one. It is read, never copied or removed.
        known: every video_id there is; without it only an upload of the same label counts as the same.
        profile: analysis profile, None for the sidecar's or the one that the record has.

    Raises:
        PermanentFailure: there is no such file, it is no video, or it changed while it was copied.
        RefusedUpload: it is empty or too large, or the sidecar cannot be taken.
        TransientFailure: a file cannot be read, or the copy not written.
    """
    with without_names(SUBJECT):
        sidecar = parse_sidecar(sidecar_path.read_bytes()) if sidecar_path else None
        paths = _parts_beside(path, sidecar.parts if sidecar else None)
        sizes = [_checked_size(part) for part in paths]
        check_size(sizes, settings.upload_max_bytes)
        reads = [_LocalFile(part).read_range for part in paths]
        fingerprint = fingerprint_of(list(zip(sizes, reads, strict=True)))
    stem = stem_of(sidecar_path.name) if sidecar_path and len(paths) > 1 else stem_of(path.name)
    video_id = key_of(settings, stem, sidecar, fingerprint)
    files = tuple(ObjectInfo(part.name, size, 0.0) for part, size in zip(paths, sizes, strict=True))
    with store.lock(f"upload-{fingerprint}"):
        found = find_twin(store, video_id, known, sizes)
        record = found
        if record is None or sidecar is not None:
            record = new_record(video_id, Accept(files, stem, sidecar), [None] * len(files), datetime.now(UTC))
        if found is not None:
            record = record.model_copy(update=found.model_dump(include=IDENTITY_FIELDS) | {"parts": found.parts})
        if profile is not None:
            record = record.model_copy(update={"profile": profile})
        with without_names(record.video_id):
            _copy_missing(store, record, paths)
        if record != found:
            save_record(store, record)
    return record


class _LocalFile:
    """Ranged reads of a file of this machine."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def read_range(self, start: int, length: int) -> bytes:
        with self._path.open("rb") as file:
            file.seek(start)
            return file.read(length)


def _parts_beside(path: Path, names: tuple[str, ...] | None) -> list[Path]:
    if names is None:
        return [path]
    if path.name not in names:
        raise PermanentFailure(
            "It is not among the parts that the sidecar lists.", subject=SUBJECT, remedy="Correct the sidecar's parts."
        )
    return [path.parent / name for name in names]


def _checked_size(path: Path) -> int:
    if path.is_dir():
        raise PermanentFailure("It is a folder.", subject=SUBJECT, remedy="Name one video file.")
    if not path.is_file():
        raise PermanentFailure("There is no such file.", subject=SUBJECT, remedy="Check the path.")
    if ending_of(path.name) not in VIDEO_ENDINGS:
        raise PermanentFailure(
            "Its ending is not one of a video.", subject=SUBJECT, remedy=f"Known are {endings_in_words()}."
        )
    return path.stat().st_size


def _copy_missing(store: ObjectStore, record: UploadRecord, paths: list[Path]) -> None:
    if any(part.incoming_key and store.stat(part.incoming_key) for part in record.parts):
        return  # registered from incoming/ and not claimed yet: its run will do that
    missing = [(part, path) for part, path in zip(record.parts, paths, strict=True) if not _is_stored(store, part)]
    for part, path in missing:
        store.write_file(part.raw_key, path)
    if missing and _raw_fingerprint(store, record) != record.fingerprint:
        for part, _ in missing:
            store.delete(part.raw_key)
        raise changed_upload(record)


def _is_stored(store: ObjectStore, part: UploadPart) -> bool:
    found = store.stat(part.raw_key)
    return found is not None and found.size_bytes == part.size_bytes


def _raw_fingerprint(store: ObjectStore, record: UploadRecord) -> str:
    return stored_fingerprint(store, [(part.raw_key, part.size_bytes) for part in record.parts])
