"""The asset ``surgery/report``: everything found, for people.

Belongs here: the recipe. Does not belong here: what a report says (``build``) and how it looks (``html``, ``pdf``, …).
"""

from neurovision_assets.stage.recipe import stage_recipe
from neurovision_assets.stage.work import Outcome, Work
from neurovision_assets.surgery.pipeline import REPORT, SURGERY
from neurovision_assets.surgery.previews import timeline_preview
from neurovision_assets.surgery.report.build import build_report
from neurovision_assets.surgery.report.config import ReportConfig
from neurovision_assets.surgery.report.content import render_json, report_content_hash
from neurovision_assets.surgery.report.gather import (
    decoding_loss,
    frame_loader,
    missing_components,
    tables_of,
    video_facts,
)
from neurovision_assets.surgery.report.html import render_html
from neurovision_assets.surgery.report.model import Report
from neurovision_assets.surgery.report.pdf import render_pdf
from neurovision_assets.surgery.report.pictures import load_pictures
from neurovision_assets.surgery.report.xlsx import render_xlsx


@stage_recipe(SURGERY, REPORT.name)
def report(work: Work[ReportConfig]) -> Outcome:
    """What a surgeon reads: HTML, PDF, JSON and Excel in English and Russian, every figure with its origin."""
    content = build_report(
        video=video_facts(work),
        profile=work.profile.profile.name,
        tables=tables_of(work),
        provenance=work.provenance_of_inputs(),
        decoding=decoding_loss(work),
        missing=missing_components(work),
        config=work.config,
    )
    work.progress(0.1)
    pictures = load_pictures(content, frame_loader(work, [frame.frame_index for frame in content.key_frames]))
    shown = {index: picture.jpeg for index, picture in pictures.items()}
    language = work.config.languages[0]
    work.draft.write_bytes("json", render_json(content), content_hash=report_content_hash(content, shown))
    work.draft.write_bytes("html", render_html(content, pictures, language))
    work.draft.write_bytes("xlsx", render_xlsx(content, language))
    work.progress(0.5)
    for code in work.config.languages:
        name = "pdf" if code == language else f"{code}.pdf"
        work.draft.write_bytes(name, render_pdf(content, pictures, code))
    return Outcome(counts=content.counts.model_dump(exclude_none=True), preview=preview_of(content))


def preview_of(content: Report) -> bytes:
    """The timeline for the UI."""
    return timeline_preview(
        [(segment.phase, segment.start_ms, segment.end_ms) for segment in content.phases],
        [(event.kind, event.start_ms) for event in content.events],
        content.video.duration_ms,
    )
