"""Which code locations are started where not everything is installed."""

from importlib.util import find_spec
from pathlib import Path

import pytest
import yaml

import commands.locations
from commands.locations import NEEDS, usable_workspace
from resources.settings import REPOSITORY_ROOT, Settings

WORKSPACE = REPOSITORY_ROOT / "workspace.yaml"


def names(workspace: Path) -> list[str]:
    return [entry["python_module"]["location_name"] for entry in yaml.safe_load(workspace.read_text())["load_from"]]


def test_with_everything_installed_the_workspace_is_the_repository_s(tmp_path: Path) -> None:
    assert usable_workspace(WORKSPACE, Settings(home=tmp_path)) == (WORKSPACE, [])
    assert names(WORKSPACE) == ["neurovision", "marts"]


def test_a_location_whose_library_is_missing_is_left_out_and_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        commands.locations, "find_spec", lambda name: None if name == "dagster_dbt" else find_spec(name)
    )
    workspace, lines = usable_workspace(WORKSPACE, Settings(home=tmp_path))
    assert workspace.is_relative_to(tmp_path)
    assert names(workspace) == ["neurovision"]
    assert lines == ["marts: left out; sh scripts/setup.sh base learn installs it"]


def test_a_workspace_of_other_locations_is_taken_as_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(commands.locations, "find_spec", lambda _: None)
    other = tmp_path / "other.yaml"
    other.write_text("load_from: [{python_module: somewhere}, {python_file: {relative_path: a.py}}]\n")
    assert usable_workspace(other, Settings(home=tmp_path)) == (other, [])


def test_every_need_is_of_a_location_that_there_is() -> None:
    assert set(NEEDS) <= set(names(WORKSPACE))
