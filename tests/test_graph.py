"""The whole asset graph as a file that is reviewed like code: a change of the graph is a diff of the snapshot."""

import json
import os
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from dagster._core.snap.snap_to_yaml import default_values_yaml_from_type_snap

from neurovision_assets.definitions import build_defs

SNAPSHOT = Path(__file__).parent / "snapshots" / "graph.json"


@pytest.fixture(scope="module")
def defs() -> dg.Definitions:
    return build_defs()


def graph_of(defs: dg.Definitions) -> dict[str, Any]:
    graph = defs.resolve_asset_graph()
    return {
        node.key.to_user_string(): {
            "group": node.group_name,
            "deps": sorted(key.to_user_string() for key in node.parent_keys),
            "partitions": node.partitions_def.name
            if isinstance(node.partitions_def, dg.DynamicPartitionsDefinition)
            else None,
            "owners": sorted(node.owners),
            "kinds": sorted(node.kinds),
            "code_version": node.code_version,
            "checks": sorted(check.name for check in node.check_keys),
            "automation": None if node.automation_condition is None else node.automation_condition.get_label(),
            "executable": node.is_executable,
        }
        for node in sorted(graph.asset_nodes, key=lambda node: node.key.to_user_string())
    }


def test_the_graph_is_the_one_that_was_reviewed(defs: dg.Definitions):
    graph = graph_of(defs)
    if os.environ.get("UPDATE_SNAPSHOTS") == "1":
        SNAPSHOT.write_text(json.dumps(graph, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    assert graph == json.loads(SNAPSHOT.read_text(encoding="utf-8")), "review it, then UPDATE_SNAPSHOTS=1 pytest"


def test_every_asset_tells_what_it_is(defs: dg.Definitions):
    for node in defs.resolve_asset_graph().asset_nodes:
        assert node.description, node.key
        assert node.owners, node.key
        assert node.kinds, node.key
        if node.is_executable:
            assert node.code_version, node.key


@pytest.mark.parametrize("job", ["retrain", "make_dataset", "propose_plan", "approve_plan", "reprocess"])
def test_every_field_of_a_form_says_what_it_is(defs: dg.Definitions, job: str):
    """In the launchpad a field without a word can only be guessed."""
    ops = defs.resolve_job_def(job).run_config_schema.config_type.fields["ops"].config_type.fields
    forms = [op.config_type.fields["config"].config_type for op in ops.values() if "config" in op.config_type.fields]
    fields = {name: field for form in forms for name, field in getattr(form, "fields", {}).items()}
    assert fields
    assert [name for name, field in fields.items() if not field.description] == []


@pytest.mark.parametrize(("job", "first"), [("approve_plan", "plan_id: ''"), ("reprocess", "video_ids: []")])
def test_a_form_of_the_launchpad_opens_with_its_own_lines(defs: dg.Definitions, job: str, first: str):
    """Without a default it would open with the resources, and the form would have to be asked for."""
    schema = defs.resolve_job_def(job).run_config_schema.config_type
    snapshot = defs.resolve_job_def(job).get_config_schema_snapshot()
    opened = default_values_yaml_from_type_snap(snapshot, snapshot.get_config_snap(schema.key))
    assert opened.startswith("ops:")
    assert first in opened


def test_tables_show_their_columns(defs: dg.Definitions):
    graph = defs.resolve_asset_graph()
    for name in ("frames", "features", "phases", "instruments", "anatomy", "events"):
        schema = graph.get(dg.AssetKey(["surgery", name])).metadata["dagster/column_schema"]
        assert isinstance(schema, dg.TableSchemaMetadataValue | dg.TableSchema)
        columns = schema.columns if isinstance(schema, dg.TableSchema) else schema.schema.columns
        assert all(column.description for column in columns)


def test_ui_backfills_run_in_one_process_each(defs: dg.Definitions):
    assert defs.executor is dg.in_process_executor


def test_definitions_stay_short():
    path = Path(__file__).parents[1] / "neurovision_assets" / "definitions.py"
    assert len(path.read_text(encoding="utf-8").splitlines()) < 80
