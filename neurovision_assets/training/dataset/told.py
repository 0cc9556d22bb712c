"""What Dagster is told of data sets: keys, counts, class balance, previews, versions.

Belongs here: the form of events and metadata. Does not belong here: the assets (``asset``), the figures (``summary``).
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import dagster as dg

from neurovision_assets.stage.lineage import DATA_VERSION_TAG, USER_PROVIDED_TAG
from neurovision_assets.training.dataset.folder import DatasetFolder
from neurovision_assets.training.dataset.summary import balance_of, counts_of, preview_of, timelines_of
from resources.datasets import DatasetVersion

if TYPE_CHECKING:
    from neurovision_assets.training.dataset.corrections import Correction
    from neurovision_assets.training.evaluation.reviewed import ReviewedVideo

PREFIX: Final = ("surgery", "dataset")
CORRECTIONS_NAME: Final = "corrections"
REVISION_METADATA: Final = "dvc_revision"
CONTENT_METADATA: Final = "content_hash"
NEW_WORDS_METADATA: Final = "new_annotations"
"""Of corrections: how many spans and moments are new, by kind."""
ALL_WORDS_METADATA: Final = "annotations"
"""Of corrections: how many there are in all, by kind; what the next event counts from."""
SHOWN_VIDEOS: Final = 100
"""Rows of a table in an event; with more of them it would be no preview."""


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


def corrections_metadata(
    kept: Sequence[Correction], new_files: int, told: Mapping[str, int], reviewed: Sequence[ReviewedVideo]
) -> dict[str, Any]:
    """What the next event says of corrections, and with them of the models.

    Args:
        kept: all of them.
        new_files: how many files came now.
        told: spans and moments by kind that earlier events spoke of; new is what goes beyond.
        reviewed: videos whose phases somebody has corrected, the worst first.
    """
    from neurovision_assets.training.dataset.kept import count_words

    words = count_words(kept)
    new = {kind: max(0, count - told.get(kind, 0)) for kind, count in words.items()}
    return {
        "corrections": len(kept),
        "new": new_files,
        NEW_WORDS_METADATA: dg.MetadataValue.json(new),
        ALL_WORDS_METADATA: dg.MetadataValue.json(words),
        "authors": dg.MetadataValue.json(sorted({correction.author for correction in kept})),
        **_reviewed_metadata(reviewed),
    }


def _reviewed_metadata(reviewed: Sequence[ReviewedVideo]) -> dict[str, Any]:
    """How right each model was, a number that Dagster draws over time, and the videos in which it was least so."""
    from neurovision_assets.training.evaluation.reviewed import REVIEWED, by_model

    if not reviewed:
        return {}
    means = {
        f"{name}/{model}": value for model, figures in by_model(reviewed).items() for name, value in figures.items()
    }
    rows = [
        dg.TableRecord({"video_id": one.video_id, "model": one.model, **one.figures}) for one in reviewed[:SHOWN_VIDEOS]
    ]
    columns = [dg.TableColumn("video_id"), dg.TableColumn("model")]
    columns += [dg.TableColumn(name, "float") for name in reviewed[0].figures]
    return {
        **means,
        "reviewed_videos": len(reviewed),
        "reviewed": dg.TableMetadataValue(rows, dg.TableSchema(columns)),
        "protocol": f"{REVIEWED.name}/{REVIEWED.version}: {REVIEWED.statement}",
    }


def told_words(instance: dg.DagsterInstance, or_else: Mapping[str, int]) -> Mapping[str, int]:
    """Spans and moments by kind that Dagster knows of: none before the first event.

    Args:
        instance: where events are.
        or_else: for an event of an older release, which does not count them.
    """
    event = instance.get_latest_materialization_event(dataset_key(CORRECTIONS_NAME))
    if event is None or event.asset_materialization is None:
        return {}
    told = event.asset_materialization.metadata
    counted = told[ALL_WORDS_METADATA].value if ALL_WORDS_METADATA in told else None
    return counted if isinstance(counted, dict) else or_else


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
