"""Operations for tests of reports: tables as the stages would write them, made from a simulated operation's truth.

Belongs here: tables, pictures and facts of one operation, with chosen flaws. Does not belong here: assertions.
"""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from io import BytesIO
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from PIL import Image
from pycocotools import mask as coco

from neurovision_assets import schemas
from neurovision_assets.provenance import ModelUse, Provenance
from neurovision_assets.surgery.report.build import build_report
from neurovision_assets.surgery.report.config import ReportConfig
from neurovision_assets.surgery.report.inputs import AREA_COLUMNS, ReportTables
from neurovision_assets.surgery.report.model import DecodingLoss, MissingComponent, Report, VideoFacts
from simulator.operation import OperationPlan, plan_operation
from simulator.render import SimulatedFrame, render_frame
from simulator.vocabulary import ANATOMY, INSTRUMENTS, PHASES

FPS = 2.0
SMALL_PX = (320, 240)
"""Tests need no large pictures; rendering them is what takes the time."""

STAGES = ("video", "frames", "features", "phases", "instruments", "anatomy", "events")
MODELS = {
    "features": "feature_extractor",
    "phases": "phase_segmenter",
    "instruments": "instrument_detector",
    "anatomy": "anatomy_segmenter",
}


@dataclass(frozen=True)
class Operation:
    """All that `build_report` takes, and the pictures."""

    plan: OperationPlan
    video: VideoFacts
    tables: ReportTables
    provenance: tuple[Provenance, ...]
    decoding: DecodingLoss | None = None
    missing: tuple[MissingComponent, ...] = ()
    profile: str = "production"
    size_px: tuple[int, int] = SMALL_PX

    def report(self, config: ReportConfig | None = None) -> Report:
        """The report."""
        return build_report(
            video=self.video,
            profile=self.profile,
            tables=self.tables,
            provenance=self.provenance,
            decoding=self.decoding,
            missing=self.missing,
            config=config,
        )

    def load_frame(self, frame_index: int) -> bytes:
        """The stored JPEG of a frame."""
        return frame_jpeg(self.plan, frame_index, self.size_px)

    def without(self, *names: str) -> Operation:
        """The same operation with some tables missing; masks go with the anatomy."""
        gone = (*names, "masks") if "anatomy" in names else names
        return replace(self, tables=replace(self.tables, **dict.fromkeys(gone)))


@cache
def operation(
    seed: int = 7,
    duration_s: float = 30.0,
    confidence: float = 0.9,
    novelty: float = 0.4,
    size_px: tuple[int, int] = SMALL_PX,
) -> Operation:
    """A simulated operation.

    Args:
        seed: of the simulator.
        duration_s: length.
        size_px: width and height of the stored frames.
        confidence: about the models' mean confidence.
        novelty: about the pictures' mean novelty.
    """
    plan = plan_operation(seed, duration_s)
    dice = np.random.default_rng(seed)
    times = np.arange(0, plan.duration_ms, round(1000 / FPS))
    segments = _segments(plan, confidence, dice)
    tissues = _anatomy(plan, times, size_px, dice)
    tables = ReportTables(
        frames=_frames(times, dice),
        novelty=_table(
            schemas.FEATURES, ("frame_index", "timestamp_ms", "novelty"), _novelty_rows(times, novelty, dice)
        ),
        phases=_phases(plan, times, confidence, dice),
        phase_segments=segments,
        detections=_detections(plan, times, size_px, dice),
        instrument_uses=_uses(plan, dice),
        anatomy=tissues.select(list(AREA_COLUMNS)),
        masks=lambda frames: tissues.filter(pc.is_in(tissues["frame_index"], pa.array(frames, pa.int32()))),
        events=_events(plan),
    )
    return Operation(plan=plan, video=facts(plan), tables=tables, provenance=provenance(), size_px=size_px)


def facts(plan: OperationPlan, **changes: Any) -> VideoFacts:
    """Facts of the recording."""
    known: dict[str, Any] = {
        "video_id": "operation_007-1f3a9c2b",
        "operation_id": "operation_007",
        "operation_type": "Laparoscopic cholecystectomy",
        "surgeon": "Dr. A. Petrova",
        "department": "Surgery II",
        "date": datetime.date(2026, 3, 14),
        "patient_pseudonym": "9f2c41d07ab3e856",
        "duration_ms": plan.duration_ms,
        "width_px": 640,
        "height_px": 480,
        "fps": 25.0,
        "codec": "h264",
        "upload_sha256": ("4b227777d4dd1fc61c6f884f48641d02b4d121d3fd328cb08b5531fcacdabf8a",),
    }
    return VideoFacts(**(known | changes))


