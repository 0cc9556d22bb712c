"""Key frames: one for each phase, good pictures, what is marked lies where it was found."""

from __future__ import annotations

from dataclasses import replace
from io import BytesIO

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from pycocotools import mask as coco

from neurovision_assets import schemas
from neurovision_assets.surgery.colours import colour, rgb
from neurovision_assets.surgery.previews import STRIP_LIMIT_BYTES, thumbnail_strip, timeline_preview
from neurovision_assets.surgery.report.config import ReportConfig
from neurovision_assets.surgery.report.masks import decode_mask
from neurovision_assets.surgery.report.overlay import overlay
from neurovision_assets.surgery.report.pictures import MAX_WIDTH_PX, load_pictures, paint
from neurovision_assets.surgery.report.texts import Words
from resources.errors import PermanentFailure
from tests.report_fixture import SMALL_PX, operation, rendered, with_rows


def test_every_phase_has_a_picture_from_within_it() -> None:
    report = operation().report()
    for segment in report.phases:
        frame = report.key_frame(segment.key_frame)
        assert frame is not None
        assert segment.start_ms <= frame.timestamp_ms < segment.end_ms


def test_an_event_is_shown_by_its_evidence() -> None:
    report = operation().report()
    shown = [event for event in report.events if event.key_frame is not None]
    assert {event.kind for event in shown} == {event.kind for event in report.events}
    assert all(event.key_frame in event.evidence_frames for event in shown)


def test_a_blurred_picture_is_passed_over() -> None:
    made = operation()
    segment = max(made.report().phases, key=lambda item: item.duration_ms)
    assert segment.key_frame is not None
    blurred = with_rows(made.tables.frames, "sharpness", slice(segment.key_frame, segment.key_frame + 1), 1.0)
    again = replace(made, tables=replace(made.tables, frames=blurred)).report()
    assert next(item for item in again.phases if item.index == segment.index).key_frame != segment.key_frame


def test_their_number_is_limited_and_no_phase_is_forgotten() -> None:
    made = operation()
    spans = [("preparation", 0, 9000), ("adhesiolysis", 9000, 9500), ("preparation", 9500, 19_500)]
    spans += [("port-closure", 19_500, 20_000), ("preparation", 20_000, 30_000)]
    rows = [
        {"segment_index": index, "phase": phase, "start_ms": start, "end_ms": end, "duration_ms": end - start}
        | {"mean_confidence": 0.9}
        for index, (phase, start, end) in enumerate(spans)
    ]
    segments = pa.Table.from_pylist(rows, schema=schemas.PHASE_SEGMENTS.arrow_schema)
    made = replace(made, tables=replace(made.tables, phase_segments=segments, events=None))
    report = made.report(ReportConfig(max_key_frames=3))
    assert len(report.key_frames) == 3
    assert [segment.phase for segment in report.phases if segment.key_frame is not None] == [
        "adhesiolysis",
        "preparation",
        "port-closure",
    ]


def test_masks_and_boxes_are_those_of_the_frame() -> None:
    made = operation()
    report = made.report()
    frame = next(item for item in report.key_frames if item.boxes and item.masks)
    truth = rendered(made.plan, frame.frame_index, SMALL_PX)
    found = {(box.instrument, box.x_min_px, box.y_max_px) for box in frame.boxes}
    assert found == {(tool.instrument, tool.box_px[0], tool.box_px[3]) for tool in truth.instruments}
    largest = frame.masks[0]
    assert np.isclose(np.mean(decode_mask(largest.rle, SMALL_PX)), largest.area_fraction, atol=1e-4)


def test_marks_follow_the_picture_when_it_is_reduced() -> None:
    frame = next(item for item in operation().report().key_frames if item.boxes)
    large, small = overlay(frame, SMALL_PX, SMALL_PX), overlay(frame, SMALL_PX, (160, 120))
    assert abs(large.boxes[0].x_px / 2 - small.boxes[0].x_px) <= 0.1
    assert large.boxes[0].width_px > small.boxes[0].width_px


def test_painted_pictures_show_the_tissue_in_its_colour() -> None:
    made = operation()
    report = made.report()
    frame = next(item for item in report.key_frames if any(mask.structure == "liver" for mask in item.masks))
    picture = load_pictures(report, made.load_frame)[frame.frame_index]
    clean = np.asarray(Image.open(BytesIO(picture.jpeg))).astype(float)
    painted = np.asarray(Image.open(BytesIO(paint(picture, Words("ru"))))).astype(float)
    rle = next(mask.rle for mask in frame.masks if mask.structure == "liver")
    liver = decode_mask(rle, SMALL_PX).astype(bool)
    tint = np.array(rgb(colour("structure", "liver")))
    before, after = np.abs(clean[liver] - tint).mean(), np.abs(painted[liver] - tint).mean()
    assert after < 0.8 * before


@given(seed=st.integers(0, 10_000), width=st.integers(1, 40), height=st.integers(1, 40), share=st.floats(0, 1))
def test_masks_are_read_as_the_reference_reads_them(seed: int, width: int, height: int, share: float) -> None:
    mask = (np.random.default_rng(seed).random((height, width)) < share).astype(np.uint8)
    rle = coco.encode(np.asfortranarray(mask))["counts"].decode()
    assert np.array_equal(decode_mask(rle, (width, height)), mask)


def test_a_mask_of_another_size_is_refused() -> None:
    rle = coco.encode(np.asfortranarray(np.eye(8, dtype=np.uint8)))["counts"].decode()
    with pytest.raises(PermanentFailure, match="64 pixels, not 9 × 8"):
        decode_mask(rle, (9, 8))


def test_large_pictures_are_reduced() -> None:
    made = operation().without("anatomy")
    report = made.report()
    large = BytesIO()
    Image.new("RGB", (1920, 1080), "#804040").save(large, "JPEG")
    picture = next(iter(load_pictures(report, lambda _: large.getvalue()).values()))
    assert Image.open(BytesIO(picture.jpeg)).size == (MAX_WIDTH_PX, 360)


def test_previews_fit_into_event_metadata() -> None:
    rng = np.random.default_rng(0)
    noise = BytesIO()
    Image.fromarray(rng.integers(0, 255, (480, 640, 3), dtype=np.uint8)).save(noise, "JPEG", quality=95)
    strip = thumbnail_strip([noise.getvalue()] * 40)
    assert len(strip) < STRIP_LIMIT_BYTES
    assert Image.open(BytesIO(strip)).height == 90
    segments = [("calot-triangle-dissection", start, start + 900) for start in range(0, 3_600_000, 1000)]
    events = [("bleeding", start) for start in range(0, 3_600_000, 5000)]
    timeline = timeline_preview(segments, events, 3_600_000)
    assert len(timeline) < 30_000
    assert Image.open(BytesIO(timeline)).format == "PNG"
