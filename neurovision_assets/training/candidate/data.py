"""The data of a training: one version, fetched exactly, its splits, and the last look for a leak.

Belongs here: fetching and reading. Does not belong here: the checks of a version (``validation``), which run before.
The look for a leak is repeated, because a candidate that has seen its test videos would pass every later gate.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Final

from models.data import Operation
from neurovision_assets.training.candidate.home import TrainingHome
from neurovision_assets.training.dataset.folder import DatasetFolder
from neurovision_assets.training.dataset.layout import PROCESSED
from neurovision_assets.training.dataset.schemas import OPERATIONS, SPLITS
from neurovision_assets.training.examples import load_split
from neurovision_assets.training.kinds import ModelKind
from resources.datasets import DatasetRepository
from resources.errors import PermanentFailure

TRAIN, VALIDATION, TEST = "train", "val", "test"


SHOWN: Final = 5


class Leak(PermanentFailure):
    """What is judged with is also learned from."""


@dataclass(frozen=True)
class TrainingData:
    """One version of the data.

    Attributes:
        folder: its tables.
        revision: git commit, with which DVC finds it.
        tag: ``v1.0``, empty without one.
        content_hash: SHA-256 of its rows and pictures.
    """

    folder: Path
    revision: str
    tag: str
    content_hash: str


def operations_of(folder: Path, kind: ModelKind, split: str) -> list[Operation]:
    """The operations of a split that a kind of model can learn from.

    Args:
        folder: the tables of a version.
        kind: of model.
        split: ``train``, ``val`` or ``test``.

    Raises:
        PermanentFailure: there is none.
    """
    found = load_split(folder, split, {kind.annotation})
    if not found:
        raise PermanentFailure(
            f"No operation of the split '{split}' has {kind.annotation}.",
            subject=f"data {folder.name[:12]}",
            remedy="Import a set with such annotations: make import DATASET=…",
        )
    return found


def fetch_data(datasets: DatasetRepository, home: TrainingHome, wanted: str) -> TrainingData:
    """Fetch a version, once, and look for leaks.

    Args:
        datasets: the data sets' repository.
        home: where fetched versions lie.
        wanted: tag, branch or revision, kept as the commit that it is now; empty for the newest whole version.

    Raises:
        PermanentFailure: there is no such version.
        Leak: a patient or an operation is in two splits.
    """
    revision, tag = _resolved(datasets, wanted)
    folder = home.data(revision)
    if not folder.is_dir():
        partial = folder.with_name(f".{revision}.partial")
        shutil.rmtree(partial, ignore_errors=True)
        datasets.fetch(revision, PROCESSED, partial)
        partial.rename(folder)
    tables = DatasetFolder(folder)
    check_for_leaks(tables)
    return TrainingData(folder=tables.root, revision=revision, tag=tag, content_hash=tables.content_hash())


def check_for_leaks(tables: DatasetFolder) -> None:
    """Refuse a version in which a patient or an operation is on both sides.

    Raises:
        Leak: it is named.
    """
    patient_of = {row["operation"]: row["patient"] for row in tables.rows(OPERATIONS)}
    sides: dict[str, set[str]] = {}
    for row in tables.rows(SPLITS):
        sides.setdefault(row["split"], set()).update(
            {f"operation {row['operation']}", f"patient {patient_of[row['operation']]}"}
        )
    for one, other in combinations(sorted(sides), 2):
        if both := sorted(sides[one] & sides[other]):
            raise Leak(
                f"It is in the splits '{one}' and '{other}'.",
                subject=", ".join(both[:SHOWN]),
                remedy="Materialize the splits again; a patient belongs to one of them.",
            )


def _resolved(datasets: DatasetRepository, wanted: str) -> tuple[str, str]:
    versions = datasets.versions()
    if not wanted and not versions:
        raise PermanentFailure(
            "There is no whole version of the data yet.", subject="data", remedy="Make one: make dataset"
        )
    revision = datasets.commit_of(wanted) if wanted else versions[-1].revision
    tags = [version.tag or "" for version in versions if version.revision == revision]
    return revision, tags[-1] if tags else ""
