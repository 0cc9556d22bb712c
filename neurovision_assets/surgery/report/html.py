"""The report as one self-contained page, in every language at once.

Belongs here: what the template needs beside the report. Does not belong here: markup (``templates/``), words.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Mapping
from functools import cache
from importlib.resources import files
from typing import Any, get_args

from neurovision_assets.surgery.colours import colour, ink_on
from neurovision_assets.surgery.report import sentences
from neurovision_assets.surgery.report.bilingual import Both, Speaker
from neurovision_assets.surgery.report.canvas import to_svg
from neurovision_assets.surgery.report.charts import ChartName, draw
from neurovision_assets.surgery.report.model import Caption, KeyFrame, Report
from neurovision_assets.surgery.report.pictures import Picture
from neurovision_assets.surgery.report.texts import LANGUAGES, Words

CHART_WIDTH_PX = 1056
"""Width of the page's column on a desk."""


def render_html(report: Report, pictures: Mapping[int, Picture], default_language: str = LANGUAGES[0]) -> bytes:
    """The page, UTF-8; it loads nothing from anywhere, works without scripts in the default language, and prints.

    Args:
        report: the report.
        pictures: of the key frames, by frame_index; a key frame without one is left out.
        default_language: shown first.
    """
    codes = (default_language, *(code for code in LANGUAGES if code != default_language))
    words = [Words(code) for code in codes]
    speaker = Speaker(words)
    script = _asset("report.js")
    page = _template().render(
        report=report,
        pictures=pictures,
        gallery=_Gallery(report, pictures, speaker),
        words=words,
        say=speaker,
        t=speaker.text,
        facts=_facts(report, words),
        trust_figures=sentences.TRUST_FIGURES,
        trust_text=lambda name: _each(words, lambda one: sentences.trust_figure(report, name, one)),
        operation_text=lambda kind: _each(words, lambda one: one.operation(kind)),
        reason_text=lambda reason: _each(words, lambda one: sentences.reason(report, reason, one)),
        missing_text=lambda item: _each(words, lambda one: sentences.missing(report, item, one)),
        warning_text=lambda item: _each(words, lambda one: sentences.warning(report, item, one)),
        finding_text=lambda item: _each(words, lambda one: sentences.finding(item, one)),
        charts={name: _charts(name, report, words) for name in get_args(ChartName)},
        colour=colour,
        ink_on=ink_on,
        style=_asset("report.css"),
        script=script,
        script_hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
        picture_url=lambda jpeg: "data:image/jpeg;base64," + base64.b64encode(jpeg).decode(),
    )
    return str(page).encode()


class _Gallery:
    """Key frames in the places where the page shows them: each picture once."""

    def __init__(self, report: Report, pictures: Mapping[int, Picture], say: Speaker) -> None:
        self._report, self._say = report, say
        self._frames = [frame for frame in report.key_frames if frame.frame_index in pictures]
        self._numbers = {segment.index: number for number, segment in enumerate(report.phases, start=1)}
        self._segments = {segment.index: segment for segment in report.phases}
        self._events = {event.index: event for event in report.events}

    def of(self, kind: str) -> list[KeyFrame]:
        """Frames whose first caption is of this kind."""
        return [frame for frame in self._frames if frame.captions[0].kind == kind]

    def has(self, frame_index: int | None) -> bool:
        """Whether the page shows this frame."""
        return any(frame.frame_index == frame_index for frame in self._frames)

    def title(self, caption: Caption) -> Both:
        """What a caption names."""
        if caption.kind == "event":
            return self._say.name("event", self._events[caption.index].kind)
        phase = self._say.name("phase", self._segments[caption.index].phase)
        return self._say.text("picture_of_phase", number=self._numbers[caption.index], phase=phase)

    def figure(self, caption: Caption) -> float:
        """Confidence of the segment or score of the event."""
        if caption.kind == "event":
            return self._events[caption.index].score
        return self._segments[caption.index].mean_confidence

    def alternative(self, frame: KeyFrame) -> Both:
        """The picture in words, for those who cannot see it."""
        names = dict.fromkeys([("instrument", box.instrument) for box in frame.boxes])
        names |= dict.fromkeys([("structure", mask.structure) for mask in frame.masks])
        found = self._say.listed([self._say.name(kind, name) for kind, name in names], self._say.text("nothing_marked"))
        captions = self._say.listed([self.title(caption) for caption in frame.captions], Both({}))
        return self._say.text("picture_alt", time=self._say.clock(frame.timestamp_ms), caption=captions, found=found)


def _facts(report: Report, words: list[Words]) -> list[tuple[str, Both]]:
    told = {one.code: dict(sentences.facts(report, one)) for one in words}
    return [(key, Both({code: values[key] for code, values in told.items()})) for key in told[words[0].code]]


def _each(words: list[Words], say: Callable[[Words], str]) -> Both:
    return Both({one.code: say(one) for one in words})


def _charts(name: ChartName, report: Report, words: list[Words]) -> dict[str, str]:
    """The chart as SVG by language; empty when there is nothing to draw."""
    drawn = {one.code: draw(name, report, one, CHART_WIDTH_PX) for one in words}
    return {code: to_svg(figure, f"{name}-{code}") for code, figure in drawn.items() if figure is not None}


@cache
def _template() -> Any:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader(__package__),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("report.html.j2")


@cache
def _asset(name: str) -> str:
    return files(__package__).joinpath("templates", name).read_text(encoding="utf-8")
