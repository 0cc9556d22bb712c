"""The order of things in the PDF: headings, tables, charts, pictures.

Belongs here: what stands where on paper. Does not belong here: pages and fonts (`pdf`), small pieces (`pdf_parts`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from neurovision_assets.surgery.colours import colour
from neurovision_assets.surgery.report import sentences
from neurovision_assets.surgery.report.model import Caption, Component, KeyFrame, Report
from neurovision_assets.surgery.report.pdf_parts import Cell, Code, Kit
from neurovision_assets.surgery.report.pictures import Picture
from neurovision_assets.surgery.report.source_families import families
from neurovision_assets.surgery.report.texts import NO_FIGURE, Words

PICTURES_A_ROW = 3


def tell(report: Report, pictures: Mapping[int, Picture], words: Words) -> list[Any]:
    """The whole report as reportlab's flowables."""
    kit = Kit(report, words)
    return [
        *_head(kit),
        *_verdict(kit),
        *_phases(kit),
        *_gallery(kit, pictures, "phase"),
        *_instruments(kit),
        *_events(kit),
        *_gallery(kit, pictures, "event"),
        *_anatomy(kit),
        *_quality(kit),
        *_provenance(kit),
        *_uses(kit),
        *_sources(kit),
        kit.space(8),
        kit.text(words.text("made_by_models"), "soft"),
    ]


def _head(kit: Kit) -> list[Any]:
    video, words = kit.report.video, kit.words
    return [
        kit.text(f"{words.text('brand')} · {words.text('title')}", "brand"),
        kit.text(
            words.operation(video.operation_type) if video.operation_type else words.text("of_unknown_operation"),
            "title",
        ),
        kit.facts(sentences.facts(kit.report, words)),
        kit.space(6),
    ]


def _verdict(kit: Kit) -> list[Any]:
    report, words = kit.report, kit.words
    trust = report.trust
    left = [
        kit.text(words.text(f"verdict_{trust.verdict}"), "loud"),
        kit.text(words.text(f"verdict_{trust.verdict}_more"), "body"),
        *(kit.text(f"• {sentences.reason(report, name, words)}", "small") for name in trust.reasons),
    ]
    right = [(words.text(name), sentences.trust_figure(report, name, words)) for name in sentences.TRUST_FIGURES]
    counts = report.counts
    glance = [
        words.count(noun, number)
        for noun, number in (
            ("phase", counts.phases_count),
            ("instrument", counts.instruments_count),
            ("event", counts.events_count),
            ("structure", counts.anatomy_count),
        )
        if number is not None
    ]
    told = [words.text("missing_title")] + [sentences.missing(report, item, words) for item in report.missing]
    return [
        kit.verdict(left, right),
        *([kit.space(5), kit.note(told)] if report.missing else []),
        kit.space(5),
        kit.text("  ·  ".join(glance), "glance"),
    ]


def _phases(kit: Kit) -> list[Any]:
    report, words = kit.report, kit.words
    rows: list[list[Cell]] = [
        [
            kit.chip(number, colour("phase", segment.phase)),
            words.name("phase", segment.phase),
            words.clock(segment.start_ms),
            words.clock(segment.end_ms),
            words.duration(segment.duration_ms),
            words.percent(segment.share),
            kit.meter(segment.mean_confidence, report.config.uncertain_mean_confidence, percent=True),
        ]
        for number, segment in enumerate(report.phases, start=1)
    ]
    heads = ["number", "phase", "start", "end", "duration", "share", "confidence"]
    table = kit.table(heads, rows, (9, 65, 18, 18, 22, 16, 30), right=(2, 3, 4, 5))
    return [*kit.heading("timeline"), *_absent(kit, "phases", rows), *kit.chart("timeline"), *table]


