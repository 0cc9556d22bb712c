"""dbt's models as assets, and its tests as their checks.

Belongs here: names, groups and the step. Does not belong here: SQL (``dbt/``), the tables that it reads (``sources``).
A model's key is its place in the warehouse, ``marts/video_status``.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import dagster as dg
from dagster_dbt import DagsterDbtTranslator, DbtCliResource, dbt_assets

from neurovision_assets.marts.project import MartsProject
from neurovision_assets.marts.sources import GROUP
from neurovision_assets.stage.spec import PIPELINE_OWNER
from resources.warehouse import Warehouse


class MartsTranslator(DagsterDbtTranslator):
    """How a node of dbt's manifest is called in the graph."""

    def get_asset_key(self, dbt_resource_props: Mapping[str, Any]) -> dg.AssetKey:
        """Schema and table."""
        return dg.AssetKey([dbt_resource_props["schema"], dbt_resource_props["name"]])

    def get_group_name(self, dbt_resource_props: Mapping[str, Any]) -> str:  # noqa: ARG002
        """All of it is the last group of the graph."""
        return GROUP

    def get_owners(self, dbt_resource_props: Mapping[str, Any]) -> Sequence[str]:  # noqa: ARG002
        """Ours."""
        return [PIPELINE_OWNER]

    def get_description(self, dbt_resource_props: Mapping[str, Any]) -> str:
        """The description alone; dbt's docs show the SQL."""
        return str(dbt_resource_props["description"])


def marts_assets(project: MartsProject) -> dg.AssetsDefinition:
    """Every model of the project as one step that runs those that are selected, and their tests.

    Raises:
        ConfigurationError: dbt cannot understand the project.
    """
    target: Path = project.run_target

    @dbt_assets(manifest=project.manifest(), dagster_dbt_translator=MartsTranslator(), name="dbt")
    def dbt_models(context: dg.AssetExecutionContext, dbt: DbtCliResource, warehouse: Warehouse) -> Iterator[Any]:
        """Build tables and views, test each, and stop behind one that fails its tests."""
        with warehouse.turn():
            yield from dbt.cli(["build"], context=context, target_path=target).stream()

    return dbt_models
