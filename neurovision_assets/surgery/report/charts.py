"""The report's four charts, all on one time axis.

Belongs here: what each chart shows. Does not belong here: margins and rendering (`canvas`), colours, words.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from neurovision_assets.surgery.colours import colour, ink_on
from neurovision_assets.surgery.report.canvas import (
    CHARACTER_PX,
    FAINT,
    FIGURE_STYLE,
    INK,
    ROW_PX,
    RULE,
    SMALL_PX,
    Paper,
)
from neurovision_assets.surgery.report.model import PhaseSegment, Report, Series
from neurovision_assets.surgery.report.texts import Words

ChartName = Literal["timeline", "instruments", "anatomy", "novelty"]

BAND_PX, LANE_PX, CURVE_PX, NOVELTY_PX = 44.0, 20.0, 40.0, 84.0
MARK_PX = 4.0
"""The least width of a mark: shorter events would be invisible."""

CONFIDENCE_COLOUR, NOVELTY_COLOUR, LIMIT_COLOUR = "#3B6E8F", "#8A5A00", "#B3261E"


def draw(name: ChartName, report: Report, words: Words, width_px: int) -> Any:
    """A chart as a matplotlib figure; None when the report has nothing to draw.

    Args:
        name: which chart.
        report: the report.
        words: the language.
        width_px: width of the page's column.
    """
    import matplotlib as mpl

    drawers: dict[ChartName, tuple[bool, Callable[[Report, Paper], Any]]] = {
        "timeline": (bool(report.phases or report.events), _timeline),
        "instruments": (bool(report.uses), _instruments),
        "anatomy": (bool(report.structures), _anatomy),
        "novelty": (report.series.novelty is not None, _novelty),
    }
    there, drawer = drawers[name]
    with mpl.rc_context(FIGURE_STYLE):
        return drawer(report, Paper(words, width_px, report.video.duration_ms)) if there else None


def _timeline(report: Report, paper: Paper) -> Any:
    kinds = list(dict.fromkeys(event.kind for event in report.events))
    heights = [BAND_PX] if report.phases else []
    heights += [LANE_PX * len(kinds)] if kinds else []
    heights += [CURVE_PX] if report.series.phase_confidence else []
    figure, axes = paper.figure(heights)
    left = iter(axes)
    if report.phases:
        _phase_band(next(left), report, paper)
    if kinds:
        _event_lanes(next(left), report, paper, kinds)
    if report.series.phase_confidence:
        _confidence(next(left), report, paper)
    return figure


def _phase_band(axis: Any, report: Report, paper: Paper) -> None:
    from matplotlib.patches import Rectangle

    axis.set_ylim(0, 1)
    paper.label(axis, 0.5, paper.words.text("chart_phase"))
    for number, segment in enumerate(report.phases, start=1):
        ground = colour("phase", segment.phase)
        patch = Rectangle(
            (segment.start_ms, 0), segment.duration_ms, 1, facecolor=ground, edgecolor="white", linewidth=1
        )
        if segment.key_frame is not None:
            patch.set_url(f"#frame-{segment.key_frame}")
        axis.add_patch(patch)
        text = _fitting(number, segment, paper)
        if text:
            middle = segment.start_ms + segment.duration_ms / 2
            axis.text(middle, 0.5, text, ha="center", va="center", color=ink_on(ground), fontsize=SMALL_PX)


def _fitting(number: int, segment: PhaseSegment, paper: Paper) -> str:
    """The longest of number and name (in one line or two), number, nothing that fits into the segment's band."""
    room = paper.to_px(segment.duration_ms) - 8
    name = paper.words.name("phase", segment.phase)
    for text in (f"{number}  {name}", f"{number}  {_in_two_lines(name)}", str(number)):
        if max(len(line) for line in text.split("\n")) * SMALL_PX * CHARACTER_PX <= room:
            return text
    return ""


def _in_two_lines(name: str) -> str:
    """Broken at the space nearest to the middle."""
    spaces = [place for place, character in enumerate(name) if character == " "]
    if not spaces:
        return name
    place = min(spaces, key=lambda space: abs(space - len(name) / 2))
    return f"{name[:place]}\n{name[place + 1 :]}"


def _event_lanes(axis: Any, report: Report, paper: Paper, kinds: Sequence[str]) -> None:
    axis.set_ylim(len(kinds), 0)
    shortest_ms = MARK_PX / paper.plot_width_px * paper.duration_ms
    for lane, kind in enumerate(kinds):
        own = [event for event in report.events if event.kind == kind]
        paper.label(axis, lane + 0.5, paper.words.name("event", kind))
        paper.label(axis, lane + 0.5, paper.words.text("chart_uses", count=len(own)), right=True)
        axis.axhline(lane + 0.5, color=RULE, linewidth=0.8, zorder=0)
        bars = axis.broken_barh(
            [(event.start_ms, max(event.duration_ms, shortest_ms)) for event in own],
            (lane + 0.22, 0.56),
            facecolors=colour("event", kind),
            edgecolor=INK,
            linewidth=0.5,
        )
        bars.set_urls([f"#event-{event.index}" for event in own])


