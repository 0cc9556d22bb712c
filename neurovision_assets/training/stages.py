"""The stages of the data (NV-012…015): what Dagster's assets and ``dvc repro`` both run.

Belongs here: reading and writing of each stage in a checkout of the data sets' repository, and the command line that
``dvc.yaml`` names: ``python -m neurovision_assets.training.stages extract_frames``, started in the checkout. Does not
belong here: what a stage computes.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import yaml

from neurovision_assets.training.dataset.features import extract_features
from neurovision_assets.training.dataset.folder import DatasetFolder
from neurovision_assets.training.dataset.frames import extract_frames
from neurovision_assets.training.dataset.layout import ANNOTATIONS_FILE, CODE_VERSIONS, INPUTS, SUMMARY_FILE, Layout
from neurovision_assets.training.dataset.merge import merged_tables
from neurovision_assets.training.dataset.schemas import OPERATIONS, SPLIT_NAMES, SPLITS
from neurovision_assets.training.dataset.summary import balance_of, counts_of, merged_json, spelt
from neurovision_assets.training.params import LearningParams, SplitsParams
from neurovision_assets.training.splits.assign import Division, Operated, divide
from resources.errors import PermanentFailure
from resources.inference.client import InferenceResource
from resources.settings import load_settings

DVC_FILE: Final = Path(__file__).parent / "dvc.yaml"

ANNOTATION_KINDS: Final = ("phases", "boxes", "masks", "presence")
"""Facts of the merged file that a model learns from."""


def prepare(layout: Layout, params: LearningParams) -> None:
    """Write what DVC runs by into the checkout: the stages, the chosen parameters, the code's versions."""
    for name in INPUTS:
        (layout.root / name).mkdir(parents=True, exist_ok=True)
    document = {**params.model_dump(mode="json"), "code_versions": CODE_VERSIONS}
    texts = {
        "dvc.yaml": DVC_FILE.read_text(encoding="utf-8"),
        "params.yaml": yaml.safe_dump(document, sort_keys=False),
    }
    for name, text in texts.items():
        path = layout.root / name
        if not path.is_file() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")


def read_params(layout: Layout) -> LearningParams:
    """The parameters that the checkout was prepared with."""
    document = yaml.safe_load((layout.root / "params.yaml").read_text(encoding="utf-8"))
    document.pop("code_versions", None)
    return LearningParams.model_validate(document)


def create_annotations(layout: Layout) -> DatasetFolder:
    """Merge all sets and corrections into the version's tables.

    Raises:
        PermanentFailure: nothing was imported yet, or something cannot be read.
    """
    version = layout.version
    for contract, rows in merged_tables(layout).items():
        if contract == OPERATIONS and not rows:
            raise PermanentFailure(
                "There is no annotated operation.",
                subject="surgery/dataset",
                remedy="Import a set: make import DATASET=…",
            )
        version.write(contract, rows, keep_empty=True)
    replace_text(version.root / ANNOTATIONS_FILE, spelt(merged_json(version)))
    summary = {"counts": counts_of(version), "balance": balance_of(version)}
    replace_text(version.root / SUMMARY_FILE, spelt(summary))
    return version


def create_splits(layout: Layout, params: SplitsParams) -> Division:
    """Divide the operations of the merged file, and write who is where; who was somewhere before stays there.

    Raises:
        PermanentFailure: they cannot be divided.
    """
    version = layout.version
    document = json.loads((version.root / ANNOTATIONS_FILE).read_text(encoding="utf-8"))
    earlier = {row["operation"]: row["split"] for row in version.rows(SPLITS)}
    division = divide([operated(name, facts) for name, facts in document.items()], params, earlier)
    rows = [{"operation": operation, "split": division.split_of[operation]} for operation in sorted(division.split_of)]
    version.write(SPLITS, rows)
    for name in SPLIT_NAMES:
        replace_text(layout.split(name), spelt([row["operation"] for row in rows if row["split"] == name]))
    return division


def replace_text(path: Path, text: str) -> None:
    """Write a file anew: the old one may be a link into DVC's cache, which must not change."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    path.write_text(text, encoding="utf-8")


def operated(name: str, facts: dict[str, Any]) -> Operated:
    """What a division looks at, from the merged file."""
    keys = ("patient", "surgeon", "operation_type", "recording")
    annotated = frozenset(kind for kind in ANNOTATION_KINDS if facts[kind])
    return Operated(name, **{key: facts[key] for key in keys}, annotated=annotated)


def _run_features(layout: Layout) -> None:
    extract_features(layout, read_params(layout).features, InferenceResource.of(load_settings()))


COMMANDS: Final[dict[str, Callable[[Layout], object]]] = {
    "extract_frames": lambda layout: extract_frames(layout, read_params(layout).extract_frames),
    "create_annotations": create_annotations,
    "create_splits": lambda layout: create_splits(layout, read_params(layout).splits),
    "extract_features": _run_features,
}


def main(words: list[str] | None = None) -> None:
    """Run one stage in the present folder."""
    parser = argparse.ArgumentParser(prog="python -m neurovision_assets.training.stages")
    parser.add_argument("stage", choices=COMMANDS)
    COMMANDS[parser.parse_args(words).stage](Layout(Path.cwd()))


if __name__ == "__main__":
    main()