def _gallery(kit: Kit, pictures: Mapping[int, Picture], kind: str) -> list[Any]:
    frames = [
        frame for frame in kit.report.key_frames if frame.captions[0].kind == kind and frame.frame_index in pictures
    ]
    if not frames:
        return []
    heading = kit.heading("key_frames") if kind == "phase" else [kit.space(6)]
    legend = [kit.legend(kit.report.structures)] if kind == "phase" and kit.report.structures else []
    cells = [
        (pictures[frame.frame_index], [_title(kit, caption) for caption in frame.captions], _frame_line(kit, frame))
        for frame in frames
    ]
    return [*heading, *legend, *kit.pictures(cells, PICTURES_A_ROW)]


def _title(kit: Kit, caption: Caption) -> str:
    if caption.kind == "event":
        event = next(event for event in kit.report.events if event.index == caption.index)
        return kit.words.name("event", event.kind)
    pairs = enumerate(kit.report.phases, start=1)
    number, segment = next(pair for pair in pairs if pair[1].index == caption.index)
    return kit.words.text("picture_of_phase", number=number, phase=kit.words.name("phase", segment.phase))


def _frame_line(kit: Kit, frame: KeyFrame) -> str:
    words, first = kit.words, frame.captions[0]
    at = words.text("frame_at", frame=frame.frame_index, time=words.clock(frame.timestamp_ms))
    if first.kind == "event":
        score = next(event.score for event in kit.report.events if event.index == first.index)
        return f"{at} · {words.text('score')} {words.number(score)}"
    confidence = next(item.mean_confidence for item in kit.report.phases if item.index == first.index)
    return f"{at} · {words.text('confidence')} {words.percent(confidence)}"


def _instruments(kit: Kit) -> list[Any]:
    report, words = kit.report, kit.words
    rows: list[list[Cell]] = [
        [
            kit.chip("", colour("instrument", total.instrument)),
            words.name("instrument", total.instrument),
            words.duration(total.total_ms),
            words.percent(total.share),
            str(total.uses),
            kit.meter(total.mean_score, report.config.uncertain_detection_score),
        ]
        for total in report.instruments
    ]
    heads = ["", "instrument", "total_time", "share", "uses", "mean_score"]
    table = kit.table(heads, rows, (9, 65, 32, 20, 22, 30), right=(2, 3, 4))
    return [*kit.heading("instruments"), *_absent(kit, "instruments", rows), *kit.chart("instruments"), *table]


def _events(kit: Kit) -> list[Any]:
    report, words = kit.report, kit.words
    rows: list[list[Cell]] = [
        [
            words.span(event.start_ms, event.end_ms),
            words.name("event", event.kind),
            words.name("phase", event.phase) if event.phase else NO_FIGURE,
            kit.meter(event.score, report.config.uncertain_detection_score),
            f"{sentences.finding(event, words)} · {words.text('rule')}: {event.rule} {event.rule_version}",
            ", ".join(str(frame) for frame in event.evidence_frames[:4]),
        ]
        for event in report.events
    ]
    heads = ["time", "event", "during", "score", "detail", "evidence"]
    table = kit.table(heads, rows, (20, 29, 29, 28, 54, 18), fine=True)
    return [*kit.heading("events"), *_absent(kit, "events", rows), *table]


def _anatomy(kit: Kit) -> list[Any]:
    report, words = kit.report, kit.words
    rows: list[list[Cell]] = [
        [
            kit.chip("", colour("structure", item.structure)),
            words.name("structure", item.structure),
            words.percent(item.visible_share),
            words.percent(item.mean_area_fraction),
            kit.meter(item.mean_confidence, report.config.uncertain_mean_confidence, percent=True),
        ]
        for item in report.structures
    ]
    heads = ["", "structure", "visible_share", "mean_area", "confidence"]
    table = kit.table(heads, rows, (9, 75, 30, 34, 30), right=(2, 3))
    hint = [kit.text(words.text("anatomy_hint"), "soft")] if rows else []
    return [*kit.heading("anatomy"), *_absent(kit, "anatomy", rows), *kit.chart("anatomy"), *table, *hint]


