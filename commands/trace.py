"""``make trace VIDEO_ID=…``: from every figure of a report to frames, upload, models, config and run.

Belongs here: joining the report's source map with the stages' records, and printing the answer. Does not belong here:
making either. Everything is read from the store and verified, so the answer holds without Dagster's database.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel, ConfigDict
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from neurovision_assets.artifacts import ArtifactReader, ArtifactRecord
from neurovision_assets.partitions import check_video_id
from neurovision_assets.surgery.pipeline import REPORT, SURGERY, VIDEO
from neurovision_assets.surgery.report.model import Report, Source
from neurovision_assets.training.lineage import models_that_saw, training_of
from resources.errors import ConfigurationError, NeuroVisionError, PermanentFailure
from resources.inference.repository import ModelRepository
from resources.object_store import ObjectStore
from resources.settings import load_settings

JSON_PART = "json"
STAGE_NAMES = {stage.name for stage in SURGERY.stages}
SHOWN_DIGITS = 12
ROLES = {"learned_from": "learned from by", "chosen_on": "used to choose the best epoch of"}
WIDE = 220


class FigureTrace(BaseModel):
    """One figure of the report and where it comes from.

    Attributes:
        figure: its id, ``phase.0`` or ``instrument.hook``.
        value: what the report says.
        source: stage, table, rows and frames.
        chain: asset keys from the figure's stage up to the upload.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    figure: str
    value: dict[str, Any]
    source: Source
    chain: tuple[str, ...]


class VideoTrace(BaseModel):
    """The whole answer.

    Attributes:
        video_id: the partition.
        upload_sha256: of the uploaded files, in order.
        figures: every figure of the report.
        stages: the record of every stage that the report stands on.
        altered: object keys that are missing or differ from their record, and results that are no longer those which
            the report was made from; each with the reason.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    video_id: str
    upload_sha256: tuple[str, ...]
    figures: tuple[FigureTrace, ...]
    stages: dict[str, ArtifactRecord]
    altered: tuple[str, ...]


def trace_video(store: ObjectStore, video_id: str) -> VideoTrace:
    """Trace every figure of a video's report.

    Raises:
        PermanentFailure: there is no such report, or it was altered, or the record of its video is gone.
    """
    reader = ArtifactReader(store)
    record = reader.required_record(REPORT.asset, check_video_id(video_id))
    report = Report.model_validate_json(reader.path(record, JSON_PART).read_bytes())
    stages = {REPORT.asset: record}
    for stage in SURGERY.stages:
        found = reader.record(stage.asset, video_id)
        if found is not None and stage.asset in record.provenance.inputs:
            stages[stage.asset] = found
    video = reader.required_record(VIDEO.asset, video_id)
    return VideoTrace(
        video_id=video_id,
        upload_sha256=tuple(part["upload_sha256"] for part in video.facts["parts"]),
        figures=tuple(
            FigureTrace(
                figure=figure, value=value_of(report, figure), source=source, chain=chain_from(source.stage, stages)
            )
            for figure, source in sorted(report.sources.items(), key=lambda item: in_natural_order(item[0]))
        ),
        stages=stages,
        altered=(*altered_parts(reader, stages), *replaced_inputs(stages)),
    )


def in_natural_order(figure: str) -> tuple[str, int, str]:
    """Ten comes behind nine: the numbered figures of a kind by their number."""
    kind, _, rest = figure.partition(".")
    return kind, int(rest) if rest.isdecimal() else -1, rest


def chain_from(asset: str, stages: dict[str, ArtifactRecord]) -> tuple[str, ...]:
    """Asset keys that a stage's result stands on, itself first, each once."""
    chain: list[str] = []
    waiting = [asset]
    while waiting:
        key = waiting.pop(0)
        if key not in chain:
            chain.append(key)
            waiting += list(stages[key].provenance.inputs) if key in stages else []
    return tuple(chain)


def value_of(report: Report, figure: str) -> dict[str, Any]:
    """What the report says under a figure's id (the ids are ``Report``'s)."""
    kind, _, rest = figure.partition(".")
    if kind in ("trust", "quality"):
        return {rest: getattr(getattr(report, kind), rest)}
    if kind == "video":
        return report.video.model_dump(mode="json")
    name, _, index = rest.rpartition(".") if kind == "use" else (rest, "", "")
    rows: dict[str, list[Any]] = {
        "phase": [row for row in report.phases if str(row.index) == rest],
        "event": [row for row in report.events if str(row.index) == rest],
        "instrument": [row for row in report.instruments if row.instrument == rest],
        "structure": [row for row in report.structures if row.structure == rest],
        "use": [row for row in report.uses if (row.instrument, str(row.use_index)) == (name, index)],
    }
    dumped: dict[str, Any] = rows[kind][0].model_dump(mode="json")
    return dumped


def altered_parts(reader: ArtifactReader, stages: dict[str, ArtifactRecord]) -> list[str]:
    """Object keys that no longer are what their record says, with the reason."""
    problems = []
    for record in stages.values():
        for part in record.parts:
            try:
                reader.verify(part)
            except PermanentFailure as error:
                problems.append(f"{error.subject}: {error.problem}")
    return problems


