"""What a report is built from, gathered from the stages' results.

Belongs here: reading inputs of the stage ``report`` and turning them into the arguments of ``build``. Does not belong
here: what the report says.
"""

from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from neurovision_assets.artifacts import MAIN_TABLE
from neurovision_assets.stage.spec import StageSpec
from neurovision_assets.stage.work import Work
from neurovision_assets.surgery.instruments.asset import USES_PART
from neurovision_assets.surgery.phases.asset import SEGMENTS_PART
from neurovision_assets.surgery.pipeline import ANATOMY, EVENTS, FEATURES, FRAMES, INSTRUMENTS, PHASES, VIDEO
from neurovision_assets.surgery.report.inputs import AREA_COLUMNS, NOVELTY_COLUMNS, QUALITY_COLUMNS, ReportTables
from neurovision_assets.surgery.report.model import Component, DecodingLoss, MissingComponent, VideoFacts
from neurovision_assets.surgery.video.asset import RecordedPart
from resources.errors import PermanentFailure

NO_FRAME = -1
COMPONENTS: tuple[Component, ...] = ("features", "phases", "instruments", "anatomy", "events")


def video_facts(work: Work[Any]) -> VideoFacts:
    """What is known of recording and operation; several files tell the first one's format."""
    facts = work.facts(VIDEO.name)
    parts = [RecordedPart.model_validate(part) for part in facts["parts"]]
    first = parts[0].probe
    upload = work.upload
    return VideoFacts(
        video_id=work.video_id,
        operation_id=upload.operation_id,
        operation_type=upload.operation_type,
        surgeon=upload.surgeon,
        department=upload.department,
        date=upload.date,
        patient_pseudonym=upload.patient_pseudonym,
        duration_ms=facts["duration_ms"],
        width_px=first.display_width_px,
        height_px=first.display_height_px,
        fps=first.frame_rate_fps,
        codec=first.codec,
        upload_sha256=tuple(part.upload_sha256 for part in parts),
    )


def tables_of(work: Work[Any]) -> ReportTables:
    """The stages' tables; None for what did not run."""

    def maybe(stage: str, name: str = MAIN_TABLE, columns: tuple[str, ...] | None = None) -> pa.Table | None:
        return work.table(stage, name, list(columns) if columns else None) if work.has(stage) else None

    return ReportTables(
        frames=work.table(FRAMES.name, columns=list(QUALITY_COLUMNS)),
        novelty=maybe(FEATURES.name, columns=NOVELTY_COLUMNS),
        phases=maybe(PHASES.name),
        phase_segments=maybe(PHASES.name, SEGMENTS_PART),
        detections=maybe(INSTRUMENTS.name),
        instrument_uses=maybe(INSTRUMENTS.name, USES_PART),
        anatomy=maybe(ANATOMY.name, columns=AREA_COLUMNS),
        masks=(lambda frames: _rows_of_frames(work, ANATOMY, frames)) if work.has(ANATOMY.name) else None,
        events=maybe(EVENTS.name),
    )


def decoding_loss(work: Work[Any]) -> DecodingLoss:
    """What the decoder could not read, and what a file that was cut off does not hold."""
    told = work.facts(FRAMES.name)["decoding"]
    missing_ms = sum(part["probe"]["missing_ms"] for part in work.facts(VIDEO.name)["parts"])
    return DecodingLoss(lost_packets=told["lost_packets"], lost_ms=told["lost_ms"], missing_ms=missing_ms)


def missing_components(work: Work[Any]) -> list[MissingComponent]:
    """Why a component that may be missing is missing: switched off, or failed in this run with these words."""
    missing = []
    for name in COMPONENTS:
        if not work.profile.profile.is_enabled(name):
            missing.append(MissingComponent(component=name, reason="disabled"))
        elif name in work.failures:
            missing.append(MissingComponent(component=name, reason="failed", detail=work.failures[name].reason))
    return missing


def frame_loader(work: Work[Any], frame_indexes: list[int]) -> Callable[[int], bytes]:
    """A function from a ``frame_index`` to its stored JPEG."""
    table = _rows_of_frames(work, FRAMES, frame_indexes, columns=["frame_index", "jpeg"])
    pictures: dict[int, bytes] = dict(zip(table["frame_index"].to_pylist(), table["jpeg"].to_pylist(), strict=True))

    def load(frame_index: int) -> bytes:
        if frame_index not in pictures:
            raise PermanentFailure(
                f"There is no frame {frame_index}.",
                subject=f"{FRAMES.asset}/{work.video_id}",
                remedy=f"Materialize {FRAMES.asset} and what stands on it again for this video.",
            )
        return pictures[frame_index]

    return load


def _rows_of_frames(
    work: Work[Any], stage: StageSpec, frame_indexes: list[int], columns: list[str] | None = None
) -> pa.Table:
    """The rows of a long table that belong to some frames; only the row groups that hold them are read."""
    wanted = [("frame_index", "in", frame_indexes or [NO_FRAME])]
    return pq.read_table(work.path(stage.name, MAIN_TABLE), columns=columns, filters=wanted)
