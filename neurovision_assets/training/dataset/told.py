"""What Dagster is told of data sets: keys, counts, class balance, previews, versions.

Belongs here: the form of events and metadata. Does not belong here: the assets (``asset``), the figures (``summary``).
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any, Final

import dagster as dg

from neurovision_assets.stage.lineage import DATA_VERSION_TAG, USER_PROVIDED_TAG
from neurovision_assets.training.dataset.folder import DatasetFolder
from neurovision_assets.training.dataset.summary import balance_of, counts_of, preview_of, timelines_of
from resources.datasets import DatasetVersion

PREFIX: Final = ("surgery", "dataset")
CORRECTIONS_NAME: Final = "corrections"
REVISION_METADATA: Final = "dvc_revision"
CONTENT_METADATA: Final = "content_hash"
NEW_WORDS_METADATA: Final = "new_annotations"
"""Of corrections: how many spans and moments are new, by kind."""


def dataset_key(name: str) -> dg.AssetKey:
    """Key of a data set's asset."""
    return dg.AssetKey([*PREFIX, name])


def version_metadata(content_hash: str, version: DatasetVersion) -> dict[str, Any]:
    """With what the same data are found again."""
    return {REVISION_METADATA: version.revision, "version": version.tag or "", CONTENT_METADATA: content_hash}


def recorded(content_hash: str, version: DatasetVersion, metadata: Mapping[str, Any]) -> dg.MaterializeResult:  # type: ignore[type-arg]
    """The outcome of an asset whose files DVC has recorded."""
    return dg.MaterializeResult(
        metadata={**metadata, **version_metadata(content_hash, version)}, data_version=dg.DataVersion(content_hash)
    )


def told_source(
    name: str, content_hash: str, version: DatasetVersion, metadata: Mapping[str, Any]
) -> dg.AssetMaterialization:
    """What came from outside: an imported set, corrections."""
    return dg.AssetMaterialization(
        dataset_key(name),
        tags={DATA_VERSION_TAG: content_hash, USER_PROVIDED_TAG: "true"},
        metadata={**metadata, **version_metadata(content_hash, version)},
    )


def dataset_metadata(folder: DatasetFolder) -> dict[str, Any]:
    """Counts, class balance, a strip of pictures and the phases of a few operations, together under 50 KB."""
    from neurovision_assets.surgery.previews import thumbnail_strip, timeline_preview

    rows = [
        dg.TableRecord({"kind": kind, "class": name, "share": share})
        for kind, shares in balance_of(folder).items()
        for name, share in shares.items()
    ]
    columns = dg.TableSchema([dg.TableColumn("kind"), dg.TableColumn("class"), dg.TableColumn("share", "float")])
    found: dict[str, Any] = {
        **counts_of(folder),
        "class_balance": dg.TableMetadataValue(rows, columns),
    }
    pictures = preview_of(folder)
    if pictures:
        found["pictures"] = _shown(thumbnail_strip(pictures), "jpeg")
    bands = [timeline_preview(phases, events, length_ms) for phases, events, length_ms in timelines_of(folder)]
    if bands:
        found["phases_of_some"] = dg.MetadataValue.md("\n\n".join(str(_shown(band, "png").md_str) for band in bands))
    return found


def _shown(picture: bytes, form: str) -> dg.MarkdownMetadataValue:
    return dg.MetadataValue.md(f"![preview](data:image/{form};base64,{base64.b64encode(picture).decode()})")
