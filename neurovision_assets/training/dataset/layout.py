"""Where things lie in the data sets' repository (NV-005…011).

Belongs here: names of files and folders, the grammar of a set's name. Does not belong here: what is in them.

    raw/videos/OPERATION.mp4                               as they were imported
    raw/annotations/{phases,instruments,anatomy,events}/   corrections, a JSON file each
    raw/metadata/operations.json                           who, where and what; people may complete it
    external/SET/                                          an imported set, as tables
    processed/                                             the version: tables, frames/, features/, splits/
"""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from typing import Final

from neurovision_assets.provenance import canonical_json
from neurovision_assets.training.dataset.folder import DatasetFolder, rows_hash
from resources.errors import PermanentFailure

VIDEOS: Final = "raw/videos"
CORRECTIONS: Final = "raw/annotations"
METADATA: Final = "raw/metadata/operations.json"
EXTERNAL: Final = "external"
INPUTS: Final = (VIDEOS, CORRECTIONS, "raw/metadata", EXTERNAL)
"""What stages read; there from the beginning."""
TRACKED: Final = (VIDEOS, CORRECTIONS, EXTERNAL)
"""What DVC keeps (NV-030); the metadata are small, git keeps them."""
PROCESSED: Final = "processed"
KINDS: Final = ("phases", "instruments", "anatomy", "events")
"""The four kinds of annotation that are read (NV-006)."""
ANNOTATIONS_FILE: Final = "annotations.json"
SUMMARY_FILE: Final = "summary.json"
SPLITS_FOLDER: Final = "splits"
FEATURES_FOLDER: Final = "features"
DATASETS: Final = ("cholec80", "m2cai16", "cholect50", "cholecseg8k", "simulator")
"""Layouts of annotated sets that can be imported."""
CODE_VERSIONS: Final = {"extract_frames": "1", "create_annotations": "1", "create_splits": "2", "extract_features": "1"}
"""Of the stages, raised whenever their results may change: Dagster's code version, and a parameter that DVC tracks."""
SET_NAME: Final = re.compile(r"[a-z0-9][a-z0-9_]{0,30}")


class Layout:
    """The places in one checkout of the repository.

    Args:
        root: the checkout.
    """

    def __init__(self, root: Path) -> None:
        self.root = root

    @property
    def version(self) -> DatasetFolder:
        """The tables of the version that is being made."""
        return DatasetFolder(self.root / PROCESSED)

    @property
    def metadata(self) -> Path:
        """What is known of operations."""
        return self.root / METADATA

    def imported(self, name: str) -> DatasetFolder:
        """The tables of an imported set."""
        return DatasetFolder(self.root / EXTERNAL / name)

    def sets(self) -> list[str]:
        """Names of the imported sets."""
        return sorted(path.name for path in (self.root / EXTERNAL).glob("*") if path.is_dir() and path.name[0] != ".")

    def video(self, operation: str, ending: str) -> Path:
        """Where an operation's video goes."""
        return self.root / VIDEOS / f"{operation}{ending}"

    def corrections(self, kind: str) -> Path:
        """The folder of one kind's corrections."""
        return self.root / CORRECTIONS / kind

    def corrections_hash(self) -> str:
        """SHA-256 of all corrections."""
        paths = sorted((self.root / CORRECTIONS).rglob("*.json"))
        found = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in paths}
        return hashlib.sha256(canonical_json(found).encode()).hexdigest()

    def features(self, operation: str) -> Path:
        """Feature vectors of an operation's frames."""
        return self.root / PROCESSED / FEATURES_FOLDER / f"{operation}.parquet"

    def features_hash(self) -> str:
        """SHA-256 of all feature vectors."""
        paths = sorted((self.root / PROCESSED / FEATURES_FOLDER).glob("*.parquet"))
        found = {path.stem: rows_hash(path) for path in paths}
        return hashlib.sha256(canonical_json(found).encode()).hexdigest()

    def split(self, name: str) -> Path:
        """The operations of a split, as JSON (NV-014)."""
        return self.root / PROCESSED / SPLITS_FOLDER / f"{name}.json"


def checked_set_name(name: str) -> str:
    """The name itself.

    Raises:
        PermanentFailure: it cannot be part of a file's name everywhere.
    """
    if not SET_NAME.fullmatch(name):
        raise PermanentFailure(
            "A set's name is 1–31 small letters, digits or '_'.", subject=repr(name), remedy="Choose another NAME=."
        )
    return name
