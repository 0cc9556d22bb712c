"""Dagster's event log with its files kept open: nothing that another process does is missed, nothing stays locked."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

from commands.platform import prepare_dagster_home
from resources.event_log import LocalEventLog
from resources.settings import load_settings
from tests.waiting import PATIENCE_S, wait_for

KEY = dg.AssetKey("thing")
TELL = "import dagster as dg; dg.DagsterInstance.get().report_runless_asset_event(dg.AssetMaterialization('thing'))"


@dg.asset
def thing() -> None:
    """Materialized by a run of its own."""


@pytest.fixture
def instance(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dg.DagsterInstance]:
    """The platform's own instance on a fresh home."""
    monkeypatch.setenv("NEUROVISION_HOME", str(tmp_path))
    monkeypatch.setenv("DAGSTER_HOME", str(prepare_dagster_home(load_settings())))
    with dg.DagsterInstance.get() as instance:
        yield instance


def log_of(instance: dg.DagsterInstance) -> LocalEventLog:
    [log] = [storage for storage in [instance.event_log_storage] if isinstance(storage, LocalEventLog)]
    return log


def latest(instance: dg.DagsterInstance) -> float:
    event = instance.get_latest_materialization_event(KEY)
    assert event is not None
    return event.timestamp


def test_two_processes_write_and_see_each_other(instance: dg.DagsterInstance):
    instance.report_runless_asset_event(dg.AssetMaterialization(KEY))
    own = latest(instance)
    subprocess.run([sys.executable, "-c", TELL], check=True, env=dict(os.environ), timeout=PATIENCE_S)
    others = latest(instance)
    assert others > own
    instance.report_runless_asset_event(dg.AssetMaterialization(KEY))
    assert latest(instance) > others


def test_the_file_of_a_run_changes_with_its_events_so_that_the_ui_sees_them(instance: dg.DagsterInstance):
    seen: list[str] = []
    job = dg.Definitions([thing], jobs=[dg.define_asset_job("one", [thing])]).resolve_job_def("one")
    run = instance.create_run_for_job(job)
    instance.watch_event_logs(run.run_id, None, lambda entry, _: seen.append(entry.user_message or entry.message))
    instance.report_engine_event("hello", run)
    assert any("hello" in message for message in wait_for("the event", lambda: seen))


def test_wiping_all_runs_leaves_a_log_that_works(instance: dg.DagsterInstance):
    assert dg.materialize([thing], instance=instance).success
    log_of(instance).wipe()
    assert instance.get_latest_materialization_event(KEY) is None
    assert dg.materialize([thing], instance=instance).success
    assert latest(instance) > 0
