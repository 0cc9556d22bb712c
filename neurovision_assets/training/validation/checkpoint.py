"""Runs ``surgical_data_checkpoint`` (NV-063…065) and says what it found.

Belongs here: Great Expectations 1.x: context, suites, Data Docs; the report. Does not belong here: facts and bounds.
Its import takes ten seconds of processor time, so it is done here, inside of the function, and nowhere else.
"""

from __future__ import annotations

import json
import os
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from pydantic import BaseModel, ConfigDict

from neurovision_assets.training.validation.asset import CHECKPOINT, REPORT_FILE
from neurovision_assets.training.validation.expectations import Wanted

if TYPE_CHECKING:
    import pandas as pd

FAILED: Final = "Data validation failed"
"""The words of NV-065."""
SHOWN_ROWS: Final = 20
SHOWN_FINDINGS: Final = 10


class Finding(BaseModel):
    """One expectation that is broken.

    Attributes:
        table: the version's table, or ``class_shares`` and the like.
        column: what was looked at.
        reason: what is wrong.
        blocks: whether nothing may be learned from these data.
        count: rows that break it.
        rows: the first of them: row, operation, value, and who said it where that is known.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    table: str
    column: str
    reason: str
    blocks: bool
    count: int
    rows: tuple[dict[str, Any], ...]

    def __str__(self) -> str:
        first = self.rows[0] if self.rows else {}
        owner = ", ".join(filter(None, (str(first.get("operation")), first.get("said_by"))))
        place = f"{self.table}, row {first.get('row')} ({owner})"
        return f"{place}: {self.reason} ({self.column} is {first.get(self.column)!r}; {self.count} rows)"


class ValidationReport(BaseModel):
    """What a run of the checkpoint says.

    Attributes:
        checkpoint: its name.
        looked_at: rows of each table of facts.
        expectations: how many were looked at.
        findings: those that are broken.
        data_docs: the page with all results.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    checkpoint: str
    looked_at: dict[str, int]
    expectations: int
    findings: tuple[Finding, ...]
    data_docs: str

    @property
    def blocking(self) -> tuple[Finding, ...]:
        """Findings that stop the pipeline."""
        return tuple(finding for finding in self.findings if finding.blocks)

    @property
    def sentence(self) -> str:
        """What is wrong, in short; empty when nothing is."""
        if not self.findings:
            return ""
        said = "; ".join(map(str, self.findings[:SHOWN_FINDINGS]))
        return f"{FAILED}: {said}." if self.blocking else f"To be looked at: {said}."


def run_checkpoint(facts: Mapping[str, pd.DataFrame], wanted: Sequence[Wanted], folder: Path) -> ValidationReport:
    """Hold facts against expectations; the report and Data Docs lie in the folder afterwards.

    Args:
        facts: tables to look at.
        wanted: what is allowed; expectations of absent tables are left out.
        folder: for the context, Data Docs and ``report.json``; older ones are replaced.
    """
    gx = _library()
    from great_expectations.checkpoint.actions import UpdateDataDocsAction
    from great_expectations.data_context.types.base import ProgressBarsConfig

    _write_facts(facts, folder)
    context = gx.get_context(mode="file", project_root_dir=folder)
    context.variables.progress_bars = ProgressBarsConfig(globally=False)
    source = context.data_sources.add_or_update_pandas_filesystem(name="facts", base_directory=folder / "facts")
    definitions = [
        _definition(context, source, table, [one for one in wanted if one.table == table]) for table in facts
    ]
    checkpoint = context.checkpoints.add_or_update(
        gx.Checkpoint(
            name=CHECKPOINT,
            validation_definitions=definitions,
            actions=[UpdateDataDocsAction(name="data_docs")],
            result_format={
                "result_format": "COMPLETE",
                "unexpected_index_column_names": ["row", "operation"],
                "return_unexpected_index_query": False,
            },
        )
    )
    result = checkpoint.run()
    results = [each for one in result.run_results.values() for each in one.results]
    report = ValidationReport(
        checkpoint=CHECKPOINT,
        looked_at={name: len(table) for name, table in facts.items()},
        expectations=len(results),
        findings=tuple(_finding(each, facts) for each in results if not each.success),
        data_docs=context.get_docs_sites_urls()[0]["site_url"],
    )
    (folder / REPORT_FILE).write_text(
        json.dumps({**report.model_dump(mode="json"), "results": [_result_json(each) for each in results]}, indent=1),
        encoding="utf-8",
    )
    return report


def _library() -> Any:
    """Great Expectations, telling nobody that it is used, and without its own use of old modules in the terminal."""
    os.environ["GX_ANALYTICS_ENABLED"] = "false"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        import great_expectations as gx
    return gx


def _write_facts(facts: Mapping[str, pd.DataFrame], folder: Path) -> None:
    (folder / "facts").mkdir(parents=True, exist_ok=True)
    for old in (folder / "facts").glob("*.parquet"):
        old.unlink()
    for name, table in facts.items():
        table.to_parquet(folder / "facts" / f"{name}.parquet", index=False)


def _definition(context: Any, source: Any, table: str, wanted: Sequence[Wanted]) -> Any:
    """What is expected of one table."""
    import great_expectations as gx

    names = {asset.name for asset in source.assets}
    asset = source.get_asset(table) if table in names else source.add_parquet_asset(name=table)
    if table in {batch.name for batch in asset.batch_definitions}:
        asset.delete_batch_definition(table)
    batch = asset.add_batch_definition_path(name=table, path=f"{table}.parquet")
    suite = context.suites.add_or_update(
        gx.ExpectationSuite(name=table, expectations=[_expectation(one) for one in wanted])
    )
    return context.validation_definitions.add_or_update(gx.ValidationDefinition(name=table, data=batch, suite=suite))


def _expectation(one: Wanted) -> Any:
    import great_expectations.expectations as gxe

    meta = {"table": one.table, "reason": one.reason, "blocks": one.blocks}
    return getattr(gxe, f"ExpectColumn{one.kind}")(column=one.column, meta=meta, notes=one.reason, **one.bounds)


def _finding(result: Any, facts: Mapping[str, pd.DataFrame]) -> Finding:
    meta, column = result.expectation_config.meta, result.expectation_config.kwargs["column"]
    found = result.result.get("unexpected_index_list") or []
    rows = [_said_with(row, facts[meta["table"]]) for row in found[:SHOWN_ROWS]]
    if result.exception_info.get("raised_exception"):
        rows = found = [{"row": None, "operation": None, column: result.exception_info.get("exception_message")}]
    return Finding(
        table=meta["table"],
        column=column,
        reason=meta["reason"],
        blocks=meta["blocks"],
        count=len(found),
        rows=tuple({key: _plain(value) for key, value in row.items()} for row in rows),
    )


def _said_with(row: Mapping[str, Any], table: pd.DataFrame) -> dict[str, Any]:
    """A row that breaks something, with who said it; rows of facts are in order of their number."""
    return {**row, "said_by": table["said_by"].iloc[row["row"]]} if "said_by" in table else dict(row)


def _plain(value: Any) -> Any:
    """A number of NumPy's as one of Python's."""
    return value.item() if hasattr(value, "item") else value


def _result_json(result: Any) -> dict[str, Any]:
    config = result.expectation_config
    return {
        "table": config.meta["table"],
        "expectation": config.type,
        "column": config.kwargs["column"],
        "success": bool(result.success),
        "unexpected": int(result.result.get("unexpected_count") or 0),
    }
