"""What new videos are compared with: rows of operations of a model's training data that it did not learn from.

Belongs here: the file beside a model's version, making its rows from stored pictures with the platform's own stages.
Does not belong here: which operations (``held_out``, ``commands/drift_reference``), figures (``figures``).

Operations that a model learned from would be the wrong reference: it has been fitted to them and may be surer of them
than of anything new, and the difference would pass for drift.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
from pydantic import BaseModel, ConfigDict, ValidationError

from models.letterbox import FrameGeometry
from neurovision_assets.drift.figures import FIGURES_VERSION, ROW_OF, STAGES_OF, Row
from neurovision_assets.profiles import ResolvedProfile
from neurovision_assets.stage.resolve import question_of
from neurovision_assets.staleness import Basis
from neurovision_assets.surgery.pipeline import SURGERY
from resources.inference.client import SEED_REPOSITORY, InferenceResource
from resources.inference.repository import ModelRepository

REFERENCE_FILE: Final = "drift_reference.json"
_DIGITS: Final = 6


class DriftReference(BaseModel):
    """The reference of one model.

    Attributes:
        model: name in the model repository.
        figures_version: of the figures' meaning.
        basis: what the tables stand on that the rows were counted from, by stage.
        source: where the operations come from, for people.
        operations: a row each, by the operation's name.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: str
    figures_version: int
    basis: dict[str, Basis]
    source: str
    operations: dict[str, Row]

    def write(self, path: Path) -> None:
        """Write the file, whole or not at all."""
        partial = path.with_name(f".{path.name}.partial")
        partial.write_text(self.model_dump_json(indent=1) + "\n", encoding="utf-8")
        partial.replace(path)


@dataclass(frozen=True)
class Pictured:
    """An operation as stored pictures.

    Attributes:
        name: in its set.
        geometry: how its source pictures lie in the stored ones.
        batches: columns `pictures.FRAME_COLUMNS`, in order of time; can be read once.
    """

    name: str
    geometry: FrameGeometry
    batches: Iterable[pa.RecordBatch]


def basis_of_model(model: str, profile: ResolvedProfile, inference: InferenceResource) -> dict[str, Basis]:
    """What a model's tables would stand on now, by stage, whatever the video.

    Raises:
        ConfigurationError: a model is not installed.
    """
    return {
        stage: question_of(SURGERY, SURGERY[stage], profile, inference).without_inputs for stage in STAGES_OF[model]
    }


def find_reference(
    model: str, basis: Mapping[str, Basis], repository: ModelRepository, seed: Path = SEED_REPOSITORY
) -> DriftReference | None:
    """The reference that fits; None where there is none yet.

    A version keeps its file through a rollback, because all that are on disk are looked at. Homes that were filled
    before the bundled models had references find them in the seed.
    """
    for version in sorted(repository.versions_on_disk(model), reverse=True):
        found = _read(reference_path(repository.root, model, version), basis)
        if found is not None:
            return found
    return _read(reference_path(seed, model, 1), basis)


def reference_path(root: Path, model: str, version: int) -> Path:
    """Where a version's reference lies."""
    return root / model / str(version) / REFERENCE_FILE


def rows_of(
    operation: Pictured, models: Iterable[str], profile: ResolvedProfile, inference: InferenceResource
) -> dict[str, Row]:
    """An operation's row for each model, through the stages' own functions.

    Args:
        operation: with at least one picture.
        models: keys of `figures.STAGES_OF`.
        profile: the stages' settings.
        inference: where the models are.
    """
    wanted = {model: STAGES_OF[model] for model in models}
    tables = _tables(operation, {stage for stages in wanted.values() for stage in stages}, profile, inference)
    frames = tables.pop("frames").num_rows
    rows = {stage: ROW_OF[stage](table, frames) for stage, table in tables.items()}
    return {model: rounded(_joined(rows[stage] for stage in stages)) for model, stages in wanted.items()}


def rounded(row: Row) -> Row:
    """The row in as many digits as a file needs."""
    return {name: float(f"{value:.{_DIGITS}g}") for name, value in row.items()}


def _joined(rows: Iterable[Row]) -> Row:
    return {name: value for row in rows for name, value in row.items()}


def _tables(
    operation: Pictured, stages: set[str], profile: ResolvedProfile, inference: InferenceResource
) -> dict[str, pa.Table]:
    """What each stage would store, and the frames' times."""
    from neurovision_assets.surgery.pictures import decode_frames

    makers = {"features": _features, "instruments": _instruments, "anatomy": _anatomy}
    parts: dict[str, list[pa.Table]] = {stage: [] for stage in ("frames", *(makers.keys() & stages))}
    for batch in decode_frames(operation.batches):
        parts["frames"].append(pa.table({"frame_index": batch.frame_index, "timestamp_ms": batch.timestamp_ms}))
        for stage in makers.keys() & stages:
            parts[stage] += makers[stage](batch, operation.geometry, profile.configs[stage], inference)
    tables = {stage: pa.concat_tables(found) for stage, found in parts.items()}
    if "phases" in stages:
        tables["phases"] = _phases(tables, profile.configs["phases"], inference)
    return tables


def _features(batch: Any, _: FrameGeometry, config: Any, inference: InferenceResource) -> Iterator[pa.Table]:
    from neurovision_assets.surgery.features.compute import features_tables

    return features_tables([batch], inference, config)


def _instruments(batch: Any, geometry: FrameGeometry, config: Any, inference: InferenceResource) -> list[pa.Table]:
    import numpy as np

    from neurovision_assets.surgery.instruments.detect import detect, detections_table

    found = detect([batch], inference, config, geometry)
    untracked = np.zeros(len(found), np.int32)
    return [detections_table(found, untracked, inference.pin(config.model).labels)]


def _anatomy(batch: Any, geometry: FrameGeometry, config: Any, inference: InferenceResource) -> Iterator[pa.Table]:
    from neurovision_assets.surgery.anatomy.masks import anatomy_tables

    return anatomy_tables([batch], inference, config, geometry)


def _phases(tables: Mapping[str, pa.Table], config: Any, inference: InferenceResource) -> pa.Table:
    from neurovision_assets.schemas import FEATURE_WIDTH
    from neurovision_assets.surgery.phases.segment import phases_table, predict
    from neurovision_assets.surgery.phases.taxonomy import TAXONOMY_FOLDER, load_taxonomy

    vectors = tables["features"]["features"].combine_chunks().flatten().to_numpy().reshape(-1, FEATURE_WIDTH)
    taxonomy = load_taxonomy(inference.models.root / config.model / TAXONOMY_FOLDER / f"{config.taxonomy}.yaml")
    index, times = (tables["frames"][name].to_numpy() for name in ("frame_index", "timestamp_ms"))
    return phases_table(index, times, predict(vectors, inference, config), taxonomy)


def _read(path: Path, basis: Mapping[str, Basis]) -> DriftReference | None:
    """A reference of today's figures whose rows stand on what results stand on now; one of another form is none."""
    if not path.is_file():
        return None
    try:
        reference = DriftReference.model_validate_json(path.read_bytes())
    except ValidationError:
        return None
    return reference if (reference.figures_version, reference.basis) == (FIGURES_VERSION, dict(basis)) else None
