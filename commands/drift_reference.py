"""``python -m commands.drift_reference``: the references of the bundled default models, beside their weights.

Belongs here: which simulated operations, the command line. Does not belong here: figures and rows
(``neurovision_assets/drift``). The operations are those that chose and scored the models (``models.build``): new to
them, and of the kind that they learned from. ``make models`` runs this after the training.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa

from models.build import DEFAULT_WORK, REPOSITORY, seeds_of
from models.data import FPS, HEIGHT_PX, WIDTH_PX, Operation, camera_px, load_operations
from models.letterbox import FrameGeometry
from neurovision_assets.drift.figures import FIGURES_VERSION, STAGES_OF, Row
from neurovision_assets.drift.reference import DriftReference, Pictured, basis_of_model, reference_path, rows_of
from neurovision_assets.profiles import ProfileCatalog, ResolvedProfile
from neurovision_assets.provenance import config_hash
from neurovision_assets.surgery.pipeline import SURGERY
from resources.inference.client import InferenceResource

PROFILE = "production"
BATCH_ROWS = 32
FRAME_MS = 1000 / FPS


def main(arguments: Sequence[str] | None = None) -> int:
    """Compute a row for every held-out operation, keep it in the work folder, and write the three files.

    Returns:
        0.
    """
    chosen = _parser().parse_args(arguments)
    training, validation, test = seeds_of(chosen.seed, chosen.operations)
    said = "learned by" if chosen.learned else "held out of"
    seeds = list(training) if chosen.learned else [*validation, *test]
    profile = SURGERY.resolve(ProfileCatalog(user_folder="", default=PROFILE), PROFILE)
    with tempfile.TemporaryDirectory() as folder:
        inference = InferenceResource(repository=folder)
        found = dict(operation_rows(seeds[: chosen.most], chosen.work, profile, inference))
        for model in STAGES_OF:
            path = reference_path(chosen.into, model, 1)
            reference = DriftReference(
                model=model,
                figures_version=FIGURES_VERSION,
                basis=basis_of_model(model, profile, inference),
                source=f"simulated, {said} the build with seed {chosen.seed}",
                operations={name: rows[model] for name, rows in found.items()},
            )
            reference.write(path)
            print(f"{path}: {len(found)} operations")
    return 0


def operation_rows(
    seeds: Sequence[int], work: Path, profile: ResolvedProfile, inference: InferenceResource
) -> Iterator[tuple[str, dict[str, Row]]]:
    """Name and rows by model of each operation; rows that were computed on the same basis are read back."""
    basis = {model: basis_of_model(model, profile, inference) for model in STAGES_OF}
    told = {model: {stage: one.model_dump() for stage, one in stages.items()} for model, stages in basis.items()}
    kept = work / f"drift-rows-{config_hash([FIGURES_VERSION, told])[:12]}"
    kept.mkdir(parents=True, exist_ok=True)
    for seed in seeds:
        [operation] = load_operations(work, [seed])
        path = kept / f"{operation.name}.json"
        if not path.is_file():
            rows = rows_of(pictured(operation, camera_px(seed)), STAGES_OF, profile, inference)
            partial = path.with_suffix(".partial")
            partial.write_text(json.dumps(rows), encoding="utf-8")
            partial.replace(path)
        yield operation.name, json.loads(path.read_text(encoding="utf-8"))


def pictured(operation: Operation, source_px: tuple[int, int]) -> Pictured:
    """A simulated operation as stored pictures.

    Args:
        operation: with pictures at the default rate.
        source_px: width and height of its camera's pictures.
    """
    return Pictured(operation.name, FrameGeometry.fit(*source_px, WIDTH_PX, HEIGHT_PX), _batches(operation.jpegs))


def _batches(jpegs: Sequence[bytes]) -> Iterator[pa.RecordBatch]:
    for first in range(0, len(jpegs), BATCH_ROWS):
        part = jpegs[first : first + BATCH_ROWS]
        index = np.arange(first, first + len(part), dtype=np.int32)
        columns = [pa.array(index), pa.array((index * FRAME_MS).astype(np.int64)), pa.array(part, pa.binary())]
        yield pa.RecordBatch.from_arrays(columns, names=["frame_index", "timestamp_ms", "jpeg"])


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m commands.drift_reference", description="Make drift references.")
    parser.add_argument("--work", type=Path, default=DEFAULT_WORK, help="folder for rendered operations and rows")
    parser.add_argument("--operations", type=int, default=40, help="of the build; a quarter and a half are held out")
    parser.add_argument("--seed", type=int, default=0, help="of the build")
    parser.add_argument(
        "--learned", action="store_true", help="take those that were learned from, to see how much they differ"
    )
    parser.add_argument("--most", type=int, default=None, help="operations at most, for a trial")
    parser.add_argument("--into", type=Path, default=REPOSITORY, help="folder of models that get the files")
    return parser


if __name__ == "__main__":
    sys.exit(main())