def replaced_inputs(stages: dict[str, ArtifactRecord]) -> list[str]:
    """Results that were made again, or are gone, since another was made from them: its figures stand on the old one."""
    return [
        f"{key}: It is not the one that {asset} was made from."
        for asset, record in stages.items()
        for key, version in record.provenance.inputs.items()
        if key.rpartition("/")[2] in STAGE_NAMES and (key not in stages or stages[key].data_version != version)
    ]


def only_figure(trace: VideoTrace, figure: str) -> VideoTrace:
    """The part of the answer that is about one figure.

    Raises:
        PermanentFailure: the report has no such figure.
    """
    chosen = tuple(item for item in trace.figures if item.figure == figure)
    if not chosen:
        raise PermanentFailure(
            f"The report has no figure '{figure}'.",
            subject=trace.video_id,
            remedy=f"Figures are {', '.join(item.figure for item in trace.figures)}.",
        )
    stages = {key: record for key, record in trace.stages.items() if key in chosen[0].chain}
    return trace.model_copy(update={"figures": chosen, "stages": stages})


def show(trace: VideoTrace, console: Console) -> None:
    """Print the answer as two tables."""
    console.print(_figures_table(trace.figures))
    console.print(_stages_table(trace.stages))
    for number, digest in enumerate(trace.upload_sha256):
        console.print(f"upload, file {number + 1}: sha256 {digest}")
    for problem in trace.altered:
        console.print(f"ALTERED {problem}", markup=False)
    if not trace.altered:
        console.print("every object is what its record says")


def model_lines(repository: ModelRepository, trace: VideoTrace) -> list[str]:
    """What the models learned from, and which models learned from this video; a line each."""
    used = {model.digest: model for record in trace.stages.values() for model in record.provenance.models}
    lines = []
    for model in used.values():
        note = training_of(repository, model.name, model.digest)
        told = (
            f"trained on {len(note.learned_from)} operations, data {model.data_revision}, "
            f"MLflow run {note.mlflow_run_id}"
            if note
            else "came with the code"
        )
        lines.append(f"{model.label}: {told}")
    return lines + [
        f"this video was {ROLES[seen.role]} {seen.model}@{seen.release}, version {seen.version}"
        for seen in models_that_saw(repository, trace.video_id)
    ]


def main(arguments: Sequence[str] | None = None) -> int:
    """Answer on the terminal.

    Returns:
        0; 1 when there is no report or an object was altered.
    """
    parser = argparse.ArgumentParser(prog="make trace", description="Where the figures of a report come from.")
    parser.add_argument("video_id")
    parser.add_argument("--figure", help="one figure, for example phase.0")
    parser.add_argument("--json", action="store_true", help="the whole answer as JSON")
    chosen = parser.parse_args(arguments)
    console = Console(highlight=False, width=None if sys.stdout.isatty() else WIDE)
    try:
        if not chosen.video_id:
            raise ConfigurationError(
                "No video was named.", subject="VIDEO_ID", remedy="make trace VIDEO_ID=operation_001-1f3a9c2b"
            )
        trace = trace_video(ObjectStore.of(load_settings()), chosen.video_id)
        if chosen.figure is not None:
            trace = only_figure(trace, chosen.figure)
        if chosen.json:
            print(json.dumps(trace.model_dump(mode="json"), indent=1, ensure_ascii=False))
        else:
            show(trace, console)
            for line in model_lines(ModelRepository(load_settings().model_repository), trace):
                console.print(line, markup=False)
    except NeuroVisionError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 1 if trace.altered else 0


def _figures_table(figures: Sequence[FigureTrace]) -> Table:
    table = Table("figure", "value", "rows", "frames", "from", title="figures")
    for item in figures:
        source = item.source
        where = ", ".join(f"{name}={value}" for name, value in source.where.items())
        frames = "" if source.first_frame is None else f"{source.first_frame}–{source.last_frame}"
        table.add_row(
            item.figure,
            escape(_brief(item.value)),
            escape(f"{source.table}[{where}] ×{source.row_count}"),
            frames,
            " ← ".join(key.removeprefix(f"{SURGERY.domain}/") for key in item.chain),
        )
    return table


def _stages_table(stages: dict[str, ArtifactRecord]) -> Table:
    table = Table("stage", "data version", "code", "profile", "config", "models", "run", "finished", title="stages")
    for key, record in stages.items():
        made = record.provenance
        models = "\n".join(f"{model.name}@{model.release} {model.digest[:SHOWN_DIGITS]}" for model in made.models)
        table.add_row(
            key,
            record.data_version[:SHOWN_DIGITS],
            f"{made.code_version} ({made.dataprocessor_version})",
            made.profile,
            f"{made.config_hash[:SHOWN_DIGITS]}\n{made.stage_config_hash[:SHOWN_DIGITS]}",
            models,
            made.run_id,
            f"{made.finished:%Y-%m-%d %H:%M:%S}",
        )
    return table


def _brief(value: dict[str, Any]) -> str:
    kept = {name: item for name, item in value.items() if item is not None and not isinstance(item, list)}
    return ", ".join(f"{name} {item}" for name, item in list(kept.items())[:6])


if __name__ == "__main__":
    sys.exit(main())
