"""The page: self-contained, bilingual, complete, safe, the same every time."""

from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from neurovision_assets.surgery.report.html import render_html
from neurovision_assets.surgery.report.model import MissingComponent, Report
from neurovision_assets.surgery.report.pictures import load_pictures
from neurovision_assets.surgery.report.texts import LANGUAGES, Words
from tests.report_fixture import Operation, facts, operation

HOSTILE = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>&"
LOADING = {"src", "href", "xlink:href", "action", "data", "poster", "srcset"}
LINKS = {"href", "xlink:href"}
VOID = {"meta", "input", "img", "br", "link", "hr"}


class Page(HTMLParser):
    """Collects what a test asks for."""

    def __init__(self, page: bytes) -> None:
        super().__init__()
        self.loads: list[str] = []
        self.ids: list[str] = []
        self.links: list[str] = []
        self.scripts = 0
        self.images: list[dict[str, str | None]] = []
        self.said = dict.fromkeys(LANGUAGES, "")
        self._languages: list[str | None] = []
        self.feed(page.decode())
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Ids, links, pictures; the language of what follows."""
        known = dict(attrs)
        self.loads += [value or "" for name, value in attrs if name in LOADING]
        self.ids += [value for name, value in attrs if name == "id" and value]
        self.links += [value[1:] for name, value in attrs if name in LINKS and value and value[0] == "#"]
        self.scripts += tag == "script"
        if tag == "img":
            self.images.append(known)
        if tag not in VOID:
            self._languages.append(known.get("lang") if tag != "html" else None)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """An element without content."""
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self._languages.pop()

    def handle_endtag(self, tag: str) -> None:
        """Back to the language around."""
        if tag not in VOID:
            self._languages.pop()

    def handle_data(self, data: str) -> None:
        """Text, in the language it stands in."""
        language = next((one for one in reversed(self._languages) if one), None)
        for code in LANGUAGES:
            if language in (None, code):
                self.said[code] += data


def made_page(made: Operation, language: str = "en") -> tuple[Report, bytes]:
    report = made.report()
    return report, render_html(report, load_pictures(report, made.load_frame), language)


@pytest.fixture(scope="module")
def usual() -> tuple[Report, bytes]:
    return made_page(operation())


def test_it_loads_nothing(usual: tuple[Report, bytes]) -> None:
    page = Page(usual[1])
    assert all(load.startswith(("#", "data:image/jpeg;base64,")) for load in page.loads)
    assert not re.search(r"@import|url\(\s*['\"]?(?!#)", usual[1].decode())
    assert "default-src 'none'" in usual[1].decode()


def test_every_link_leads_somewhere_and_ids_are_unique(usual: tuple[Report, bytes]) -> None:
    page = Page(usual[1])
    assert set(page.links) <= set(page.ids)
    assert len(page.ids) == len(set(page.ids))


@pytest.mark.parametrize("code", LANGUAGES)
def test_everything_is_said_in_each_language(usual: tuple[Report, bytes], code: str) -> None:
    report, page = usual
    said, words = Page(page).said[code], Words(code)
    for segment in report.phases:
        assert words.name("phase", segment.phase) in said
        assert words.percent(segment.mean_confidence) in said
    for event in report.events:
        assert words.name("event", event.kind) in said
        assert words.span(event.start_ms, event.end_ms) in said
    for total in report.instruments:
        assert words.name("instrument", total.instrument) in said
        assert words.duration(total.total_ms) in said
    for item in report.structures:
        assert words.name("structure", item.structure) in said
    other = Words(next(one for one in LANGUAGES if one != code))
    assert other.text("provenance_hint") not in said


def test_rows_of_every_segment_and_event_can_be_linked_to(usual: tuple[Report, bytes]) -> None:
    report, page = usual
    ids = set(Page(page).ids)
    assert {f"phase-{item.index}" for item in report.phases} <= ids
    assert {f"event-{item.index}" for item in report.events} <= ids
    assert {f"frame-{item.frame_index}" for item in report.key_frames} <= ids


def test_the_timeline_leads_to_pictures(usual: tuple[Report, bytes]) -> None:
    report, page = usual
    for segment in report.phases:
        assert f'xlink:href="#frame-{segment.key_frame}"' in page.decode()


def test_pictures_are_described_in_words(usual: tuple[Report, bytes]) -> None:
    images = Page(usual[1]).images
    assert len(images) == len(usual[0].key_frames)
    assert all(image["alt"] == image["data-alt-en"] != image["data-alt-ru"] for image in images)


def test_provenance_is_there(usual: tuple[Report, bytes]) -> None:
    report, page = usual
    for record in report.provenance:
        assert record.asset in page.decode()
        assert record.stage_config_hash in page.decode()
    assert report.video.upload_sha256[0] in page.decode()
    assert all(model.digest in page.decode() for model in report.models)


def test_two_builds_are_byte_identical(usual: tuple[Report, bytes]) -> None:
    assert made_page(operation())[1] == usual[1]


def test_the_default_language_can_be_chosen() -> None:
    page = made_page(operation(), "ru")[1].decode()
    assert '<html lang="ru">' in page
    assert re.search(r'id="lang-ru"[^>]* checked', page)
    assert not re.search(r'id="lang-en"[^>]* checked', page)


def test_hostile_words_stay_words() -> None:
    made = operation()
    bad = facts(made.plan, surgeon=HOSTILE, operation_type=HOSTILE, department=HOSTILE, operation_id=HOSTILE)
    gone = MissingComponent(component="anatomy", reason="failed", detail=HOSTILE)
    page = made_page(replace(made.without("anatomy"), video=bad, profile=HOSTILE, missing=(gone,)))[1]
    read = Page(page)
    assert read.scripts == 1
    assert "<script>alert" not in page.decode()
    assert all(image["src"] and image["src"].startswith("data:") for image in read.images)
    assert HOSTILE in read.said["en"]


@pytest.mark.parametrize("code", LANGUAGES)
def test_missing_components_are_told_where_they_would_stand(code: str) -> None:
    made = replace(
        operation().without("anatomy", "events"),
        missing=(
            MissingComponent(component="anatomy", reason="disabled"),
            MissingComponent(component="events", reason="failed", detail="the rules were not found"),
        ),
        profile="fast_debug",
    )
    page = made_page(made)[1]
    words, said = Words(code), Page(page).said[code]
    gone = words.text("missing_disabled", component=words.component("anatomy"), profile="fast_debug")
    assert words.text("missing_title") in said
    assert said.count(gone) == 2
    assert said.count("the rules were not found") == 2
    assert words.text("nothing_anatomy") not in said


@pytest.mark.parametrize("code", LANGUAGES)
def test_pictures_of_another_domain_are_called_so(code: str) -> None:
    page = made_page(operation(novelty=1.6))[1]
    said, words = Page(page).said[code], Words(code)
    assert words.text("verdict_out-of-domain") in said
    assert words.text("verdict_out-of-domain_more") in said
    assert 'class="verdict out-of-domain"' in page.decode()


def test_nothing_found_is_said() -> None:
    made = operation()
    empty = replace(made, tables=replace(made.tables, events=made.tables.events.slice(0, 0)))
    assert Words("en").text("nothing_events") in Page(made_page(empty)[1]).said["en"]
