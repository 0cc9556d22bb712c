"""The assets ``sources/…``: the platform's own records as the tables that dbt reads.

Belongs here: the recipe of the step. Does not belong here: rows (``videos``, ``contents``, ``releases``), SQL.
One step and one transaction: a video that is registered meanwhile is in all tables or in none.
"""

from collections.abc import Iterator

import dagster as dg
import pyarrow as pa

from neurovision_assets.marts import tables
from neurovision_assets.marts.contents import CONTENTS, gather_contents, unreadable_of
from neurovision_assets.marts.releases import model_tables
from neurovision_assets.marts.videos import Platform, video_tables
from neurovision_assets.partitions import video_ids
from neurovision_assets.profiles import ProfileCatalog
from neurovision_assets.registry import DEFAULT_MODELS, model_key
from neurovision_assets.stage.spec import PIPELINE_OWNER
from neurovision_assets.surgery.pipeline import SURGERY
from neurovision_assets.tables import ContractChecker, TableContract
from neurovision_assets.training.candidate.home import TrainingHome
from neurovision_assets.training.evaluation.asset import EVALUATION
from neurovision_assets.training.kinds import PROMOTION
from neurovision_assets.uploads.asset import UPLOADS_KEY
from resources.database.engine import Database
from resources.errors import PermanentFailure
from resources.inference.client import InferenceResource
from resources.object_store import ObjectStore
from resources.warehouse import Warehouse, replace_tables, table_before

GROUP = "marts"
CODE_VERSION = "1"
STAGES = [dg.AssetKey.from_user_string(stage.asset) for stage in SURGERY.stages]
SERVED = [model_key(name) for name in DEFAULT_MODELS]
UPSTREAM: dict[str, list[dg.AssetKey]] = {
    tables.UPLOADS.name: [UPLOADS_KEY],
    tables.STALE_PAIRS.name: [UPLOADS_KEY, *STAGES, *SERVED],
    tables.MODEL_RELEASES.name: [*SERVED, PROMOTION],
    tables.MODEL_SCORES.name: [*SERVED, EVALUATION],
    tables.PROFILE_STAGES.name: [UPLOADS_KEY],
    **{
        content.contract.name: [dg.AssetKey.from_user_string(asset) for asset in content.assets] for content in CONTENTS
    },
}
"""By table; those of the provenance index come from every stage."""


def _spec(contract: TableContract) -> dg.AssetSpec:
    return dg.AssetSpec(
        tables.source_key(contract),
        deps=UPSTREAM.get(contract.name, STAGES),
        group_name=GROUP,
        owners=[PIPELINE_OWNER],
        kinds={"duckdb"},
        code_version=CODE_VERSION,
        description=f"{contract.name.replace('_', ' ').capitalize()}, as the platform's records say.",
        metadata={"dagster/column_schema": contract.dagster_schema},
    )


@dg.multi_asset(name="sources", specs=[_spec(contract) for contract in tables.ALL])
def sources(
    context: dg.AssetExecutionContext,
    object_store: ObjectStore,
    database: Database,
    profiles: ProfileCatalog,
    inference: InferenceResource,
    training: TrainingHome,
    warehouse: Warehouse,
) -> Iterator[dg.MaterializeResult[None]]:
    """Gather every table, hold it against its contract, and write them all at once."""
    platform = Platform(SURGERY, database, object_store, profiles, inference)
    gathered = video_tables(platform, context.instance.get_dynamic_partitions(str(video_ids.name)))
    gathered |= model_tables(inference.models, training)
    with warehouse.writing() as connection:
        contents = [
            gather_contents(
                content,
                object_store,
                gathered[tables.RESULTS.name],
                table_before(connection, tables.SCHEMA, content.contract.name, content.contract.arrow_schema),
            )
            for content in CONTENTS
        ]
        gathered |= {content.contract.name: one.table for content, one in zip(CONTENTS, contents, strict=True)}
        for contract in tables.ALL:
            _require_kept(contract, gathered[contract.name])
        replace_tables(connection, tables.SCHEMA, gathered)
    for name in unreadable_of(contents):
        context.log.warning(f"{name}: the result cannot be read; the marts do without it until it is computed again.")
    for contract in tables.ALL:
        yield dg.MaterializeResult(
            asset_key=tables.source_key(contract),
            metadata={"dagster/row_count": gathered[contract.name].num_rows},
        )


def _require_kept(contract: TableContract, table: pa.Table) -> None:
    """A row that breaks its contract is a fault of ours, so nothing is written."""
    checker = ContractChecker(contract)
    for batch in table.to_batches() or [pa.RecordBatch.from_pylist([], schema=table.schema)]:
        checker.add(batch)
    if problems := checker.violations():
        raise PermanentFailure(
            f"The table breaks its contract: {'; '.join(problems)}.",
            subject=f"{tables.SCHEMA}/{contract.name}",
            remedy="Report it with the run's log; the marts stay as they were.",
        )
