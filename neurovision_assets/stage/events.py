"""A result told to Dagster: materialization, checks, metadata, one video at a time.

Belongs here: building events. Does not belong here: deciding what happened (``runner``).

A run over many videos may succeed for some and fail for others, and each has its own data version; Dagster's own event
of a step's output knows neither. So stages emit their events themselves and mute that one (``docs/decisions.md``).
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Iterator
from typing import Any

import dagster as dg

from neurovision_assets.artifacts import ArtifactReader, ArtifactRecord
from neurovision_assets.stage.failures import FailureRecord
from neurovision_assets.stage.lineage import version_tags
from neurovision_assets.stage.spec import COMPLETE_CHECK, CONTRACT_CHECK, StageSpec
from neurovision_assets.stage.work import PREVIEW_PART

MUTE_OUTPUT_EVENT = {"__source_asset_observation__": True}
MAX_PREVIEW_BYTES = 36_000
PNG_SIGNATURE = b"\x89PNG"
MAX_VIOLATIONS_SHOWN = 20


def asset_key(spec: StageSpec) -> dg.AssetKey:
    """Dagster's key of a stage."""
    return dg.AssetKey([spec.domain, spec.name])


def materialization(
    spec: StageSpec, record: ArtifactRecord, reader: ArtifactReader, instance: dg.DagsterInstance, *, reused: bool
) -> dg.AssetMaterialization:
    """The event of one video's result."""
    provenance = record.provenance
    metadata: dict[str, dg.MetadataValue] = {
        **_preview(record, reader),
        **_counts(record),
        "computed_in_s": dg.MetadataValue.float(provenance.duration_ms / 1000),
        "reused": dg.MetadataValue.bool(reused),
        "data_version": dg.MetadataValue.text(record.data_version),
        "objects": dg.MetadataValue.json({part.key: part.size_bytes for part in record.parts}),
        "provenance": dg.MetadataValue.json(json.loads(provenance.model_dump_json())),
    }
    return dg.AssetMaterialization(
        asset_key(spec),
        partition=provenance.video_id,
        metadata=metadata,
        tags=version_tags(instance, spec.upstream_assets, record),
    )


def checks_passed(spec: StageSpec, video_id: str) -> Iterator[dg.AssetCheckEvaluation]:
    """Both checks of a stage that has a result."""
    if spec.contract is not None:
        yield _check(spec, CONTRACT_CHECK, video_id, passed=True, metadata={"schema_version": spec.schema_version})
    yield _check(spec, COMPLETE_CHECK, video_id, passed=True, metadata={})


def check_contract_broken(spec: StageSpec, video_id: str, violations: list[str]) -> dg.AssetCheckEvaluation:
    """The failed contract check of a result that was not published."""
    shown = violations[:MAX_VIOLATIONS_SHOWN]
    return _check(
        spec,
        CONTRACT_CHECK,
        video_id,
        passed=False,
        metadata={"violations": dg.MetadataValue.json(shown), "violation_count": len(violations)},
    )


def check_incomplete(spec: StageSpec, failure: FailureRecord, *, required: bool) -> dg.AssetCheckEvaluation:
    """The failed check that tells why there is no result."""
    return _check(
        spec,
        COMPLETE_CHECK,
        failure.video_id,
        passed=False,
        metadata={"reason": failure.reason, "kind": failure.kind, "cause": failure.cause},
        severity=dg.AssetCheckSeverity.ERROR if required else dg.AssetCheckSeverity.WARN,
    )


def muted_outputs(context: dg.AssetExecutionContext, specs: Iterable[StageSpec]) -> Iterator[dg.Output[None]]:
    """Let the steps behind this one start, without a claim about any partition.

    Args:
        context: of the step; it says what was selected.
        specs: the step's stages, upstream first: Dagster takes outputs in no other order.
    """
    for key in (asset_key(spec) for spec in specs if asset_key(spec) in context.selected_asset_keys):
        yield dg.Output(None, output_name=key.to_python_identifier(), metadata=MUTE_OUTPUT_EVENT)
    for check in context.selected_asset_check_keys:
        yield dg.Output(None, output_name=f"{check.asset_key.to_python_identifier()}_{check.name}")


def _check(
    spec: StageSpec,
    name: str,
    video_id: str,
    *,
    passed: bool,
    metadata: dict[str, Any],
    severity: dg.AssetCheckSeverity = dg.AssetCheckSeverity.ERROR,
) -> dg.AssetCheckEvaluation:
    return dg.AssetCheckEvaluation(
        asset_key=asset_key(spec),
        check_name=name,
        passed=passed,
        partition=video_id,
        metadata=metadata,
        severity=severity,
    )


def _counts(record: ArtifactRecord) -> dict[str, dg.MetadataValue]:
    values: dict[str, dg.MetadataValue] = {}
    for name, value in record.counts.items():
        if name == "rows":
            values["dagster/row_count"] = dg.MetadataValue.int(int(value))
        elif isinstance(value, str):
            values[name] = dg.MetadataValue.text(value)
        else:
            values[name] = dg.MetadataValue.float(float(value))
    return values


def _preview(record: ArtifactRecord, reader: ArtifactReader) -> dict[str, dg.MetadataValue]:
    """The preview as Markdown; one that is too large for an event is left to the store."""
    if not any(part.name == PREVIEW_PART for part in record.parts):
        return {}
    data = reader.path(record, PREVIEW_PART).read_bytes()
    if len(data) > MAX_PREVIEW_BYTES:
        return {}
    kind = "png" if data.startswith(PNG_SIGNATURE) else "jpeg"
    return {"preview": dg.MetadataValue.md(f"![preview](data:image/{kind};base64,{base64.b64encode(data).decode()})")}
