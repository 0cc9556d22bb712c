"""One text in every language at once, for a page that can switch between them.

Belongs here: pairing `Words` of all languages, and their markup. Does not belong here: the words, the page.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from markupsafe import Markup, escape

from neurovision_assets.surgery.report.texts import Words


class Both:
    """A text by language code; in markup each language is a `span` of its own, or none if all are alike."""

    def __init__(self, texts: dict[str, str]) -> None:
        self._texts = texts

    def of(self, code: str) -> str:
        """The text in one language."""
        return self._texts[code]

    def __html__(self) -> str:
        if len(set(self._texts.values())) == 1:
            return str(escape(next(iter(self._texts.values()))))
        span = Markup('<span lang="{}">{}</span>')
        return str(Markup("").join(span.format(code, text) for code, text in self._texts.items()))


class Speaker:
    """Says everything that `Words` can say in all languages: ``speaker.percent(0.5)``, with `Both` as arguments too.

    Args:
        words: one for each language, the default first.
    """

    def __init__(self, words: Sequence[Words]) -> None:
        self._words = words

    def __getattr__(self, method: str) -> Callable[..., Both]:
        if not hasattr(Words, method):
            raise AttributeError(method)

        def say(*arguments: Any, **named: Any) -> Both:
            return Both(
                {
                    words.code: getattr(words, method)(
                        *(_in(words.code, argument) for argument in arguments),
                        **{name: _in(words.code, argument) for name, argument in named.items()},
                    )
                    for words in self._words
                }
            )

        return say

    def listed(self, items: Sequence[Both | str], empty: Both) -> Both:
        """The items with commas between them, or `empty`."""
        if not items:
            return empty
        return Both({words.code: ", ".join(_in(words.code, item) for item in items) for words in self._words})


def _in(code: str, value: Any) -> Any:
    return value.of(code) if isinstance(value, Both) else value
