"""The report as data: figures equal the tables, nothing is claimed that was not measured, everything has an origin."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pyarrow.compute as pc
import pytest

from neurovision_assets.surgery.report.config import ReportConfig
from neurovision_assets.surgery.report.content import render_json, report_content_hash
from neurovision_assets.surgery.report.findings import union_ms
from neurovision_assets.surgery.report.inputs import ReportTables
from neurovision_assets.surgery.report.model import DecodingLoss, MissingComponent, Report
from tests.report_fixture import operation, provenance, with_rows


def test_totals_equal_the_tables() -> None:
    made = operation()
    report = made.report()
    segments, uses = made.tables.phase_segments, made.tables.instrument_uses
    assert sum(item.duration_ms for item in report.phases) == pc.sum(segments["duration_ms"]).as_py()
    assert sum(item.share for item in report.phases) == pytest.approx(1.0, abs=0.001)
    assert sum(item.uses for item in report.instruments) == uses.num_rows
    for total in report.instruments:
        own = uses.filter(pc.equal(uses["instrument"], total.instrument)).to_pylist()
        seen = np.zeros(made.video.duration_ms, dtype=bool)
        for row in own:
            seen[row["start_ms"] : row["end_ms"]] = True
        assert total.total_ms == int(seen.sum())
        weights = [row["frame_count"] for row in own]
        scores = [row["mean_score"] for row in own]
        assert total.mean_score == pytest.approx(np.average(scores, weights=weights), abs=2e-4)
    for item in report.structures:
        own = made.tables.anatomy.filter(pc.equal(made.tables.anatomy["structure"], item.structure))
        assert item.visible_share == pytest.approx(own.num_rows / made.tables.frames.num_rows, abs=1e-4)
        assert item.mean_area_fraction == pytest.approx(pc.mean(own["area_fraction"]).as_py(), abs=1e-4)


def test_overlapping_uses_count_once() -> None:
    assert union_ms([(0, 10), (5, 12), (20, 25), (21, 22)]) == 17
    assert union_ms([]) == 0


def test_counts_are_the_rows_that_are_listed() -> None:
    report = operation().report()
    assert report.counts.model_dump() == {
        "status": "completed",
        "phases_count": len(report.phases),
        "instruments_count": len(report.instruments),
        "anatomy_count": len(report.structures),
        "events_count": len(report.events),
    }
    bare = operation().without("events").report()
    assert bare.counts.events_count is None
    assert bare.absence("events") == MissingComponent(component="events", reason="absent")


def test_every_figure_names_rows_that_exist() -> None:
    made = operation()
    report = made.report()
    tables = {
        "phases": made.tables.phases,
        "phase_segments": made.tables.phase_segments,
        "instrument_uses": made.tables.instrument_uses,
        "detections": made.tables.detections,
        "anatomy": made.tables.anatomy,
        "events": made.tables.events,
        "features": made.tables.novelty,
        "frames": made.tables.frames,
    }
    expected = {f"phase.{item.index}" for item in report.phases}
    expected |= {f"event.{item.index}" for item in report.events}
    expected |= {f"use.{item.instrument}.{item.use_index}" for item in report.uses}
    expected |= {f"instrument.{item.instrument}" for item in report.instruments}
    expected |= {f"structure.{item.structure}" for item in report.structures}
    assert expected < set(report.sources)
    stages = {record.asset for record in report.provenance}
    for source in report.sources.values():
        assert source.stage in stages
        if source.table in tables:
            rows = tables[source.table]
            for name, value in source.where.items():
                rows = rows.filter(pc.equal(rows[name], value))
            assert rows.num_rows == source.row_count > 0
            assert set(source.columns) <= set(rows.column_names)


@pytest.mark.parametrize(
    ("confidence", "novelty", "verdict", "reason"),
    [
        (0.95, 0.4, "reliable", None),
        (0.55, 0.4, "uncertain", "low-mean-confidence"),
        (0.95, 0.9, "uncertain", "some-novel-pictures"),
        (0.95, 1.6, "out-of-domain", "novel-pictures"),
    ],
)
def test_the_verdict_follows_confidence_and_novelty(
    confidence: float, novelty: float, verdict: str, reason: str | None
) -> None:
    trust = operation(confidence=confidence, novelty=novelty).report().trust
    assert trust.verdict == verdict
    assert reason is None or reason in trust.reasons


def test_confidence_alone_is_not_called_reliable() -> None:
    made = operation(confidence=0.95).without("novelty")
    assert made.report().trust.verdict == "uncertain"
    assert "novelty-not-measured" in made.report().trust.reasons
    assert made.report(ReportConfig(novelty_required=False)).trust.verdict == "reliable"


def test_flaws_of_the_recording_are_told_with_their_time() -> None:
    made = operation()
    frames = with_rows(made.tables.frames, "frozen", slice(10, 20), True)
    frames = with_rows(frames, "brightness", slice(30, 34), 12.0)
    made = replace(made, tables=replace(made.tables, frames=frames), decoding=DecodingLoss(lost_packets=3, lost_ms=900))
    quality = made.report().quality
    assert [warning.kind for warning in quality.warnings] == ["frozen", "dark", "lost"]
    assert quality.frozen_share == pytest.approx(10 / frames.num_rows, abs=1e-4)
    span = quality.warnings[0].spans[0]
    assert (span.start_ms, span.end_ms) == (5_000, 10_000)
    assert operation().report().quality.warnings == ()


def test_a_report_of_nothing_but_frames_is_possible() -> None:
    made = replace(operation(), tables=ReportTables(frames=operation().tables.frames))
    report = made.report()
    assert [item.component for item in report.missing] == ["features", "phases", "instruments", "anatomy", "events"]
    assert report.key_frames == ()
    assert report.trust.verdict == "uncertain"
    assert report.trust.mean_phase_confidence is None


def test_a_report_of_no_frames_is_possible() -> None:
    tables = ReportTables(frames=operation().tables.frames.slice(0, 0))
    report = replace(operation(), tables=tables).report()
    assert report.quality.frame_count == 0


def test_a_single_frame_is_enough() -> None:
    tables = operation().tables
    alone = ReportTables(frames=tables.frames.slice(0, 1), phases=tables.phases.slice(0, 1))
    assert replace(operation(), tables=alone).report().series.phase_confidence is not None


def test_json_round_trips_and_is_canonical() -> None:
    report = operation().report()
    written = render_json(report)
    assert Report.model_validate_json(written) == report
    assert render_json(Report.model_validate_json(written)) == written


def test_the_hash_knows_content_but_not_the_run() -> None:
    made = operation()
    pictures = {1: b"jpeg"}
    first = report_content_hash(made.report(), pictures)
    again = replace(made, provenance=provenance(run_id="run-2", hour=17))
    assert report_content_hash(again.report(), pictures) == first
    assert render_json(again.report()) != render_json(made.report())
    assert report_content_hash(made.report(), {1: b"JPEG"}) != first
    assert report_content_hash(made.report(), {2: b"jpeg"}) != first
    assert report_content_hash(made.without("events").report(), pictures) != first
