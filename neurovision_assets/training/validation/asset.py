"""The checkpoint in the asset graph: a version that fails it goes no further.

Belongs here: the blocking checks. Does not belong here: what is looked at.
"""

import json
from pathlib import Path
from typing import TYPE_CHECKING

import dagster as dg

from neurovision_assets.training.dataset.asset import ANNOTATIONS_KEY, SPLITS_KEY
from neurovision_assets.training.dataset.layout import PROCESSED, SUMMARY_FILE, Layout
from resources.datasets import DatasetRepository

if TYPE_CHECKING:
    from neurovision_assets.training.validation.checkpoint import ValidationReport
    from neurovision_assets.training.validation.facts import Balance

CHECKPOINT = "surgical_data_checkpoint"
REPORT_FILE = "report.json"
FOLDER = "validation"


@dg.asset_check(asset=ANNOTATIONS_KEY, name=CHECKPOINT, blocking=True)
def annotations_checkpoint(datasets: DatasetRepository) -> dg.AssetCheckResult:
    """Gaps, overlaps, unknown names, boxes and masks that do not fit, times beyond the end, missing people, drift."""
    from neurovision_assets.training.validation.checkpoint import run_checkpoint
    from neurovision_assets.training.validation.expectations import DATA
    from neurovision_assets.training.validation.facts import facts_of

    with datasets.lock():
        facts = facts_of(Layout(datasets.root).version, balance_before(datasets))
        folder = _folder(datasets, "annotations")
        return check_result(run_checkpoint(facts, DATA, folder), folder)


@dg.asset_check(asset=SPLITS_KEY, name=CHECKPOINT, blocking=True)
def splits_checkpoint(datasets: DatasetRepository) -> dg.AssetCheckResult:
    """No operation, patient or recording, and no surgeon where surgeons are grouped, is in two splits."""
    from neurovision_assets.training.stages import read_params
    from neurovision_assets.training.validation.checkpoint import run_checkpoint
    from neurovision_assets.training.validation.expectations import SPLIT
    from neurovision_assets.training.validation.facts import split_facts_of

    with datasets.lock():
        layout = Layout(datasets.root)
        surgeons = read_params(layout).splits.group_by == "surgeon"
        facts, folder = split_facts_of(layout.version, surgeons=surgeons), _folder(datasets, "splits")
        return check_result(run_checkpoint(facts, SPLIT, folder), folder)


def balance_before(datasets: DatasetRepository) -> "Balance | None":
    """Class balance of the last whole version, None before the first."""
    versions = datasets.versions()
    text = datasets.show(versions[-1].revision, f"{PROCESSED}/{SUMMARY_FILE}") if versions else None
    balance: Balance | None = json.loads(text)["balance"] if text else None
    return balance


def check_result(report: "ValidationReport", folder: Path) -> dg.AssetCheckResult:
    """What Dagster shows; findings that do not block are a warning."""
    rows = [
        dg.TableRecord(
            {
                "table": finding.table,
                "row": str(row.get("row")),
                "operation": str(row.get("operation")),
                "said_by": str(row.get("said_by", "")),
                "reason": finding.reason,
                "value": str(row.get(finding.column)),
            }
        )
        for finding in report.findings
        for row in finding.rows
    ]
    columns = [dg.TableColumn(name) for name in ("table", "row", "operation", "said_by", "reason", "value")]
    return dg.AssetCheckResult(
        passed=not report.findings,
        severity=dg.AssetCheckSeverity.ERROR if report.blocking else dg.AssetCheckSeverity.WARN,
        description=report.sentence or f"{report.expectations} expectations hold.",
        metadata={
            "findings": dg.TableMetadataValue(rows, dg.TableSchema(columns)),
            "looked_at": dg.MetadataValue.json(report.looked_at),
            "report": dg.MetadataValue.path(folder / REPORT_FILE),
            "data_docs": dg.MetadataValue.url(report.data_docs),
        },
    )


def _folder(datasets: DatasetRepository, name: str) -> Path:
    return datasets.root.parent / FOLDER / name


dataset_checks = [annotations_checkpoint, splits_checkpoint]
