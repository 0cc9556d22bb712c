"""The report as a workbook: typed cells that can be summed, filtered and copied.

Belongs here: sheets, cells, safe text. Does not belong here: figures that the report does not hold.

Text that begins like a formula stays text (OWASP, CSV injection). Times are fractions of a day as Excel counts them.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from io import BytesIO
from typing import Any
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

from neurovision_assets.surgery.report import sentences
from neurovision_assets.surgery.report.model import Report
from neurovision_assets.surgery.report.texts import Words

SHEETS = ("Summary", "Phases", "Instruments", "Uses", "Events", "Anatomy", "Quality", "Provenance", "Sources")
DAY_MS = 86_400_000
TIME_FORMAT, SHARE_FORMAT, SCORE_FORMAT, DAY_FORMAT = "[h]:mm:ss.0", "0.0%", "0.00", "yyyy-mm-dd"
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")
LONGEST_TEXT = 32_767
"""Characters a cell can hold (Excel specifications)."""

WIDEST_COLUMN = 70
ZIP_TIME = (1980, 1, 1, 0, 0, 0)
FIXED_TIME = "2000-01-01T00:00:00Z"
"""In place of the moment of writing, so that the same report gives the same bytes."""

Row = Sequence[Any]


class _Figure:
    """A number with its format; None stays an empty cell."""

    def __init__(self, value: float | None, number_format: str) -> None:
        self.value, self.number_format = value, number_format


def _time(time_ms: int) -> _Figure:
    return _Figure(time_ms / DAY_MS, TIME_FORMAT)


def _share(value: float | None) -> _Figure:
    return _Figure(value, SHARE_FORMAT)


def _score(value: float | None) -> _Figure:
    return _Figure(value, SCORE_FORMAT)


def render_xlsx(report: Report, language: str) -> bytes:
    """The workbook; the same arguments give the same bytes.

    Args:
        report: the report.
        language: of headings and names; the sheets' names are always those of `SHEETS`.
    """
    from openpyxl import Workbook

    words = Words(language)
    workbook = Workbook()
    workbook.remove(workbook.active)
    for name in SHEETS:
        heads, rows = _CONTENTS[name](report, words)
        _fill(workbook.create_sheet(name), heads, rows)
    workbook.properties.title = f"{words.text('title')} {report.video.operation_id or report.video.video_id}"
    workbook.properties.creator = words.text("brand")
    buffer = BytesIO()
    workbook.save(buffer)
    return _with_fixed_times(buffer.getvalue())


def _fill(sheet: Any, heads: Sequence[str], rows: Sequence[Row]) -> None:
    from openpyxl.styles import Alignment, Font, PatternFill
    from openpyxl.utils import get_column_letter

    for number, row in enumerate([heads, *rows], start=1):
        for place, value in enumerate(row, start=1):
            _write(sheet.cell(number, place), value)
    for cell in sheet[1]:
        cell.font, cell.fill = Font(bold=True), PatternFill("solid", fgColor="E8EEF1")
        cell.alignment = Alignment(wrap_text=True, vertical="top")
    sheet.freeze_panes = "A2"
    if rows:
        sheet.auto_filter.ref = sheet.dimensions
    for place in range(1, len(heads) + 1):
        longest = max(len(_shown(row[place - 1])) for row in [heads, *rows])
        sheet.column_dimensions[get_column_letter(place)].width = min(max(10, longest + 2), WIDEST_COLUMN)


def _write(cell: Any, value: Any) -> None:
    if isinstance(value, _Figure):
        cell.value, cell.number_format = value.value, value.number_format
    elif isinstance(value, str):
        cell.value = _safe(value)
        cell.data_type = "s"
        cell.quotePrefix = value.startswith(FORMULA_STARTS)
    elif value is not None:
        cell.value = value
        if hasattr(value, "isoformat"):
            cell.number_format = DAY_FORMAT


def _safe(text: str) -> str:
    """Text without the control characters that XML cannot hold, cut to what a cell can."""
    from openpyxl.cell.cell import ILLEGAL_CHARACTERS_RE

    return str(ILLEGAL_CHARACTERS_RE.sub("\ufffd", text))[:LONGEST_TEXT]


def _shown(value: Any) -> str:
    return "0:00:00.0" if isinstance(value, _Figure) else str(value)


def _summary(report: Report, words: Words) -> tuple[list[str], list[Row]]:
    video, trust, counts = report.video, report.trust, report.counts
    rows: list[Row] = [
        ("video_id", video.video_id),
        ("operation", video.operation_id),
        ("operation_type", words.operation(video.operation_type) if video.operation_type else None),
        ("surgeon", video.surgeon),
        ("department", video.department),
        ("date", video.date),
        ("patient", video.patient_pseudonym),
        ("duration", _time(video.duration_ms)),
        ("profile", report.profile),
        ("verdict", f"{words.text(f'verdict_{trust.verdict}')} {words.text(f'verdict_{trust.verdict}_more')}"),
        ("mean_phase_confidence", _share(trust.mean_phase_confidence)),
        ("low_confidence_share", _share(trust.low_confidence_share)),
        ("novel_share", _share(trust.novel_share)),
        ("mean_detection_score", _score(trust.mean_detection_score)),
        ("phases", counts.phases_count),
        ("instruments", counts.instruments_count),
        ("anatomy", counts.anatomy_count),
        ("events", counts.events_count),
    ]
    told = [(words.text(key), value) for key, value in rows]
    told += [(words.text("reason"), sentences.reason(report, name, words)) for name in trust.reasons]
    told += [(words.text("missing_title"), sentences.missing(report, item, words)) for item in report.missing]
    return [words.text("figure"), words.text("value")], [*told, ("", words.text("made_by_models"))]


def _phases(report: Report, words: Words) -> tuple[list[str], list[Row]]:
    heads = _heads(words, "number", "phase", "id", "start", "end", "duration", "share", "confidence")
    return heads, [
        (
            number,
            words.name("phase", item.phase),
            item.phase,
            _time(item.start_ms),
            _time(item.end_ms),
            _time(item.duration_ms),
            _share(item.share),
            _share(item.mean_confidence),
        )
        for number, item in enumerate(report.phases, start=1)
    ]


def _instruments(report: Report, words: Words) -> tuple[list[str], list[Row]]:
    heads = _heads(words, "instrument", "id", "total_time", "uses", "share", "mean_score")
    return heads, [
        (
            words.name("instrument", item.instrument),
            item.instrument,
            _time(item.total_ms),
            item.uses,
            _share(item.share),
            _score(item.mean_score),
        )
        for item in report.instruments
    ]


def _uses(report: Report, words: Words) -> tuple[list[str], list[Row]]:
    heads = _heads(words, "instrument", "id", "number", "start", "end", "duration", "frames_seen", "mean_score")
    return heads, [
        (
            words.name("instrument", item.instrument),
            item.instrument,
            item.use_index + 1,
            _time(item.start_ms),
            _time(item.end_ms),
            _time(item.duration_ms),
            item.frame_count,
            _score(item.mean_score),
        )
        for item in report.uses
    ]


def _events(report: Report, words: Words) -> tuple[list[str], list[Row]]:
    heads = _heads(
        words, "event", "id", "start", "end", "duration", "score", "during", "detail", "rule", "version", "evidence"
    )
    return heads, [
        (
            words.name("event", item.kind),
            item.kind,
            _time(item.start_ms),
            _time(item.end_ms),
            _time(item.duration_ms),
            _score(item.score),
            words.name("phase", item.phase) if item.phase else None,
            sentences.finding(item, words),
            item.rule,
            item.rule_version,
            ", ".join(str(frame) for frame in item.evidence_frames),
        )
        for item in report.events
    ]


def _anatomy(report: Report, words: Words) -> tuple[list[str], list[Row]]:
    heads = _heads(words, "structure", "id", "frames_seen", "visible_share", "mean_area", "confidence")
    return heads, [
        (
            words.name("structure", item.structure),
            item.structure,
            item.frame_count,
            _share(item.visible_share),
            _share(item.mean_area_fraction),
            _share(item.mean_confidence),
        )
        for item in report.structures
    ]


def _quality(report: Report, words: Words) -> tuple[list[str], list[Row]]:
    quality = report.quality
    rows: list[Row] = [
        (words.text("frame_count"), quality.frame_count),
        (words.text("frozen_share"), _share(quality.frozen_share)),
        (words.text("dark_share"), _share(quality.dark_share)),
        (words.text("blurred_share"), _share(quality.blurred_share)),
        (words.text("lost_packets"), quality.lost_packets),
        (words.text("lost_ms"), _time(quality.lost_ms)),
    ]
    warnings = [(words.text("warning"), sentences.warning(report, item, words)) for item in quality.warnings]
    return _heads(words, "figure", "value"), [*rows, *warnings]


def _provenance(report: Report, words: Words) -> tuple[list[str], list[Row]]:
    heads = _heads(
        words, "stage", "run", "computed", "config_hash", "code_version", "schema_version", "device", "models", "inputs"
    )
    return heads, [
        (
            record.asset,
            record.run_id,
            f"{record.started:%Y-%m-%d %H:%M:%S}",
            record.stage_config_hash,
            record.code_version,
            record.schema_version,
            record.device,
            ", ".join(f"{model.name} {model.release} {model.digest}" for model in record.models),
            ", ".join(f"{key} {version}" for key, version in record.inputs.items()),
        )
        for record in report.provenance
    ]


def _sources(report: Report, words: Words) -> tuple[list[str], list[Row]]:
    heads = _heads(words, "figure", "stage", "table", "columns", "where", "rows", "first_frame", "last_frame")
    return heads, [
        (
            figure,
            source.stage,
            source.table,
            ", ".join(source.columns),
            ", ".join(f"{column} = {value}" for column, value in source.where.items()),
            source.row_count,
            source.first_frame,
            source.last_frame,
        )
        for figure, source in report.sources.items()
    ]


def _heads(words: Words, *keys: str) -> list[str]:
    return [words.text(key) for key in keys]


_CONTENTS = dict(
    zip(
        SHEETS,
        (_summary, _phases, _instruments, _uses, _events, _anatomy, _quality, _provenance, _sources),
        strict=True,
    )
)


def _with_fixed_times(workbook: bytes) -> bytes:
    """The same archive without the moments of its making."""
    buffer = BytesIO()
    with ZipFile(BytesIO(workbook)) as source, ZipFile(buffer, "w", ZIP_DEFLATED) as target:
        for name in source.namelist():
            content = source.read(name)
            if name == "docProps/core.xml":
                content = re.sub(rb"(<dcterms:(\w+)[^>]*>)[^<]*", rb"\g<1>" + FIXED_TIME.encode(), content)
            entry = ZipInfo(name, ZIP_TIME)
            entry.compress_type = ZIP_DEFLATED
            target.writestr(entry, content)
    return buffer.getvalue()
