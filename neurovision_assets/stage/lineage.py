"""The tags by which Dagster compares a video's result with what it was made from.

Belongs here: versions of inputs and pointers to their events, so that the UI calls a result unsynced exactly when an
input has changed. Does not belong here: our own answer to that question (``staleness``), which needs no database.
"""

from __future__ import annotations

from collections.abc import Mapping

import dagster as dg

from neurovision_assets.artifacts import ArtifactRecord

DATA_VERSION_TAG = "dagster/data_version"
CODE_VERSION_TAG = "dagster/code_version"
USER_PROVIDED_TAG = "dagster/data_version_is_user_provided"
INPUT_VERSION_TAG = "dagster/input_data_version"
INPUT_POINTER_TAG = "dagster/input_event_pointer"
NEVER_RECORDED = "INITIAL"
NO_POINTER = "NULL"


def version_tags(instance: dg.DagsterInstance, deps: Mapping[str, bool], record: ArtifactRecord) -> dict[str, str]:
    """Tags of a materialization.

    Args:
        instance: where events of the inputs are.
        deps: asset keys upstream in the graph, and whether they are partitioned as the result is.
        record: the result.
    """
    provenance = record.provenance
    known = {**provenance.inputs, **{f"registry/{model.name}": model.label for model in provenance.models}}
    tags = {
        DATA_VERSION_TAG: record.data_version,
        CODE_VERSION_TAG: provenance.code_version,
        USER_PROVIDED_TAG: "true",
    }
    for key, partitioned in deps.items():
        event = _latest(instance, key, provenance.video_id if partitioned else None)
        pointer, told = (str(event.storage_id), _version_of(event)) if event else (NO_POINTER, NEVER_RECORDED)
        tags[f"{INPUT_VERSION_TAG}/{key}"] = known.get(key, told) if event else NEVER_RECORDED
        tags[f"{INPUT_POINTER_TAG}/{key}"] = pointer
    return tags


def _latest(instance: dg.DagsterInstance, key: str, video_id: str | None) -> dg.EventLogRecord | None:
    records = instance.fetch_materializations(
        dg.AssetRecordsFilter(
            asset_key=dg.AssetKey.from_user_string(key), asset_partitions=[video_id] if video_id else None
        ),
        limit=1,
    ).records
    return records[0] if records else None


def _version_of(event: dg.EventLogRecord) -> str:
    materialization = event.asset_materialization
    return (materialization.tags or {}).get(DATA_VERSION_TAG, NEVER_RECORDED) if materialization else NEVER_RECORDED
