"""Small pieces of the PDF: styled text, tables, meters, chips, pictures in rows.

Belongs here: how a piece looks. Does not belong here: what is said and where (`pdf_story`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from io import BytesIO
from typing import Any
from xml.sax.saxutils import escape

from neurovision_assets.surgery.colours import colour, ink_on
from neurovision_assets.surgery.report.canvas import LAYOUT_DPI, to_png
from neurovision_assets.surgery.report.charts import ChartName, draw
from neurovision_assets.surgery.report.model import Report, StructureVisibility
from neurovision_assets.surgery.report.pictures import Picture, paint
from neurovision_assets.surgery.report.texts import Words

MARGIN_MM = 16
CONTENT_MM = 178
CHART_WIDTH_PX = 800
"""Layout width of charts on paper: narrower than on the page, so that their text is larger in comparison."""

CHART_DPI = 200
SECTION_MM = 62
"""A section begins on a page only where its heading and a first row of pictures have room."""

MM_AN_INCH, POINTS_AN_INCH = 25.4, 72

INK, SOFT, RULE, BAR, TRACK = "#14212B", "#4D5B66", "#D5DADD", "#3B6E8F", "#E3E8EB"
AMBER, AMBER_BAR, AMBER_GROUND = "#8A5A00", "#D99A00", "#FFF5DC"
VERDICT_COLOURS = {
    "reliable": ("#1D5D50", "#EAF5F1"),
    "uncertain": (AMBER, AMBER_GROUND),
    "out-of-domain": ("#A31912", "#FDECEA"),
}
STYLES = {
    "body": ("DejaVuSans", 8.6, INK),
    "small": ("DejaVuSans", 7.8, INK),
    "soft": ("DejaVuSans", 7.6, SOFT),
    "brand": ("DejaVuSans", 8.6, SOFT),
    "title": ("DejaVuSans-Bold", 18, INK),
    "heading": ("DejaVuSans-Bold", 12, INK),
    "subheading": ("DejaVuSans-Bold", 9, INK),
    "loud": ("DejaVuSans-Bold", 11, INK),
    "glance": ("DejaVuSans-Bold", 10, INK),
    "head": ("DejaVuSans", 7.2, SOFT),
    "fine": ("DejaVuSans", 7, INK),
    "caption": ("DejaVuSans-Bold", 7.6, INK),
    "code": ("DejaVuSansMono", 6.2, INK),
}
"""Font, size in points, colour."""

CELL_PADDING_PT = 5
CODE_ADVANCE = 0.602
"""Width of every letter of DejaVu Sans Mono, in font sizes."""
FIGURE_ADVANCE = 0.64
"""Width of a digit of DejaVu Sans, in font sizes; units are wider and the spaces before them half as wide."""

Cell = Any
"""Text of a table's cell, or a flowable."""


class Code(str):
    """A hash or key, which may be broken anywhere."""

    __slots__ = ()


