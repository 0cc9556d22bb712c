"""The paper that charts are drawn on: equal margins, one time axis, deterministic output.

Belongs here: figures, axes and their rendering with matplotlib, without pyplot. Does not belong here: what is drawn
(`charts`).

A figure is laid out at 72 dots an inch, so that a point is a pixel of the page at full width. All charts of a report
have the same margins: a moment of the operation stands at the same place in each.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from io import BytesIO
from typing import Any

from neurovision_assets.surgery.report.texts import HOUR_S, SECOND_MS, Words

LAYOUT_DPI = 72
ROW_PX, GAP_PX, TOP_PX, AXIS_PX = 22, 13, 6, 26
LABEL_GAP_PX = 9
CHARACTER_PX = 0.62
"""Mean width of a character of DejaVu Sans in units of its size, rounded up."""

LEFT_SHARE, RIGHT_SHARE = 0.195, 0.125
TEXT_PX, SMALL_PX = 12.0, 11.0
INK, FAINT, RULE = "#24313B", "#5D6B76", "#D5DADD"
MAX_TICKS = 9
TICK_STEPS_S = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400)

FIGURE_STYLE: Any = {
    "font.family": ["DejaVu Sans"],
    "font.size": TEXT_PX,
    "svg.fonttype": "none",
    "axes.linewidth": 0.8,
    "text.color": INK,
    "path.simplify": False,
}
PAGE_FONTS = "'Segoe UI', Roboto, 'Helvetica Neue', 'Noto Sans', 'DejaVu Sans', sans-serif"
"""Narrower than DejaVu or equal, so that what fits in layout fits on the page."""


@dataclass(frozen=True)
class Paper:
    """How a chart is laid out.

    Attributes:
        words: the language.
        width_px: of the whole figure.
        duration_ms: length of the time axis.
    """

    words: Words
    width_px: int
    duration_ms: int

    def figure(self, heights_px: list[float]) -> tuple[Any, list[Any]]:
        """A figure and its axes, one above the other, all on the time axis; ticks below the last.

        Args:
            heights_px: height of each axes.
        """
        from matplotlib.figure import Figure

        total = TOP_PX + sum(heights_px) + GAP_PX * (len(heights_px) - 1) + AXIS_PX
        figure = Figure(figsize=(self.width_px / LAYOUT_DPI, total / LAYOUT_DPI), dpi=LAYOUT_DPI, facecolor="none")
        axes = []
        top = total - TOP_PX
        for height in heights_px:
            place = (LEFT_SHARE, (top - height) / total, 1 - LEFT_SHARE - RIGHT_SHARE, height / total)
            axes.append(figure.add_axes(place))
            top -= height + GAP_PX
        for axis in axes:
            self._prepare(axis, ticks=axis is axes[-1])
        return figure, axes

    @property
    def plot_width_px(self) -> float:
        """Width of the time axis."""
        return self.width_px * (1 - LEFT_SHARE - RIGHT_SHARE)

    def to_px(self, time_ms: float) -> float:
        """Length of a span of time on the page."""
        return time_ms / max(1, self.duration_ms) * self.plot_width_px

    def label(self, axis: Any, y: float, text: str, *, right: bool = False) -> None:
        """A row's title in the left margin, or its figure in the right one; `y` in data units."""
        room = self.width_px * (RIGHT_SHARE if right else LEFT_SHARE) - 2 * LABEL_GAP_PX
        longest = max(len(line) for line in text.split("\n"))
        fitting = room / (longest * CHARACTER_PX)
        axis.annotate(
            text,
            xy=(1 if right else 0, y),
            xycoords=axis.get_yaxis_transform(),
            xytext=(LABEL_GAP_PX if right else -LABEL_GAP_PX, 0),
            textcoords="offset points",
            ha="left" if right else "right",
            va="center",
            color=FAINT if right else INK,
            fontsize=min(SMALL_PX if right else TEXT_PX, fitting),
            annotation_clip=False,
        )

    def _prepare(self, axis: Any, *, ticks: bool) -> None:
        axis.set_facecolor("none")
        axis.set_xlim(0, max(1, self.duration_ms))
        axis.set_yticks([])
        for side in ("left", "right", "top", "bottom"):
            axis.spines[side].set_visible(False)
        moments = tick_times_ms(self.duration_ms)
        axis.set_xticks(moments, [self.words.clock(moment) for moment in moments] if ticks else [])
        axis.tick_params(axis="x", length=0, labelsize=SMALL_PX, labelcolor=FAINT, pad=6)
        axis.grid(axis="x", color=RULE, linewidth=0.8)
        axis.set_axisbelow(True)


def tick_times_ms(duration_ms: int) -> list[int]:
    """Round moments for the time axis, at most `MAX_TICKS`."""
    longest_s = duration_ms / SECOND_MS
    fitting = (step for step in TICK_STEPS_S if longest_s / step <= MAX_TICKS - 1)
    step_s = next(fitting, HOUR_S * (1 + int(longest_s // (HOUR_S * (MAX_TICKS - 1)))))
    return list(range(0, duration_ms + 1, step_s * SECOND_MS))


def to_svg(figure: Any, name: str) -> str:
    """A figure as an `<svg>` element for a page, the same bytes every time.

    Args:
        figure: a figure of `Paper`.
        name: different for each figure of a page; keeps their inner ids apart.
    """
    import matplotlib as mpl
    from matplotlib.backends.backend_svg import FigureCanvasSVG

    buffer = BytesIO()
    with mpl.rc_context({**FIGURE_STYLE, "svg.hashsalt": name}):
        nothing = dict.fromkeys(("Date", "Creator", "Format", "Type"))
        canvas: Any = FigureCanvasSVG(figure)
        canvas.print_svg(buffer, metadata=nothing)
    text = buffer.getvalue().decode()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>|<!--.*?-->", "", text, flags=re.DOTALL)
    text = re.sub(r"<style [^>]*>.*?</style>", "", text, flags=re.DOTALL)
    text = re.sub(r' id="[A-Za-z][\w.]*_\d+"', "", text)
    text = re.sub(r'(<svg[^>]*?) width="[^"]*"', r"\1", text, count=1)
    text = re.sub(r'(<svg[^>]*?) height="[^"]*"', r"\1", text, count=1)
    text = text.replace("'DejaVu Sans'", PAGE_FONTS).replace(' target="_blank"', "")
    return re.sub(r"\n\s*", "\n", text)


def to_png(figure: Any, dpi: float) -> bytes:
    """A figure as PNG on white, the same bytes every time."""
    import matplotlib as mpl
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    buffer = BytesIO()
    with mpl.rc_context(FIGURE_STYLE):
        figure.set_facecolor("white")
        figure.set_dpi(dpi)
        canvas: Any = FigureCanvasAgg(figure)
        canvas.print_png(buffer, metadata={"Software": None})
    return buffer.getvalue()
