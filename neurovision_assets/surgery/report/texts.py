"""The report's words in each language, and how numbers and times are written in it.

Belongs here: looking words up, plural forms, number formats. Does not belong here: the words (``locales/*.yaml``; a
further language is a further file and its plural rule here).
"""

from __future__ import annotations

import datetime
from collections.abc import Callable
from functools import cache
from importlib.resources import files
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

LANGUAGES = ("en", "ru")
"""Languages of a report; the first is the default."""

NameKind = Literal["phase", "instrument", "structure", "event"]
NO_FIGURE = "–"
SECOND_MS, MINUTE_S, HOUR_S = 1000, 60, 3600


def _english_plural(count: int) -> str:
    return "one" if count == 1 else "other"


def _russian_plural(count: int) -> str:
    """Plural category of CLDR for whole numbers."""
    if count % 10 == 1 and count % 100 != 11:
        return "one"
    return "few" if count % 10 in (2, 3, 4) and count % 100 not in (12, 13, 14) else "many"


PLURAL_RULES: dict[str, Callable[[int], str]] = {"en": _english_plural, "ru": _russian_plural}


class Locale(BaseModel):
    """The content of one locale file."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    language: str
    decimal_point: str
    percent: str
    months: tuple[str, ...]
    units: dict[str, str]
    texts: dict[str, str]
    components: dict[str, str]
    counted: dict[str, dict[str, str]]
    phase_names: dict[str, str]
    instrument_names: dict[str, str]
    structure_names: dict[str, str]
    event_names: dict[str, str]
    operation_names: dict[str, str]


@cache
def load_locale(code: str) -> Locale:
    """The locale file of a language code.

    Raises:
        ValueError: there is none.
    """
    import yaml

    if code not in LANGUAGES:
        raise ValueError(f"no report language {code!r}; there are {', '.join(LANGUAGES)}")
    text = files(__package__).joinpath("locales", f"{code}.yaml").read_text(encoding="utf-8")
    return Locale.model_validate(yaml.safe_load(text))


class Words:
    """Everything that a report says in one language.

    Args:
        code: one of `LANGUAGES`.
    """

    def __init__(self, code: str) -> None:
        self.code = code
        self._locale = load_locale(code)

    @property
    def language(self) -> str:
        """The language's own name."""
        return self._locale.language

    def text(self, key: str, **values: Any) -> str:
        """A text with its values filled in."""
        return self._locale.texts[key].format(**values)

    def count(self, noun: str, number: int) -> str:
        """`number` with the noun in the right form."""
        return self._locale.counted[noun][PLURAL_RULES[self.code](number)].format(n=number)

    def name(self, kind: NameKind, name: str) -> str:
        """The title of a phase, instrument, structure or event; a name of a user's own model is shown as it is."""
        names: dict[str, str] = getattr(self._locale, f"{kind}_names")
        return names.get(name) or (name[:1].upper() + name[1:]).replace("-", " ").replace("_", " ")

    def operation(self, kind: str) -> str:
        """The title of a type of operation; what people wrote in their own words stays as it is."""
        return self._locale.operation_names.get(kind.casefold().replace(" ", "-"), kind)

    def component(self, name: str) -> str:
        """The title of a part of the report."""
        return self._locale.components[name]

    def number(self, value: float | None, digits: int = 2) -> str:
        """A number with a fixed count of digits after the point."""
        return NO_FIGURE if value is None else f"{value:.{digits}f}".replace(".", self._locale.decimal_point)

    def plain(self, value: float) -> str:
        """A number with at most two digits after the point, none when they are zeros."""
        return f"{value:.2f}".rstrip("0").rstrip(".").replace(".", self._locale.decimal_point)

    def percent(self, share: float | None) -> str:
        """A share of one as percent: one digit below ten percent, none above; what is not zero never reads as zero."""
        if share is None:
            return NO_FIGURE
        if 0 < share < 0.001:
            return f"< {self._locale.percent.format(value=self.number(0.1, 1))}"
        digits = 1 if 0 < share < 0.0995 else 0
        return self._locale.percent.format(value=self.number(share * 100, digits))

    def clock(self, time_ms: int, *, tenths: bool = False) -> str:
        """A moment of the operation: m:ss, from an hour on h:mm:ss."""
        seconds, rest_ms = divmod(time_ms, SECOND_MS)
        hours, minutes = seconds // HOUR_S, seconds % HOUR_S // MINUTE_S
        start = f"{hours}:{minutes:02d}" if hours else f"{minutes}"
        end = f"{self._locale.decimal_point}{rest_ms // 100}" if tenths else ""
        return f"{start}:{seconds % MINUTE_S:02d}{end}"

    def span(self, start_ms: int, end_ms: int) -> str:
        """From a moment to another; one moment when both read the same."""
        start, end = self.clock(start_ms), self.clock(end_ms)
        return start if start == end else f"{start}–{end}"

    def duration(self, time_ms: int) -> str:
        """A length of time with units, the two largest that are not zero."""
        units = self._locale.units
        if time_ms < 10 * SECOND_MS:
            return f"{self.plain(round(time_ms / SECOND_MS, 1))} {units['second']}"
        seconds = round(time_ms / SECOND_MS)
        hours, minutes, seconds = seconds // HOUR_S, seconds % HOUR_S // MINUTE_S, seconds % MINUTE_S
        parts = [(hours, units["hour"]), (minutes, units["minute"]), (seconds, units["second"])]
        return " ".join([f"{amount} {unit}" for amount, unit in parts if amount][:2])

    def day(self, date: datetime.date) -> str:
        """A date with its month in words."""
        return f"{date.day} {self._locale.months[date.month - 1]} {date.year}"