class Kit:
    """Makes pieces for one report in one language."""

    def __init__(self, report: Report, words: Words) -> None:
        from reportlab.lib.styles import ParagraphStyle

        self.report, self.words = report, words
        self._styles = {
            name: ParagraphStyle(
                name,
                fontName=font,
                fontSize=size,
                leading=size * 1.32,
                textColor=_tint(tint),  # of a name, ReportLab looks through all that it knows, for every piece
            )
            for name, (font, size, tint) in STYLES.items()
        }

    def text(self, text: str, style: str, align: int = 0) -> Any:
        """A paragraph; line breaks are kept, everything else is plain text. `align` 2 is right."""
        from reportlab.platypus import Paragraph

        own = self._styles[style]
        return Paragraph(escape(text).replace("\n", "<br/>"), own.clone(own.name, alignment=align) if align else own)

    def space(self, height_pt: float) -> Any:
        """Empty height."""
        from reportlab.platypus import Spacer

        return Spacer(1, height_pt)

    def heading(self, key: str) -> list[Any]:
        """A section's heading, which also stands in the outline; on a new page when little room is left."""
        from reportlab.platypus import CondPageBreak

        title = self.text(self.words.text(key), "heading")
        title.outline_title = self.words.text(key)
        room = SECTION_MM / MM_AN_INCH * POINTS_AN_INCH
        return [self.space(11), CondPageBreak(room), title, self.space(4)]

    def facts(self, pairs: Sequence[tuple[str, str]]) -> Any:
        """Names and values, four a row; an empty one where the last row is not full."""
        cells = [[self.text(self.words.text(name), "head"), self.text(value, "body")] for name, value in pairs]
        rows = [cells[place : place + 4] for place in range(0, len(cells), 4)]
        return self._grid([row + [""] * (4 - len(row)) for row in rows], [CONTENT_MM / 4] * 4, [])

    def verdict(self, left: list[Any], right: Sequence[tuple[str, str]]) -> Any:
        """The banner."""
        tint, ground = VERDICT_COLOURS[self.report.trust.verdict]
        left[0].style = left[0].style.clone("verdict", textColor=tint)
        figures = self._grid(
            [[self.text(name, "small"), self.text(value, "caption", align=2)] for name, value in right], [41, 21], []
        )
        return self._box([[left, figures]], [112, 66], tint, ground)

    def note(self, sentences: Sequence[str]) -> Any:
        """Something that a reader must not overlook."""
        return self._box(
            [[[self.text(sentence, "body") for sentence in sentences]]], [CONTENT_MM], AMBER_BAR, AMBER_GROUND
        )

    def table(
        self,
        heads: Sequence[str],
        rows: Sequence[Sequence[Cell]],
        widths_mm: Sequence[float],
        *,
        right: Sequence[int] = (),
        fine: bool = False,
        headless: bool = False,
    ) -> list[Any]:
        """A table with rules between its rows; empty when there are none. `right` columns are right-aligned."""
        if not rows:
            return []
        style = "fine" if fine else "small"
        body = [
            [self._cell(cell, style, widths_mm[place], is_right=place in right) for place, cell in enumerate(row)]
            for row in rows
        ]
        head = [
            self.text(self.words.text(key) if key else "", "head", align=2 if place in right else 0)
            for place, key in enumerate(heads)
        ]
        rules = [("LINEBELOW", (0, 0), (-1, -1), 0.4, _tint(RULE)), ("VALIGN", (0, 0), (-1, -1), "MIDDLE")]
        own = self._styles[style]
        for place in right:
            rules += [
                ("FONT", (place, 0), (place, -1), own.fontName, own.fontSize, own.leading),
                ("TEXTCOLOR", (place, 0), (place, -1), own.textColor),
                ("ALIGN", (place, 0), (place, -1), "RIGHT"),
            ]
        return [self._grid(body if headless else [head, *body], widths_mm, rules, repeat=0 if headless else 1)]

    def _cell(self, cell: Cell, style: str, width_mm: float, *, is_right: bool) -> Any:
        """What stands in a table; a figure that fits its column needs no paragraph, which takes far longer."""
        from reportlab.platypus import Preformatted

        if not isinstance(cell, str):
            return cell
        width_pt = width_mm / MM_AN_INCH * POINTS_AN_INCH - CELL_PADDING_PT
        if isinstance(cell, Code):
            own = self._styles["code"]
            return Preformatted(cell, own, maxLineLength=int(width_pt / (CODE_ADVANCE * own.fontSize)))
        if is_right and len(cell) * FIGURE_ADVANCE * self._styles[style].fontSize <= width_pt:
            return cell
        return self.text(cell, style, align=2 if is_right else 0)

    def meter(self, value: float, limit: float, *, percent: bool = False) -> Any:
        """A bar with its figure; amber and marked in words below the limit."""
        from reportlab.graphics.shapes import Drawing, Rect, String

        low = value < limit
        figure = self.words.percent(value) if percent else self.words.number(value)
        drawing = Drawing(80, 8)
        drawing.add(Rect(0, 1.5, 30, 4, fillColor=_tint(TRACK), strokeColor=None))
        drawing.add(Rect(0, 1.5, 30 * value, 4, fillColor=_tint(AMBER_BAR if low else BAR), strokeColor=None))
        label = f"{figure} {self.words.text('low')}" if low else figure
        ink = _tint(AMBER if low else INK)
        drawing.add(String(34, 1, label, fontName="DejaVuSans", fontSize=7.2, fillColor=ink))
        return drawing

    def chip(self, number: int | str, ground: str) -> Any:
        """A coloured square with a number in it."""
        from reportlab.graphics.shapes import Drawing, Rect, String

        drawing = Drawing(16, 10)
        drawing.add(Rect(0, 0, 15, 10, rx=2, ry=2, fillColor=_tint(ground), strokeColor=None))
        ink = _tint(ink_on(ground))
        drawing.add(
            String(7.5, 2.4, str(number), fontName="DejaVuSans-Bold", fontSize=7, fillColor=ink, textAnchor="middle")
        )
        return drawing

    def legend(self, structures: Sequence[StructureVisibility]) -> Any:
        """What the colours on the pictures mean."""
        from reportlab.platypus import Paragraph

        items = (
            f'<font color="{colour("structure", item.structure)}">■</font> '
            f"{escape(self.words.name('structure', item.structure))}"
            for item in structures
        )
        return Paragraph("    ".join(items), self._styles["soft"])

    def chart(self, name: ChartName) -> list[Any]:
        """A chart over the whole width, if there is something to draw."""
        from reportlab.platypus import Image

        figure = draw(name, self.report, self.words, CHART_WIDTH_PX)
        if figure is None:
            return []
        width_in = CONTENT_MM / MM_AN_INCH
        ratio = figure.get_figheight() / figure.get_figwidth()
        png = to_png(figure, CHART_DPI * width_in * LAYOUT_DPI / CHART_WIDTH_PX)
        size = (width_in * POINTS_AN_INCH, width_in * POINTS_AN_INCH * ratio)
        return [Image(BytesIO(png), width=size[0], height=size[1]), self.space(4)]

    def pictures(self, cells: Sequence[tuple[Picture, list[str], str]], a_row: int) -> list[Any]:
        """Painted pictures in rows that stay whole, each with its titles and a line below."""
        from reportlab.platypus import Image

        width_mm = CONTENT_MM / a_row
        width = (width_mm - 4) / MM_AN_INCH * POINTS_AN_INCH
        made = []
        for picture, titles, line in cells:
            height = width * picture.overlay.height_px / picture.overlay.width_px
            image = Image(BytesIO(paint(picture, self.words)), width=width, height=height)
            image.hAlign = "LEFT"
            made.append([image, *(self.text(title, "caption") for title in titles), self.text(line, "soft")])
        rows = [made[place : place + a_row] for place in range(0, len(made), a_row)]
        return [self._grid([row + [""] * (a_row - len(row))], [width_mm] * a_row, []) for row in rows]

    def _box(self, rows: list[list[Any]], widths_mm: Sequence[float], edge: str, ground: str) -> Any:
        rules = [
            ("BACKGROUND", (0, 0), (-1, -1), ground),
            ("LINEBEFORE", (0, 0), (0, -1), 3, edge),
            ("LEFTPADDING", (0, 0), (-1, -1), 9),
            ("TOPPADDING", (0, 0), (-1, -1), 6),
            ("BOTTOMPADDING", (0, 0), (-1, -1), 6),
        ]
        return self._grid(rows, widths_mm, rules)

    def _grid(self, rows: list[Any], widths_mm: Sequence[float], rules: list[Any], repeat: int = 0) -> Any:
        from reportlab.platypus import Table

        widths = [width / MM_AN_INCH * POINTS_AN_INCH for width in widths_mm]
        table = Table(rows, colWidths=widths, repeatRows=repeat, hAlign="LEFT")
        plain = [
            ("LEFTPADDING", (0, 0), (-1, -1), 0),
            ("RIGHTPADDING", (0, 0), (-1, -1), CELL_PADDING_PT),
            ("TOPPADDING", (0, 0), (-1, -1), 2.5),
            ("BOTTOMPADDING", (0, 0), (-1, -1), 2.5),
            ("VALIGN", (0, 0), (-1, -1), "TOP"),
        ]
        table.setStyle([*plain, *rules])
        return table


def _tint(colour_hex: str) -> Any:
    from reportlab.lib.colors import HexColor

    make: Callable[[str], Any] = HexColor
    return make(colour_hex)
