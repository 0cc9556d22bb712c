"""A video of this platform that a reviewer has corrected becomes an operation of the data: the set ``reviewed``.

Belongs here: taking over pictures, people and phases from the platform's results, once a video. Does not belong here:
the corrections themselves (``corrections``), videos that nobody corrected: predictions alone teach nothing.

What a reviewer left as it was in a report that he corrected stands, with the model as its author; boxes and masks only
where he gave them. A video without a patient's pseudonym counts as one of a patient of its own.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from models.letterbox import FrameGeometry
from neurovision_assets.artifacts import MAIN_TABLE, ArtifactReader, ArtifactRecord
from neurovision_assets.partitions import VIDEO_ID_PATTERN
from neurovision_assets.surgery.phases.asset import SEGMENTS_PART
from neurovision_assets.surgery.pipeline import FRAMES as FRAMES_STAGE
from neurovision_assets.surgery.pipeline import PHASES as PHASES_STAGE
from neurovision_assets.training.annotations.draft import AnnotationError
from neurovision_assets.training.annotations.importing import note_people
from neurovision_assets.training.dataset.correction_checks import check_corrections
from neurovision_assets.training.dataset.corrections import Correction
from neurovision_assets.training.dataset.folder import write_rows
from neurovision_assets.training.dataset.kept import keep, texts_of
from neurovision_assets.training.dataset.layout import Layout
from neurovision_assets.training.dataset.schemas import FRAMES, OPERATIONS, PHASE_SPANS, THROUGHOUT
from neurovision_assets.uploads.record import load_record
from resources.object_store import ObjectStore

SET_NAME: Final = "reviewed"
NEEDED: Final = ("surgeon", "operation_type")
BATCH_ROWS: Final = 64

Row = dict[str, Any]


def take_corrections(corrections: tuple[Correction, ...], path: Path, layout: Layout, store: ObjectStore) -> list[Path]:
    """Check corrections and keep them; videos of this platform come into the data with their first one.

    Args:
        corrections: what was said.
        path: the file that says it, for messages.
        layout: the data sets' repository.
        store: where the platform's results are.

    Returns:
        The files that are new.

    Raises:
        AnnotationError: something is wrong; nothing was kept.
        PermanentFailure: a video has no phases or frames yet.
    """
    known = {row["operation"]: row for name in layout.sets() for row in layout.imported(name).rows(OPERATIONS)}
    wanted = sorted({correction.operation for correction in corrections} - set(known))
    reader = ArtifactReader(store)
    videos = {name: _operation(name, reader, store) for name in wanted if _is_video(name, reader)}
    check_corrections(corrections, path, {**known, **videos}, datetime.now(UTC))
    _check_people(videos, path)
    texts = texts_of(corrections, layout)
    if videos:
        _add(videos, layout, reader)
    return keep(texts)


def _check_people(videos: dict[str, Row], path: Path) -> None:
    """Refuse a video whose upload did not tell what every operation must tell: the checkpoint would stop all data.

    Raises:
        AnnotationError: the video and what is missing.
    """
    for video_id, row in videos.items():
        if missing := [name for name in NEEDED if not row[name]]:
            raise AnnotationError(
                f"Nobody said the {' and the '.join(missing)} of {video_id}.",
                path=path,
                remedy="Process its file again with a sidecar that does, then give the corrections again.",
            )


def _is_video(name: str, reader: ArtifactReader) -> bool:
    return bool(VIDEO_ID_PATTERN.fullmatch(name)) and reader.record(FRAMES_STAGE.asset, name) is not None


def _operation(video_id: str, reader: ArtifactReader, store: ObjectStore) -> Row:
    """The operation's row, from the upload and the stored pictures' geometry."""
    frames, upload = reader.required_record(FRAMES_STAGE.asset, video_id), load_record(store, video_id)
    geometry = FrameGeometry.model_validate(frames.facts["geometry"])
    return {
        "operation": video_id,
        "patient": upload.patient_pseudonym or f"unknown-{video_id}",
        "surgeon": upload.surgeon or "",
        "hospital": upload.department or "",
        "operation_type": upload.operation_type or "",
        "source": SET_NAME,
        "duration_ms": int(frames.facts["duration_ms"]),
        "width_px": geometry.source_width_px,
        "height_px": geometry.source_height_px,
        "fps": None,
        "video": "",
        "labelled": THROUGHOUT,
    }


def _add(videos: dict[str, Row], layout: Layout, reader: ArtifactReader) -> None:
    """Put the videos into the set; their pictures first, so that no row is without."""
    folder = layout.imported(SET_NAME)
    phases = list(folder.rows(PHASE_SPANS))
    for video_id in videos:
        frames = reader.required_record(FRAMES_STAGE.asset, video_id)
        write_rows(folder.pictures_path(FRAMES, video_id), FRAMES, _pictures(video_id, frames, reader))
        phases += _phases(video_id, reader)
    folder.write(PHASE_SPANS, phases)
    folder.write(OPERATIONS, [*folder.rows(OPERATIONS), *videos.values()])
    note_people(layout, list(videos.values()))


def _pictures(video_id: str, record: ArtifactRecord, reader: ArtifactReader) -> Iterator[Row]:
    for batch in reader.batches(record, MAIN_TABLE, ["timestamp_ms", "jpeg"], BATCH_ROWS):
        yield from ({"operation": video_id, **row} for row in batch.to_pylist())


def _phases(video_id: str, reader: ArtifactReader) -> list[Row]:
    """The phases of the report, with the model as author."""
    record = reader.required_record(PHASES_STAGE.asset, video_id)
    author = ", ".join(model.label for model in record.provenance.models)
    said = {"operation": video_id, "author": author, "annotated_at": record.provenance.finished}
    segments = reader.table(record, SEGMENTS_PART, ["start_ms", "end_ms", "phase"]).to_pylist()
    return [{**said, **segment} for segment in segments]
