"""The Dagster instance of one machine: what ``dagster.yaml`` switches on, and how it reaches DAGSTER_HOME."""

from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

from commands.instance import instance_config
from commands.platform import prepare_dagster_home
from jobs.retrain import TRAINING_TAG
from resources.run_launcher import LocalRunLauncher
from resources.settings import Settings


@pytest.fixture
def instance(tmp_path: Path) -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.from_config(str(prepare_dagster_home(Settings(home=tmp_path)))) as instance:
        yield instance


def test_the_home_follows_the_repository(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path)
    copy = prepare_dagster_home(settings) / "dagster.yaml"
    written = copy.stat().st_mtime_ns
    assert copy.read_bytes() == instance_config(settings, copy.parent)

    prepare_dagster_home(settings)
    assert copy.stat().st_mtime_ns == written, "what is the same is not written again under a running daemon"

    copy.write_text("telemetry: {enabled: true}\n")
    prepare_dagster_home(settings)
    assert copy.read_bytes() == instance_config(settings, copy.parent)
    assert [path.name for path in copy.parent.iterdir()] == ["dagster.yaml"]


def test_a_home_of_any_name_keeps_its_own_event_log(tmp_path: Path) -> None:
    home = prepare_dagster_home(Settings(home=tmp_path / 'опер "1": a\\b #2'))
    with dg.DagsterInstance.from_config(str(home)) as instance:
        instance.report_runless_asset_event(dg.AssetMaterialization("thing"))
    assert (home / "history" / "runs" / "index.db").is_file()


def test_nothing_is_reported_to_anyone(instance: dg.DagsterInstance) -> None:
    assert not instance.get_settings("telemetry")["enabled"]
    assert not instance.nux_enabled


def test_two_runs_at_once_and_never_two_for_one_video(instance: dg.DagsterInstance) -> None:
    queue = instance.get_concurrency_config().run_queue_config
    assert queue is not None
    assert queue.max_concurrent_runs == 2
    assert queue.tag_concurrency_limits == [
        {"key": "dagster/partition", "value": {"applyLimitPerUniqueValue": True}, "limit": 1},
        {"key": TRAINING_TAG, "limit": 1},
    ]


def test_queued_runs_wait_for_a_code_server_that_has_no_database(instance: dg.DagsterInstance) -> None:
    """By default the queue drops the next run every two seconds, as failed, until the code can be loaded again."""
    queue = instance.get_concurrency_config().run_queue_config
    assert queue is not None
    assert queue.max_user_code_failure_retries * queue.user_code_failure_retry_delay >= 1200


def test_dead_runs_are_found_and_only_they_are_started_again(instance: dg.DagsterInstance) -> None:
    assert isinstance(instance.run_launcher, LocalRunLauncher)
    assert instance.run_launcher.supports_check_run_worker_health
    assert instance.run_monitoring_settings["free_slots_after_run_end_seconds"] == 60
    assert instance.run_monitoring_max_runtime_seconds == 7200
    assert instance.run_retries_enabled
    assert instance.run_retries_max_retries == 2
    assert not instance.run_retries_retry_on_asset_or_op_failure