def _confidence(axis: Any, report: Report, paper: Paper) -> None:
    axis.set_ylim(0, 1)
    times, values = _curve(report.series, report.series.phase_confidence or (), report.video.duration_ms)
    axis.fill_between(times, 0, values, step="post", color=CONFIDENCE_COLOUR, alpha=0.3, linewidth=0)
    axis.plot(times, values, drawstyle="steps-post", color=CONFIDENCE_COLOUR, linewidth=1.1)
    axis.axhline(report.config.low_confidence, color=FAINT, linewidth=0.8, linestyle=(0, (3, 3)))
    paper.label(axis, 0.5, paper.words.text("chart_confidence"))
    for share in (0.0, 1.0):
        paper.label(axis, share, paper.words.percent(share), right=True)
    if report.trust.mean_phase_confidence is not None:
        mean = paper.words.percent(report.trust.mean_phase_confidence)
        paper.label(axis, 0.5, paper.words.text("chart_mean", value=mean), right=True)


def _instruments(report: Report, paper: Paper) -> Any:
    rows = report.instruments
    figure, (axis,) = paper.figure([ROW_PX * len(rows)])
    axis.set_ylim(len(rows), 0)
    shortest_ms = MARK_PX / 2 / paper.plot_width_px * paper.duration_ms
    for row, total in enumerate(rows):
        own = [use for use in report.uses if use.instrument == total.instrument]
        axis.axhline(row + 0.5, color=RULE, linewidth=0.8, zorder=0)
        axis.broken_barh(
            [(use.start_ms, max(use.duration_ms, shortest_ms)) for use in own],
            (row + 0.18, 0.64),
            facecolors=colour("instrument", total.instrument),
            edgecolor=INK,
            linewidth=0.4,
        )
        uses = paper.words.text("chart_uses", count=total.uses)
        paper.label(axis, row + 0.5, paper.words.name("instrument", total.instrument))
        paper.label(axis, row + 0.5, f"{paper.words.duration(total.total_ms)}, {uses}", right=True)
    return figure


def _anatomy(report: Report, paper: Paper) -> Any:
    """A row a tissue: tinted where it is seen, filled as high as its share of the picture, one scale for all rows."""
    rows = report.structures
    figure, (axis,) = paper.figure([ROW_PX * 1.15 * len(rows)])
    axis.set_ylim(len(rows), 0)
    curves = {row.structure: report.series.area_fraction[row.structure] for row in rows}
    largest = max((value for curve in curves.values() for value in curve if value is not None), default=1.0) or 1.0
    for row, item in enumerate(rows):
        times, values = _curve(report.series, curves[item.structure], report.video.duration_ms)
        base, tint = row + 0.94, colour("structure", item.structure)
        seen = np.where(np.isnan(values), np.nan, base - 0.88)
        axis.fill_between(times, base, seen, step="post", color=tint, alpha=0.35, linewidth=0)
        height = base - 0.88 * values / largest
        axis.fill_between(times, base, height, step="post", color=tint, edgecolor=FAINT, linewidth=0.5)
        seen_share = paper.words.percent(item.visible_share)
        paper.label(axis, row + 0.5, _short(paper.words.name("structure", item.structure)))
        paper.label(axis, row + 0.5, f"{seen_share} {paper.words.text('chart_seen')}", right=True)
    return figure


def _novelty(report: Report, paper: Paper) -> Any:
    figure, (axis,) = paper.figure([NOVELTY_PX])
    times, values = _curve(report.series, report.series.novelty or (), report.video.duration_ms)
    limit = report.config.novel
    highest = max(float(np.nanmax(values)), limit) * 1.12
    axis.set_ylim(0, highest)
    over = np.where(values > limit, values, np.nan)
    axis.fill_between(times, limit, over, step="post", color=LIMIT_COLOUR, alpha=0.25, linewidth=0)
    axis.plot(times, values, drawstyle="steps-post", color=NOVELTY_COLOUR, linewidth=1.1)
    axis.axhline(limit, color=LIMIT_COLOUR, linewidth=1, linestyle=(0, (4, 3)))
    paper.label(axis, highest / 2, paper.words.text("chart_novelty_axis"))
    paper.label(axis, limit, _in_two_lines(paper.words.text("chart_novel_limit")), right=True)
    return figure


def _short(name: str) -> str:
    """What stands before the comma: a row's title has little room."""
    return name.split(",", maxsplit=1)[0]


def _curve(
    series: Series, values: Sequence[float | None], duration_ms: int
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Steps of a curve for drawing: times in ms and values with NaN for gaps, the last value held to the end."""
    known = np.array([np.nan if value is None else value for value in values], dtype=np.float64)
    times = np.append(np.arange(len(known), dtype=np.float64) * series.step_ms, duration_ms)
    return times, np.append(known, known[-1])
