"""The checkpoint: every planted error is caught, with row and reason, and good data pass.

Belongs here: errors in the tables of a version. Does not belong here: errors in files that are imported.
"""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from neurovision_assets.tables import TableContract
from neurovision_assets.training.dataset.folder import DatasetFolder, write_rows
from neurovision_assets.training.dataset.schemas import (
    BOXES,
    EVENT_SPANS,
    FRAMES,
    MASKS,
    OPERATIONS,
    PHASE_SPANS,
    PRESENCE,
    SPLITS,
)
from neurovision_assets.training.dataset.summary import balance_of
from neurovision_assets.training.validation.asset import CHECKPOINT, check_result
from neurovision_assets.training.validation.checkpoint import Finding, ValidationReport, run_checkpoint
from neurovision_assets.training.validation.expectations import DATA, SPLIT
from neurovision_assets.training.validation.facts import facts_of, split_facts_of
from tests.sets import mask_png, small_version

REPOSITORY = Path(__file__).resolve().parents[1]
Row = dict[str, Any]


@dataclass(frozen=True)
class Plant:
    """An error, put into one row of one operation of its own; `row` counts in the table, where it is found."""

    contract: TableContract
    row: int
    change: Row
    column: str
    reason: str


REVIEWED = {"author": "reviewer-7", "annotated_at": datetime(2025, 11, 1, 10, tzinfo=UTC)}
# Operation n owns row n of tables with one row an operation, and rows 3n to 3n + 2 of the phases.
PLANTS = {
    "gap": Plant(PHASE_SPANS, 1, {"start_ms": 12000}, "gap_ms", "no phase between"),
    "overlap": Plant(PHASE_SPANS, 4, {"start_ms": 8000}, "overlap_ms", "before the one before has ended"),
    "unknown phase": Plant(PHASE_SPANS, 7, {"phase": "lunch"}, "phase", "the phase is unknown"),
    "phase backwards": Plant(PHASE_SPANS, 9, {"end_ms": 0}, "length_ms", "ends before it begins"),
    "phase beyond the video": Plant(PHASE_SPANS, 14, {"end_ms": 32000}, "beyond_end_ms", "beyond the end"),
    "nothing at the end": Plant(PHASE_SPANS, 17, {"end_ms": 25000}, "unlabelled_at_end_ms", "no phase at the end"),
    "nothing at the beginning": Plant(
        PHASE_SPANS, 18, {"start_ms": 5000}, "unlabelled_at_start_ms", "no phase at the b"
    ),
    "no surgeon": Plant(OPERATIONS, 7, {"surgeon": ""}, "surgeon", "nobody says who operated"),
    "no type": Plant(OPERATIONS, 8, {"operation_type": ""}, "operation_type", "nobody says what was operated"),
    "no patient": Plant(OPERATIONS, 9, {"patient": ""}, "patient", "nobody says whom"),
    "box outside": Plant(BOXES, 10, {"x_max_px": 330.0, **REVIEWED}, "outside_px", "outside of the picture"),
    "box above": Plant(BOXES, 11, {"y_min_px": -9.0}, "outside_px", "outside of the picture"),
    "empty box": Plant(BOXES, 12, {"x_max_px": 10.0}, "smaller_side_px", "the box is empty"),
    "unknown instrument": Plant(BOXES, 13, {"instrument": "spoon"}, "instrument", "the instrument is unknown"),
    "box beyond the video": Plant(BOXES, 14, {"timestamp_ms": 99000}, "beyond_end_ms", "beyond the end"),
    "mask of the wrong size": Plant(MASKS, 15, {"png": mask_png(64, 48)}, "size", "not the size of the picture"),
    "mask of an unknown class": Plant(MASKS, 16, {"png": mask_png(320, 240, 99)}, "content", "cannot be used"),
    "mask that is none": Plant(MASKS, 17, {"png": b"no picture"}, "content", "cannot be used"),
    "unknown event": Plant(EVENT_SPANS, 18, {"kind": "applause"}, "kind", "the kind of event is unknown"),
    "event beyond the video": Plant(EVENT_SPANS, 19, {"end_ms": 45000}, "beyond_end_ms", "beyond the end"),
    "unknown tool": Plant(PRESENCE, 20, {"instrument": "fork"}, "instrument", "the instrument is unknown"),
    "box of no operation": Plant(BOXES, 21, {"operation": "nobodys"}, "has_operation", "the operation is in no set"),
    "box that is no number": Plant(BOXES, 22, {"x_max_px": float("nan")}, "outside_px", "outside of the picture"),
}
SPLIT_PLANTS = {
    "one patient in two splits": ("patient", "the patient is in more than one split"),
    "one video in two splits": ("recording", "the recording is in more than one split"),
    "one surgeon in two splits": ("surgeon", "the surgeon is in more than one split"),
    "one operation in two splits": ("operation", "the operation is in more than one split"),
}