def provenance(*, run_id: str = "run-1", hour: int = 9) -> tuple[Provenance, ...]:
    """A record a stage."""
    records = []
    for place, stage in enumerate(STAGES):
        started = datetime.datetime(2026, 3, 14, hour, 0, place, tzinfo=datetime.UTC)
        models = [model_use(MODELS[stage])] if stage in MODELS else []
        records.append(
            Provenance(
                asset=f"surgery/{stage}",
                video_id="operation_007-1f3a9c2b",
                run_id=run_id,
                dagster_run_id=f"dagster-{run_id}",
                profile="production",
                config_hash="c0" * 32,
                stage_config_hash=f"{place:02d}" * 32,
                sampling_policy_version="1.0.0",
                dataprocessor_version="0.1.0",
                code_version="1",
                schema_version=1,
                inputs={f"surgery/{STAGES[place - 1]}": "d1" * 32} if place else {},
                models=tuple(models),
                device="cpu",
                started=started,
                finished=started + datetime.timedelta(seconds=1),
                duration_ms=1000,
            )
        )
    return tuple(records)


def model_use(name: str) -> ModelUse:
    """A model that took part."""
    return ModelUse(
        name=name, version=1, release="1.0.0", digest="ab" * 32, engine="onnxruntime 1.31.1", precision="fp32"
    )


@cache
def rendered(plan: OperationPlan, frame_index: int, size_px: tuple[int, int]) -> SimulatedFrame:
    """The simulated picture of a stored frame, with its truth."""
    return render_frame(plan, frame_index * 1000 / FPS, *size_px)


def frame_jpeg(plan: OperationPlan, frame_index: int, size_px: tuple[int, int]) -> bytes:
    """The stored JPEG of a frame."""
    buffer = BytesIO()
    Image.fromarray(rendered(plan, frame_index, size_px).image).save(buffer, "JPEG", quality=95)
    return buffer.getvalue()


def with_rows(table: pa.Table, name: str, rows: slice, value: Any) -> pa.Table:
    """The table with one value in some rows of a column."""
    values = table[name].to_pylist()
    values[rows] = [value] * len(values[rows])
    place = table.schema.get_field_index(name)
    return table.set_column(place, table.schema.field(name), pa.array(values, table.schema.field(name).type))


def _table(contract: Any, names: Sequence[str], rows: list[dict[str, Any]]) -> pa.Table:
    schema = pa.schema([contract.arrow_schema.field(name) for name in names])
    return pa.Table.from_pylist(rows, schema=schema)


def _whole(contract: Any, rows: list[dict[str, Any]]) -> pa.Table:
    return _table(contract, [column.name for column in contract.columns], rows)


def _frames(times: Any, dice: np.random.Generator) -> pa.Table:
    names = ("frame_index", "timestamp_ms", "sharpness", "brightness", "frozen")
    rows = [
        {
            "frame_index": index,
            "timestamp_ms": int(time),
            "sharpness": float(dice.uniform(60, 240)),
            "brightness": float(dice.uniform(80, 130)),
            "frozen": False,
        }
        for index, time in enumerate(times)
    ]
    return _table(schemas.FRAMES, names, rows)


def _novelty_rows(times: Any, novelty: float, dice: np.random.Generator) -> list[dict[str, Any]]:
    values = np.abs(novelty + dice.normal(0, 0.12, len(times)))
    return [
        {"frame_index": index, "timestamp_ms": int(time), "novelty": float(value)}
        for index, (time, value) in enumerate(zip(times, values, strict=True))
    ]


def _phases(plan: OperationPlan, times: Any, confidence: float, dice: np.random.Generator) -> pa.Table:
    rows = []
    for index, time in enumerate(times):
        span = plan.phase_at(float(time))
        near = min(time - span.start_ms, span.end_ms - time) / 4000
        sure = float(np.clip(dice.normal(confidence, 0.04) - 0.3 * max(0.0, 1 - near), 0.1, 0.99))
        rest = (1 - sure) / (len(PHASES) - 1)
        rows.append(
            {
                "frame_index": index,
                "timestamp_ms": int(time),
                "phase": span.phase,
                "confidence": sure,
                "probabilities": [sure if name == span.phase else rest for name in PHASES],
            }
        )
    return _whole(schemas.PHASES, rows)


