"""The report on paper: readable text in both languages, all tables, the same every time."""

from __future__ import annotations

from dataclasses import replace
from io import BytesIO

import pytest
from pypdf import PdfReader

from neurovision_assets.surgery.report.model import MissingComponent, Source
from neurovision_assets.surgery.report.pdf import render_pdf
from neurovision_assets.surgery.report.pictures import load_pictures
from neurovision_assets.surgery.report.source_families import families
from neurovision_assets.surgery.report.texts import LANGUAGES, Words
from tests.report_fixture import Operation, facts, operation


def made_pdf(made: Operation, language: str) -> bytes:
    report = made.report()
    return render_pdf(report, load_pictures(report, made.load_frame), language)


def text_of(pdf: bytes) -> str:
    return " ".join(" ".join(page.extract_text() for page in PdfReader(BytesIO(pdf)).pages).split())


@pytest.mark.parametrize("code", LANGUAGES)
def test_its_text_is_text(code: str) -> None:
    report = operation().report()
    text, words = text_of(made_pdf(operation(), code)), Words(code)
    for key in ("timeline", "key_frames", "instruments", "events", "anatomy", "quality", "provenance"):
        assert words.text(key) in text
    for segment in report.phases:
        assert words.name("phase", segment.phase) in text
    for total in report.instruments:
        assert words.duration(total.total_ms) in text
    assert words.text("page", page=1, pages=len(PdfReader(BytesIO(made_pdf(operation(), code))).pages)) in text


def test_cyrillic_is_embedded() -> None:
    pdf = PdfReader(BytesIO(made_pdf(operation(), "ru")))
    fonts = [font.get_object() for page in pdf.pages for font in page["/Resources"]["/Font"].values()]
    used = [font for font in fonts if "DejaVu" in str(font["/BaseFont"])]
    assert used
    assert all("/FontFile2" in font["/FontDescriptor"] for font in used)
    assert pdf.metadata is not None
    assert str(pdf.metadata.title).startswith("Отчёт об операции")
    assert any("Инструменты" in str(entry) for entry in pdf.outline)


def test_it_has_as_many_pictures_as_the_report() -> None:
    report = operation().report()
    pages = PdfReader(BytesIO(made_pdf(operation(), "en"))).pages
    jpegs = [image for page in pages for image in page.images if image.name.endswith((".jpg", ".jpeg"))]
    assert len(jpegs) == len(report.key_frames)


def test_origins_that_differ_in_a_number_alone_share_a_line() -> None:
    report = operation().report()
    told = {family.figure: family for family in families(report.sources)}
    last = len(report.events) - 1
    assert last > 0
    events = told[f"event.0–{last}"]
    assert events.where == {"event_index": f"0–{last}"}
    assert events.source.row_count == len(report.events)
    assert events.source.first_frame == min(frame for event in report.events for frame in event.evidence_frames)
    assert events.source.last_frame == max(frame for event in report.events for frame in event.evidence_frames)
    assert told["video"].source == report.sources["video"]
    total = told[f"instrument.{report.instruments[0].instrument}"]
    assert total.where == {"instrument": report.instruments[0].instrument}
    assert f"event_index = 0–{last}" in text_of(made_pdf(operation(), "en"))


def test_origins_of_different_columns_or_with_a_gap_do_not() -> None:
    one = Source(stage="s", table="t", columns=("a",), where={"index": 0, "kind": "x"}, row_count=1, first_frame=3)
    second = one.model_copy(update={"where": {"index": 1, "kind": "x"}, "first_frame": None})
    other = one.model_copy(update={"where": {"index": 2, "kind": "y"}})
    far = one.model_copy(update={"where": {"index": 10, "kind": "x"}})
    found = families({"row.10": far, "row.2": other, "row.1": second, "row.0": one, "row": one})
    assert [family.figure for family in found] == ["row", "row.0–1", "row.2", "row.10"]
    assert (found[1].where, found[1].source.first_frame) == ({"index": "0–1", "kind": "x"}, 3)


def test_two_builds_are_byte_identical() -> None:
    assert made_pdf(operation(), "ru") == made_pdf(operation(), "ru")


def test_hostile_words_and_missing_parts() -> None:
    made = operation()
    bad = facts(made.plan, surgeon="<b>O'Neil</b> & <font size=99>", operation_type="<para>=1+1")
    gone = MissingComponent(component="anatomy", reason="failed", detail="<broken & unclosed")
    text = text_of(made_pdf(replace(made.without("anatomy"), video=bad, missing=(gone,)), "en"))
    assert "<b>O'Neil</b> & <font size=99>" in text
    assert "<para>=1+1" in text
    assert text.count("<broken & unclosed") == 2


def test_the_verdict_is_there() -> None:
    text = text_of(made_pdf(operation(novelty=1.6), "ru"))
    assert Words("ru").text("verdict_out-of-domain") in text
