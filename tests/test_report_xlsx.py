"""The workbook: opens, typed, equal to the tables, harmless."""

from __future__ import annotations

import datetime
from dataclasses import replace
from io import BytesIO
from typing import Any
from zipfile import ZipFile

import openpyxl
import pyarrow.compute as pc
import pytest

from neurovision_assets.surgery.report.texts import LANGUAGES, Words
from neurovision_assets.surgery.report.xlsx import DAY_MS, FIXED_TIME, SHEETS, ZIP_TIME, render_xlsx
from tests.report_fixture import facts, operation

FORMULAS = ('=HYPERLINK("http://evil","x")', "+1+1", "-2", "@SUM(A1)", "\tx")


def opened(workbook: bytes) -> Any:
    return openpyxl.load_workbook(BytesIO(workbook))


def values(sheet: Any, column: int) -> list[Any]:
    return [row[column].value for row in sheet.iter_rows(min_row=2)]


@pytest.mark.parametrize("code", LANGUAGES)
def test_all_sheets_open_with_frozen_heads(code: str) -> None:
    book = opened(render_xlsx(operation().report(), code))
    assert book.sheetnames == list(SHEETS)
    for sheet in book:
        assert sheet.freeze_panes == "A2"
        assert all(cell.value for cell in sheet[1])
        assert sheet.column_dimensions["A"].width >= 10


def test_totals_equal_the_tables() -> None:
    made = operation()
    book = opened(render_xlsx(made.report(), "en"))
    durations = [_milliseconds(value) for value in values(book["Phases"], 5)]
    assert sum(durations) == pc.sum(made.tables.phase_segments["duration_ms"]).as_py()
    uses = [_milliseconds(value) for value in values(book["Uses"], 5)]
    assert sum(uses) == pc.sum(made.tables.instrument_uses["duration_ms"]).as_py()
    assert sum(values(book["Instruments"], 3)) == made.tables.instrument_uses.num_rows
    assert book["Events"].max_row - 1 == made.tables.events.num_rows
    assert values(book["Anatomy"], 2) == [item.frame_count for item in made.report().structures]


def test_cells_are_typed() -> None:
    book = opened(render_xlsx(operation().report(), "ru"))
    confidence = book["Phases"].cell(2, 8)
    assert isinstance(confidence.value, float)
    assert confidence.number_format == "0.0%"
    date = next(row[1] for row in book["Summary"].iter_rows(min_row=2) if row[0].value == Words("ru").text("date"))
    assert date.value == datetime.datetime(2026, 3, 14)


def test_text_never_becomes_a_formula() -> None:
    made = operation()
    keys = ("surgeon", "department", "operation_type", "operation_id", "patient_pseudonym")
    bad = facts(made.plan, **dict(zip(keys, FORMULAS, strict=True)))
    book = opened(render_xlsx(replace(made, video=bad).report(), "en"))
    cells = [cell for row in book["Summary"].iter_rows() for cell in row if str(cell.value).startswith(FORMULAS)]
    assert len(cells) == len(FORMULAS)
    assert all(cell.data_type == "s" and cell.quotePrefix for cell in cells)


def test_control_characters_do_not_break_it() -> None:
    made = operation()
    book = opened(render_xlsx(replace(made, video=facts(made.plan, surgeon="A\x00B\x0b")).report(), "en"))
    assert "A\ufffdB\ufffd" in values(book["Summary"], 1)


def test_two_builds_are_byte_identical() -> None:
    workbook = render_xlsx(operation().report(), "ru")
    assert workbook == render_xlsx(operation().report(), "ru")
    with ZipFile(BytesIO(workbook)) as archive:
        assert {entry.date_time for entry in archive.infolist()} == {ZIP_TIME}
        assert archive.read("docProps/core.xml").count(FIXED_TIME.encode()) == 2


def test_missing_parts_are_empty_sheets_and_are_told() -> None:
    book = opened(render_xlsx(operation().without("anatomy").report(), "en"))
    assert book["Anatomy"].max_row == 1
    assert any("Anatomy" in str(value) for value in values(book["Summary"], 1))


def _milliseconds(value: Any) -> int:
    """Openpyxl reads a cell with a time format as time or timedelta."""
    if isinstance(value, datetime.timedelta):
        return round(value / datetime.timedelta(milliseconds=1))
    if isinstance(value, datetime.time):
        return round((value.hour * 3600 + value.minute * 60 + value.second) * 1000 + value.microsecond / 1000)
    return round(value * DAY_MS)
