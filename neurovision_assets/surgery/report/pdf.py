"""The report on paper: A4 pages in one language, the same content as the page.

Belongs here: fonts, page frame, page numbers, making bytes of a story. Does not belong here: the story (`pdf_story`).
"""

from __future__ import annotations

from collections.abc import Mapping
from io import BytesIO
from typing import Any

from neurovision_assets.surgery.report.model import Report
from neurovision_assets.surgery.report.pdf_parts import MARGIN_MM
from neurovision_assets.surgery.report.pdf_story import tell
from neurovision_assets.surgery.report.pictures import Picture, font_folder
from neurovision_assets.surgery.report.texts import Words

FONTS = ("DejaVuSans", "DejaVuSans-Bold", "DejaVuSansMono")
FOOTER_MM, FOOTER_PT = 9, 7


def render_pdf(report: Report, pictures: Mapping[int, Picture], language: str) -> bytes:
    """The report as PDF; the same arguments give the same bytes.

    Args:
        report: the report.
        pictures: of the key frames, by frame_index; a key frame without one is left out.
        language: one of ``texts.LANGUAGES``.
    """
    from reportlab import rl_config
    from reportlab.lib.pagesizes import A4
    from reportlab.lib.units import mm

    rl_config.useA85 = 0  # binary streams: the text encoding of pictures is pure Python and takes half of the time
    _register_fonts()
    words = Words(language)
    buffer = BytesIO()
    document = _document_class()(
        buffer,
        pagesize=A4,
        leftMargin=MARGIN_MM * mm,
        rightMargin=MARGIN_MM * mm,
        topMargin=MARGIN_MM * mm,
        bottomMargin=(MARGIN_MM + 4) * mm,
        title=f"{words.text('title')} {report.video.operation_id or report.video.video_id}",
        author=words.text("brand"),
        lang=language,
        invariant=1,
    )
    document.build(tell(report, pictures, words), canvasmaker=_canvas_class(report, words))
    return buffer.getvalue()


def _register_fonts() -> None:
    from reportlab.pdfbase import pdfmetrics
    from reportlab.pdfbase.ttfonts import TTFont

    known = pdfmetrics.getRegisteredFontNames()
    for name in FONTS:
        if name not in known:
            pdfmetrics.registerFont(TTFont(name, str(font_folder() / f"{name}.ttf")))
    pdfmetrics.registerFontFamily("DejaVuSans", normal="DejaVuSans", bold="DejaVuSans-Bold")


def _document_class() -> Any:
    from reportlab.platypus import SimpleDocTemplate

    class Document(SimpleDocTemplate):  # type: ignore[misc]
        """Adds every heading to the outline that viewers show beside the pages."""

        def afterFlowable(self, flowable: Any) -> None:  # noqa: N802
            title = getattr(flowable, "outline_title", None)
            if title:
                self.canv.bookmarkPage(title)
                self.canv.addOutlineEntry(title, title, level=0)

    return Document


def _canvas_class(report: Report, words: Words) -> Any:
    """A canvas that writes the footer last, when the count of pages is known."""
    from reportlab.lib.units import mm
    from reportlab.pdfgen.canvas import Canvas

    class NumberedCanvas(Canvas):  # type: ignore[misc]
        """Keeps finished pages back until the last one is there."""

        def __init__(self, *arguments: Any, **named: Any) -> None:
            super().__init__(*arguments, **named)
            self._finished: list[dict[str, Any]] = []

        def showPage(self) -> None:  # noqa: N802
            self._finished.append(dict(self.__dict__))
            self._startPage()

        def save(self) -> None:
            finished = self._finished
            for number, page in enumerate(finished, start=1):
                self.__dict__.update(page)
                self._footer(number, len(finished))
                super().showPage()
            super().save()

        def _footer(self, number: int, count: int) -> None:
            width = self._pagesize[0]
            self.setFont("DejaVuSans", FOOTER_PT)
            self.setFillGray(0.4)
            self.drawString(MARGIN_MM * mm, FOOTER_MM * mm, report.video.video_id)
            self.drawRightString(width - MARGIN_MM * mm, FOOTER_MM * mm, words.text("page", page=number, pages=count))

    return NumberedCanvas