def _quality(kit: Kit) -> list[Any]:
    report, words = kit.report, kit.words
    quality = report.quality
    told = [sentences.warning(report, item, words) for item in quality.warnings]
    facts = [
        ("frame_count", str(quality.frame_count)),
        ("frozen_share", words.percent(quality.frozen_share)),
        ("dark_share", words.percent(quality.dark_share)),
        ("blurred_share", words.percent(quality.blurred_share)),
    ]
    return [
        *kit.heading("quality"),
        kit.note(told) if told else kit.text(words.text("nothing_quality"), "body"),
        kit.space(4),
        kit.facts(facts),
        kit.text(words.text("novelty"), "subheading"),
        *_absent(kit, "features", report.series.novelty),
        *kit.chart("novelty"),
    ]


def _provenance(kit: Kit) -> list[Any]:
    report, words = kit.report, kit.words
    models: list[list[Cell]] = [
        [model.name, f"{model.release} ({model.version})", f"{model.engine}, {model.precision}", Code(model.digest)]
        for model in report.models
    ]
    records: list[list[Cell]] = [
        [
            Code(record.asset),
            Code(record.run_id),
            f"{record.started:%Y-%m-%d %H:%M:%S} · {words.duration(record.duration_ms)}",
            f"{record.code_version} / {record.schema_version}",
            Code("\n".join(f"{key} {version}" for key, version in record.inputs.items()) or NO_FIGURE),
        ]
        for record in report.provenance
    ]
    pairs = [("video_id", report.video.video_id)] + [("upload", digest) for digest in report.video.upload_sha256]
    if report.provenance:
        first = report.provenance[0]
        pairs += [
            ("config_hash", first.config_hash),
            ("software", f"neurovision {first.dataprocessor_version}"),
            ("sampling", first.sampling_policy_version),
        ]
    return [
        *kit.heading("provenance"),
        *kit.table(["", ""], [[words.text(name), Code(value)] for name, value in pairs], (45, 133), headless=True),
        kit.space(6),
        *kit.table(["model", "version", "engine", "digest"], models, (40, 22, 42, 74), fine=True),
        kit.space(6),
        *kit.table(["stage", "run", "computed", "code_version", "inputs"], records, (34, 34, 36, 16, 58), fine=True),
    ]


def _uses(kit: Kit) -> list[Any]:
    report, words = kit.report, kit.words
    rows: list[list[Cell]] = [
        [
            words.name("instrument", use.instrument),
            str(use.use_index + 1),
            words.clock(use.start_ms),
            words.clock(use.end_ms),
            words.duration(use.duration_ms),
            str(use.frame_count),
            words.number(use.mean_score),
        ]
        for use in report.uses
    ]
    heads = ["instrument", "number", "start", "end", "duration", "frames_seen", "mean_score"]
    table = kit.table(heads, rows, (56, 14, 20, 20, 24, 20, 24), right=(1, 2, 3, 4, 5, 6), fine=True)
    return [*kit.heading("uses_all"), *table] if rows else []


def _sources(kit: Kit) -> list[Any]:
    rows: list[list[Cell]] = []
    for family in families(kit.report.sources):
        source = family.source
        where = "".join(f" [{column} = {value}]" for column, value in family.where.items())
        frames = NO_FIGURE if source.first_frame is None else f"{source.first_frame}–{source.last_frame}"
        table = f"{source.table}{where}: {', '.join(source.columns)}"
        rows.append([Code(family.figure), Code(source.stage), Code(table), str(source.row_count), frames])
    heads = ["figure", "stage", "table", "rows", "frames"]
    return [*kit.heading("sources"), *kit.table(heads, rows, (42, 34, 68, 14, 20), right=(3, 4), fine=True)]


def _absent(kit: Kit, component: Component, found: object) -> list[Any]:
    """Why a part is missing, or that nothing was found; nothing when there is something."""
    item = kit.report.absence(component)
    if item is not None:
        return [kit.note([sentences.missing(kit.report, item, kit.words)]), kit.space(4)]
    return [] if found else [kit.text(kit.words.text(f"nothing_{component}"), "body")]