def _span(start_ms: int, end_ms: int) -> dict[str, int]:
    return {"start_ms": start_ms, "end_ms": end_ms, "duration_ms": end_ms - start_ms}


def _segments(plan: OperationPlan, confidence: float, dice: np.random.Generator) -> pa.Table:
    rows = [
        {
            "segment_index": index,
            "phase": span.phase,
            **_span(span.start_ms, span.end_ms),
            "mean_confidence": float(np.clip(dice.normal(confidence, 0.06), 0.2, 0.99)),
        }
        for index, span in enumerate(plan.phases)
    ]
    return _whole(schemas.PHASE_SEGMENTS, rows)


def _uses(plan: OperationPlan, dice: np.random.Generator) -> pa.Table:
    seen: dict[str, int] = {}
    rows = []
    for span in sorted(plan.instruments, key=lambda item: item.start_ms):
        number = seen.get(span.instrument, 0)
        seen[span.instrument] = number + 1
        rows.append(
            {
                "instrument": span.instrument,
                "use_index": number,
                **_span(span.start_ms, span.end_ms),
                "mean_score": float(dice.uniform(0.62, 0.95)),
                "frame_count": max(1, span.duration_ms // 500),
            }
        )
    return _whole(schemas.INSTRUMENT_USES, rows)


def _detections(plan: OperationPlan, times: Any, size_px: tuple[int, int], dice: np.random.Generator) -> pa.Table:
    rows = []
    for index in range(len(times)):
        for tool in rendered(plan, index, size_px).instruments:
            box = [float(side) for side in tool.box_px]
            sides = dict(zip(("x_min", "y_min", "x_max", "y_max"), box, strict=True))
            rows.append(
                {
                    "frame_index": index,
                    "timestamp_ms": int(times[index]),
                    "instrument": tool.instrument,
                    "class_id": INSTRUMENTS.index(tool.instrument),
                    "score": float(dice.uniform(0.6, 0.97)),
                    "track_id": tool.track,
                    **{f"{side}_px": value for side, value in sides.items()},
                    **{f"source_{side}_px": value for side, value in sides.items()},
                }
            )
    return _whole(schemas.DETECTIONS, rows)


def _anatomy(plan: OperationPlan, times: Any, size_px: tuple[int, int], dice: np.random.Generator) -> pa.Table:
    rows = []
    for index in range(len(times)):
        classes = rendered(plan, index, size_px).anatomy
        for class_id, structure in enumerate(ANATOMY, start=1):
            mask = classes == class_id
            area = int(mask.sum())
            if area * 1500 < mask.size:
                continue
            rle = coco.encode(np.asfortranarray(mask.astype(np.uint8)))["counts"].decode()
            rows.append(
                {
                    "frame_index": index,
                    "timestamp_ms": int(times[index]),
                    "structure": structure,
                    "class_id": class_id,
                    "area_px": area,
                    "area_fraction": area / mask.size,
                    "confidence": float(dice.uniform(0.7, 0.97)),
                    "rle": rle,
                    "source_area_px": area,
                    "source_rle": rle,
                }
            )
    return _whole(schemas.ANATOMY, rows)


def _events(plan: OperationPlan) -> pa.Table:
    rows = []
    spans = sorted(plan.events, key=lambda item: (item.start_ms, item.kind))
    for index, span in enumerate(spans):
        first, last = int(span.start_ms * FPS / 1000), int((span.end_ms - 1) * FPS / 1000)
        rows.append(
            {
                "event_index": index,
                "kind": span.kind,
                **_span(span.start_ms, span.end_ms),
                "score": round(0.55 + 0.4 * ((index * 37) % 100) / 100, 2),
                "rule": span.kind,
                "rule_version": "1.0.0",
                "detail": "area 1.2 % → 7.9 % in 3.0 s",
                "evidence_frames": sorted({first, (first + last) // 2, last}),
            }
        )
    return _whole(schemas.EVENTS, rows)
