"""Rows about models: every release that is on disk or was judged, and what it scored.

Belongs here: reading the runtime repository and the trainings' folders. Does not belong here: counting scores
(``models/scoring``). MLflow is not asked: what it knows of a release was written from the same files, and a daily look
should not need its server.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pyarrow as pa

from models.contracts import ANATOMIST, DETECTOR, SEGMENTER
from models.scoring.headline import AREA_HEADLINE, BOX_HEADLINE, PHASE_HEADLINE
from neurovision_assets.marts import tables
from neurovision_assets.marts.videos import utc
from neurovision_assets.training.candidate.home import (
    METRICS_FILE,
    RECORD_FILE,
    VERDICT_FILE,
    CandidateRecord,
    TrainingHome,
)
from resources.inference.notes import DATA_PARAMETER, RELEASE_PARAMETER, read_note
from resources.inference.repository import ModelRepository
from resources.object_store import sha256_of_file

CARD_FILE: Final = "scores.json"
PROTOCOLS: Final = {SEGMENTER: PHASE_HEADLINE, DETECTOR: BOX_HEADLINE, ANATOMIST: AREA_HEADLINE}
Row = dict[str, Any]
Key = tuple[str, str]
"""Model and digest."""


def model_tables(repository: ModelRepository, training: TrainingHome) -> dict[str, pa.Table]:
    """Tables by name.

    Args:
        repository: the runtime repository.
        training: where candidates and their reports are.

    Raises:
        ConfigurationError: the note of a version cannot be read.
    """
    candidates = sorted(_candidates(training), key=lambda found: found[1].trained)
    releases: dict[Key, Row] = {
        (record.model, record.digest): _candidate(folder, record) for folder, record in candidates
    }
    scores: dict[Key, list[Row]] = {}
    for folder, record in candidates:  # the newest report of a file counts
        scores.update(_evaluated(folder, record))
    rows = [row for found in scores.values() for row in found]
    for name in repository.names():
        for row in _on_disk(repository, name):
            releases[name, row["digest"]] = {**releases.get((name, row["digest"]), {}), **row}
            if row["origin"] == "code":
                rows += _card(repository.root / name / CARD_FILE, name, row["digest"])
    told = {tables.MODEL_RELEASES: list(releases.values()), tables.MODEL_SCORES: rows}
    return {
        contract.name: pa.Table.from_pylist(found, schema=contract.arrow_schema) for contract, found in told.items()
    }


def _on_disk(repository: ModelRepository, name: str) -> Iterator[Row]:
    """Releases in the runtime repository, a row a file; a file that a rollback brought back is one with its origin."""
    numbers = repository.versions_on_disk(name)
    served = repository.served_versions(name)[-1:]
    found: dict[str, Row] = {}
    for number in numbers:
        note = read_note(repository.root / name / str(number))
        digest = note.digest if note else sha256_of_file(repository.file(name, number))
        parameters = note.parameters if note else repository.configured(name)
        is_trained = note is not None and note.mlflow_run_id != ""
        found[digest] = {
            "model": name,
            "digest": digest,
            "release": note.release if note else parameters.get(RELEASE_PARAMETER, str(number)),
            "state": "served" if number in served else "kept",
            "origin": "training" if is_trained else "code",
            "refused_because": None,
            "data_revision": parameters.get(DATA_PARAMETER),
            **({} if is_trained else {"made_at": None}),
        }
    yield from found.values()


def _candidates(training: TrainingHome) -> Iterator[tuple[Path, CandidateRecord]]:
    for path in training.root.glob(f"candidates/*/*/{RECORD_FILE}"):
        yield path.parent, CandidateRecord.model_validate_json(path.read_bytes())


def _candidate(folder: Path, record: CandidateRecord) -> Row:
    verdict = _read(folder / VERDICT_FILE)
    reason = verdict.get("reason") or None
    return {
        "model": record.model,
        "digest": record.digest,
        "release": verdict.get("release") or None,
        "state": "refused" if reason else "candidate",
        "origin": "training",
        "refused_because": reason,
        "data_revision": record.data_revision,
        "made_at": utc(record.trained),
    }


def _evaluated(folder: Path, record: CandidateRecord) -> dict[Key, list[Row]]:
    """Figures of the candidate and of the model that was served then, on the same videos."""
    report = _read(folder / METRICS_FILE)
    protocol = PROTOCOLS[record.model]
    told = {
        "model": record.model,
        "source": "evaluation",
        "scored_on": report.get("data_revision"),
        "protocol": f"{protocol.name}/{protocol.version}",
    }
    scores = {}
    for one in (report[side] for side in ("production", "candidate") if side in report):
        figures = {**one["metrics"], "calibration_error": one["calibration_error"], "videos": len(one["videos"])}
        scores[record.model, one["digest"]] = [
            {**told, "digest": one["digest"], "figure": name, "value": float(value)} for name, value in figures.items()
        ]
    return scores


def _card(path: Path, model: str, digest: str) -> list[Row]:
    told = {"model": model, "digest": digest, "source": "card"}
    return [{**told, **row} for row in _groups(_read(path), "")]


def _groups(scores: Row, place: str) -> Iterator[Row]:
    """Figures below the groups that name a protocol."""
    if "protocol" in scores:
        for name, value in _leaves(scores, ""):
            yield {"scored_on": place, "protocol": scores["protocol"], "figure": name, "value": value}
        return
    for name, inner in scores.items():
        yield from _groups(inner, f"{place}/{name}" if place else name)


def _leaves(figures: Row, prefix: str) -> Iterator[tuple[str, float | None]]:
    for name, value in figures.items():
        if isinstance(value, dict):
            yield from _leaves(value, f"{prefix}{name}/")
        elif value is None or isinstance(value, int | float):
            yield f"{prefix}{name}", value


def _read(path: Path) -> Row:
    """A JSON file that another step may not have written yet."""
    try:
        content: Row = json.loads(path.read_bytes())
    except FileNotFoundError:
        return {}
    return content