def planted(folder: DatasetFolder) -> None:
    small_version(folder, operations=24)
    for contract in {plant.contract for plant in PLANTS.values()}:
        rows = folder.rows(contract)
        for plant in PLANTS.values():
            if plant.contract == contract:
                rows[plant.row].update(plant.change)
        folder.write(contract, rows)


@pytest.fixture(scope="module")
def clean(tmp_path_factory: pytest.TempPathFactory) -> ValidationReport:
    folder = DatasetFolder(tmp_path_factory.mktemp("clean"))
    small_version(folder)
    before = balance_of(folder)
    return run_checkpoint(facts_of(folder, before), DATA, tmp_path_factory.mktemp("validation"))


@pytest.fixture(scope="module")
def report_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("validation")


@pytest.fixture(scope="module")
def report(report_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> ValidationReport:
    folder = DatasetFolder(tmp_path_factory.mktemp("planted"))
    small_version(folder)
    before = {**balance_of(folder), "phase": {"preparation": 0.9, "gallbladder-dissection": 0.1}}
    planted(folder)
    return run_checkpoint(facts_of(folder, before), DATA, report_folder)


def test_good_data_pass(clean: ValidationReport) -> None:
    assert clean.findings == ()
    assert clean.expectations > 20
    result = check_result(clean, Path("anywhere"))
    assert result.passed


@pytest.mark.parametrize("what", PLANTS)
def test_every_planted_error_is_caught_with_row_and_reason(report: ValidationReport, what: str) -> None:
    plant = PLANTS[what]
    is_edge = plant.column.startswith("unlabelled")
    table, row = ("operations", plant.row // 3) if is_edge else (plant.contract.name, plant.row)
    [finding] = [each for each in report.findings if (each.table, each.column) == (table, plant.column)]
    assert plant.reason in finding.reason
    assert finding.blocks
    assert row in [each["row"] for each in finding.rows]


def test_only_planted_errors_are_found(report: ValidationReport) -> None:
    found = {(each.table, each.column) for each in report.findings if each.blocks}
    edges = {("operations", "unlabelled_at_end_ms"), ("operations", "unlabelled_at_start_ms")}
    assert found <= edges | {(plant.contract.name, plant.column) for plant in PLANTS.values()}
    for finding in report.findings:
        if finding.table != "class_shares" and not finding.column.startswith("unlabelled"):
            own = [p.row for p in PLANTS.values() if (p.contract.name, p.column) == (finding.table, finding.column)]
            spoilt = [plant.row for plant in PLANTS.values() if plant.contract.name == finding.table == "phases"]
            follow_ups = {row + 1 for row in spoilt}  # the span behind a spoilt one begins too late or too early
            assert {each["row"] for each in finding.rows} <= set(own) | follow_ups


def test_a_changed_balance_is_a_warning(report: ValidationReport) -> None:
    [drift] = [finding for finding in report.findings if finding.table == "class_shares"]
    assert not drift.blocks
    assert drift.rows[0]["change"] < -0.1 or drift.rows[0]["change"] > 0.1
    only = report.model_copy(update={"findings": (drift,)})
    result = check_result(only, Path("anywhere"))
    assert (result.passed, result.severity) == (False, dg.AssetCheckSeverity.WARN)
    assert str(result.description).startswith("To be looked at: class_shares, row ")


def test_failure_says_so_and_names_rows(report: ValidationReport) -> None:
    result = check_result(report, Path("anywhere"))
    assert (result.passed, result.severity) == (False, dg.AssetCheckSeverity.ERROR)
    assert str(result.description).startswith("Data validation failed: operations, row ")
    table = result.metadata["findings"]
    assert isinstance(table, dg.TableMetadataValue)
    assert {"table", "row", "operation", "said_by", "reason", "value"} == set(table.records[0].data)


def test_the_report_and_the_data_docs_are_there(report: ValidationReport, report_folder: Path) -> None:
    content = json.loads((report_folder / "report.json").read_text())
    assert content["checkpoint"] == CHECKPOINT == "surgical_data_checkpoint"
    assert len(content["results"]) == report.expectations
    assert {each["success"] for each in content["results"]} == {True, False}
    page = Path(report.data_docs.removeprefix("file://"))
    assert "<html" in page.read_text()
    assert list((report_folder / "gx" / "checkpoints").glob(f"{CHECKPOINT}*"))


def test_a_correction_is_named_by_author_and_time(report: ValidationReport) -> None:
    [finding] = [each for each in report.findings if each.column == "outside_px"]
    assert str(finding).startswith("boxes, row 10 (operation_010, reviewer-7 at 2025-11-01T10:00:00Z): the box lies")
    assert {row["row"]: row["said_by"] for row in finding.rows}[11] == "", "an imported set's row has no time"
    [unknown] = [each for each in report.findings if each.column == "instrument" and each.table == "presence"]
    assert str(unknown).startswith("presence, row 20 (operation_020): ")


@pytest.fixture(scope="module")
def leaks(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Finding]:
    folder = DatasetFolder(tmp_path_factory.mktemp("leaks"))
    small_version(folder, operations=8)
    operations = folder.rows(OPERATIONS)
    for number, row in enumerate(operations):
        row["surgeon"] = f"surgeon-{number}"
    operations[0]["patient"] = operations[6]["patient"]
    operations[1]["surgeon"] = operations[7]["surgeon"]
    folder.write(OPERATIONS, operations)
    twin = list(folder.pictures(FRAMES, "operation_006"))
    path = folder.pictures_path(FRAMES, "operation_002")
    write_rows(path, FRAMES, [{**row, "operation": "operation_002"} for row in twin])
    splits = folder.rows(SPLITS)
    folder.write(SPLITS, [*splits, {"operation": "operation_003", "split": "val"}])
    facts = split_facts_of(folder, surgeons=True)
    return {one.column: one for one in run_checkpoint(facts, SPLIT, tmp_path_factory.mktemp("validation")).findings}


@pytest.mark.parametrize("what", SPLIT_PLANTS)
def test_every_planted_leak_is_caught(leaks: dict[str, Finding], what: str) -> None:
    kind, reason = SPLIT_PLANTS[what]
    finding = leaks[f"splits_of_{kind}"]
    assert finding.reason == reason
    assert finding.blocks
    rows = {
        "patient": {"operation_000", "operation_006", "operation_003"},
        "recording": {"operation_002", "operation_006", "operation_003"},
        "surgeon": {"operation_001", "operation_007", "operation_003"},
        "operation": {"operation_003"},
    }
    assert {row["operation"] for row in finding.rows} == rows[kind]


def test_surgeons_may_be_on_both_sides_where_only_patients_are_grouped(tmp_path: Path) -> None:
    folder = DatasetFolder(tmp_path)
    small_version(folder)
    facts = split_facts_of(folder, surgeons=False)
    assert set(facts["splits"]["splits_of_surgeon"]) == {1}
    assert set(split_facts_of(folder, surgeons=True)["splits"]["splits_of_surgeon"]) > {1}


def test_the_code_location_loads_without_the_validation_library() -> None:
    code = "import sys, neurovision_assets.definitions; print(*{'great_expectations', 'sklearn'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True, check=True)
    assert done.stdout.split() == []
