"""From tables to a report as data.

Belongs here: the recipe. Does not belong here: the single figures (`findings`, `trust`), pictures, formats.
"""

from __future__ import annotations

from collections.abc import Sequence

from neurovision_assets.provenance import ModelUse, Provenance
from neurovision_assets.surgery.report import findings, keyframes, trust
from neurovision_assets.surgery.report.config import ReportConfig
from neurovision_assets.surgery.report.inputs import ReportTables
from neurovision_assets.surgery.report.model import (
    Component,
    Counts,
    DecodingLoss,
    MissingComponent,
    Report,
    VideoFacts,
)
from neurovision_assets.surgery.report.sources import build_sources


def build_report(
    *,
    video: VideoFacts,
    profile: str,
    tables: ReportTables,
    provenance: Sequence[Provenance],
    decoding: DecodingLoss | None = None,
    missing: Sequence[MissingComponent] = (),
    config: ReportConfig | None = None,
) -> Report:
    """Tell what the stages found.

    Args:
        video: facts of recording and operation.
        profile: name of the analysis profile.
        tables: the stages' tables, None for what is missing.
        provenance: one record a stage, in the order the data flows.
        decoding: what the decoder could not read.
        missing: why a component is missing; one that is missing without a word here is called absent.
        config: thresholds of verdict and warnings.

    Returns:
        The report, the same for the same arguments.
    """
    config, decoding = config or ReportConfig(), decoding or DecodingLoss()
    choice = keyframes.choose(tables, config)
    segments = findings.phase_segments(tables.phase_segments, video.duration_ms, choice.of_segment)
    uses = findings.instrument_uses(tables.instrument_uses)
    totals = findings.instrument_totals(uses, video.duration_ms)
    structures = findings.structures(tables.anatomy, tables.frames.num_rows)
    events = findings.events(tables.events, segments, choice.of_event)
    absent = _explained(tables.absent(), missing)
    gone = {item.component for item in absent}
    return Report(
        video=video,
        profile=profile,
        config=config,
        counts=Counts(
            phases_count=None if "phases" in gone else len(segments),
            instruments_count=None if "instruments" in gone else len(totals),
            anatomy_count=None if "anatomy" in gone else len(structures),
            events_count=None if "events" in gone else len(events),
        ),
        trust=trust.trust(tables, config),
        phases=segments,
        instruments=totals,
        uses=uses,
        structures=structures,
        events=events,
        quality=trust.quality(tables, decoding, video.duration_ms, config),
        missing=absent,
        key_frames=keyframes.key_frames(choice, tables),
        series=trust.series(tables, video.duration_ms),
        sources=build_sources(tables, segments, totals, uses, structures, events),
        models=_models(provenance),
        provenance=tuple(provenance),
    )


def _explained(absent: tuple[Component, ...], reasons: Sequence[MissingComponent]) -> tuple[MissingComponent, ...]:
    """One record for every component that is not there; reasons for components that are there do not count."""
    given = {item.component: item for item in reasons}
    return tuple(given.get(name) or MissingComponent(component=name, reason="absent") for name in absent)


def _models(provenance: Sequence[Provenance]) -> tuple[ModelUse, ...]:
    """Every model once, in the order of use."""
    return tuple(dict.fromkeys(model for record in provenance for model in record.models))
