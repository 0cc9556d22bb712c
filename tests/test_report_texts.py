"""Words in both languages: complete, with right plurals and formats."""

from __future__ import annotations

import datetime
import string

import pytest

from models.labels import ANATOMY, INSTRUMENTS, PHASES
from neurovision_assets.schemas import EVENT_KINDS
from neurovision_assets.surgery.colours import colour, ink_on, luminance
from neurovision_assets.surgery.report import sentences
from neurovision_assets.surgery.report.model import Event
from neurovision_assets.surgery.report.texts import LANGUAGES, Words, load_locale


def test_all_languages_say_the_same_things() -> None:
    english, russian = load_locale("en"), load_locale("ru")
    for part in ("texts", "components", "counted", "units", *(f"{kind}_names" for kind in NAMES)):
        assert getattr(english, part).keys() == getattr(russian, part).keys(), part
    for key, text in english.texts.items():
        assert _fields(text) == _fields(russian.texts[key]), key


NAMES = {"phase": PHASES, "instrument": INSTRUMENTS, "structure": ANATOMY[1:], "event": EVENT_KINDS}


@pytest.mark.parametrize("code", LANGUAGES)
def test_every_default_label_has_a_title(code: str) -> None:
    locale = load_locale(code)
    for kind, labels in NAMES.items():
        assert set(getattr(locale, f"{kind}_names")) == set(labels)


def test_a_label_of_a_users_own_model_is_shown_as_it_is() -> None:
    assert Words("ru").name("instrument", "laser-fibre_2") == "Laser fibre 2"


@pytest.mark.parametrize(
    ("number", "said"),
    [
        (0, "0 событий"),
        (1, "1 событие"),
        (2, "2 события"),
        (5, "5 событий"),
        (11, "11 событий"),
        (12, "12 событий"),
        (21, "21 событие"),
        (24, "24 события"),
        (112, "112 событий"),
    ],
)
def test_russian_plurals(number: int, said: str) -> None:
    assert Words("ru").count("event", number) == said


def test_english_plurals() -> None:
    assert [Words("en").count("event", number) for number in (0, 1, 2)] == ["0 events", "1 event", "2 events"]


def test_numbers_and_times() -> None:
    english, russian = Words("en"), Words("ru")
    assert (english.percent(0.8731), russian.percent(0.0421)) == ("87%", "4,2 %")
    assert (english.percent(0.0), english.percent(0.0004), english.percent(0.0996)) == ("0%", "< 0.1%", "10%")
    assert (russian.number(0.914), english.number(None)) == ("0,91", "–")
    assert [english.clock(time) for time in (0, 59_999, 61_000, 3_661_000)] == ["0:00", "0:59", "1:01", "1:01:01"]
    assert [russian.duration(time) for time in (1_240, 42_000, 125_000, 3_720_000)] == [
        "1,2 с",
        "42 с",
        "2 мин 5 с",
        "1 ч 2 мин",
    ]
    assert russian.day(datetime.date(2026, 3, 4)) == "4 марта 2026"
    assert english.span(3_000, 3_400) == "0:03"


def test_an_unknown_language_is_refused() -> None:
    with pytest.raises(ValueError, match="xx"):
        Words("xx")


@pytest.mark.parametrize("kind", NAMES)
def test_text_on_every_colour_is_readable(kind: str) -> None:
    for name in (*NAMES[kind], "a-users-own"):
        ground = colour(kind, name)
        high, low = sorted((luminance(ground), luminance(ink_on(ground))), reverse=True)
        assert (high + 0.05) / (low + 0.05) >= 4.5, name


def _fields(text: str) -> set[str]:
    return {field for _, field, _, _ in string.Formatter().parse(text) if field}


@pytest.mark.parametrize(
    ("kind", "detail", "english", "russian"),
    [
        ("idle", "idle_ms=31000 frames=31", "No instrument in view for 31 s.", "Ни одного инструмента в кадре 31 с."),
        (
            "instrument-exchange",
            "gone=hook come=clipper gap_ms=520 unfamiliar=0.50",
            "Hook electrode out, Clip applier in after 0.5 s. 50% of these pictures are unfamiliar to the models.",
            None,
        ),
        ("idle", "seconds=3 of my own rule", "seconds=3 of my own rule", "seconds=3 of my own rule"),
    ],
)
def test_what_a_rule_saw_is_a_sentence(kind: str, detail: str, english: str, russian: str | None):
    event = Event(
        index=0,
        kind=kind,
        start_ms=0,
        end_ms=1000,
        duration_ms=1000,
        score=1.0,
        phase=None,
        rule="rule",
        rule_version="1.0.0",
        detail=detail,
        evidence_frames=(),
        key_frame=None,
    )
    assert sentences.finding(event, Words("en")) == english
    told = sentences.finding(event, Words("ru"))
    assert told == russian if russian else "50" in told


@pytest.mark.parametrize(
    ("code", "kind", "title"),
    [
        ("en", "laparoscopic-cholecystectomy", "Laparoscopic cholecystectomy"),
        ("ru", "Laparoscopic Cholecystectomy", "Лапароскопическая холецистэктомия"),
        ("ru", "резекция печени, 2-й этап", "резекция печени, 2-й этап"),
    ],
)
def test_a_known_type_of_operation_has_its_title_and_other_words_stay(code: str, kind: str, title: str):
    assert Words(code).operation(kind) == title
