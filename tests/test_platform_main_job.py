"""The whole platform: a real daemon and webserver, a file that is copied into ``incoming/``, a report that appears.

How soon its run begins (30 s are promised) is measured by ``benchmarks.pick_up``.
"""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import requests

from neurovision_assets.partitions import video_ids
from neurovision_assets.uploads.local import register_local_file
from resources.settings import load_settings
from simulator.operation import plan_operation
from simulator.video import write_video
from tests.main_job import STAGES, Home, free_port, new_home
from tests.waiting import PATIENCE_S, wait_for

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("platform"), pytest.mark.timeout(1800)]
CLIPS = {
    "operation_070": ("cholect50_VID70_annotated164_1fps.mp4", 164),
    "operation_074": ("cholect50_VID74_sec0807-0841_1fps.mp4", 35),
}
"""The real clips under the names they are dropped by, and how many frames they have."""

LAUNCH_BACKFILL = """
mutation($params: LaunchBackfillParams!) {
  launchPartitionBackfill(backfillParams: $params) {
    __typename
    ... on LaunchBackfillSuccess { backfillId }
    ... on PythonError { message }
  }
}"""
BACKFILL = """
query($id: String!) {
  partitionBackfillOrError(backfillId: $id) {
    ... on PartitionBackfill { status runs { runId status } }
  }
}"""
PARTITIONS = """
query($key: AssetKeyInput!) {
  assetNodeOrError(assetKey: $key) {
    ... on AssetNode {
      assetPartitionStatuses { ... on DefaultPartitionStatuses { materializedPartitions failedPartitions } }
    }
  }
}"""
CHECKS = """
query($key: AssetKeyInput!, $name: String!) {
  assetCheckExecutions(assetKey: $key, checkName: $name, limit: 20) {
    status evaluation { success partition metadataEntries { label ... on TextMetadataEntry { text } } }
  }
}"""


class Platform:
    """A running platform and its API."""

    def __init__(self, home: Home, port: int) -> None:
        self.home = home
        self.url = f"http://127.0.0.1:{port}"

    def ask(self, query: str, **variables: Any) -> Any:
        """One GraphQL request."""
        answer = requests.post(f"{self.url}/graphql", json={"query": query, "variables": variables}, timeout=PATIENCE_S)
        content = answer.json()
        assert "errors" not in content, content["errors"]
        return content["data"]

    def partitions(self, stage: str) -> dict[str, list[str]]:
        """Materialized and failed partitions as the UI shows them."""
        key = {"path": ["surgery", stage]}
        statuses: dict[str, list[str]] = self.ask(PARTITIONS, key=key)["assetNodeOrError"]["assetPartitionStatuses"]
        return statuses


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    home = new_home(tmp_path_factory.mktemp("platform"), NEUROVISION_DEFAULT_PROFILE="fast_debug")
    port = free_port()
    started = home.command("up", "--port", str(port))
    assert started.code == 0, started.err
    yield Platform(home, port)
    stopped = home.command("down")
    assert stopped.code == 0, stopped.err


def dropped(platform: Platform, clip: Path, operation_id: str) -> None:
    """A clip in ``incoming/`` under the operation's name, its sidecar beside it."""
    incoming = platform.home.path / "incoming"
    incoming.mkdir(exist_ok=True)
    told = {"operation_id": operation_id, "surgeon": "Dr. Example", "profile": "production"}
    (incoming / f"{operation_id}.json").write_text(json.dumps(told))
    shutil.copy(clip, incoming / f"{operation_id}.mp4")


def test_both_real_clips_become_reports_with_nobody_touching_anything(platform: Platform, shared_data: Path):
    for operation_id, (name, _) in CLIPS.items():
        dropped(platform, shared_data / "surgery" / "clips" / name, operation_id)
    home = platform.home.path

    def progress() -> dict[str, Path] | None:
        begun = {name: next(iter((home / "progress").glob(f"{name}-*.json")), None) for name in CLIPS}
        return {name: path for name, path in begun.items() if path} if all(begun.values()) else None

    started = wait_for("the runs", progress)
    for operation_id, (name, frames) in CLIPS.items():
        html = wait_for("the report", lambda told=started[operation_id]: report_of(home, told))
        assert "Dr. Example" in html.read_text(encoding="utf-8")
        told = json.loads(html.with_suffix(".json").read_text(encoding="utf-8"))
        assert told["quality"]["frame_count"] == frames
        assert told["trust"]["verdict"] != "reliable", "real pictures are beyond models that learned from simulations"
        video_id = started[operation_id].stem
        wait_for("the end", lambda key=video_id: key in platform.partitions("report")["materializedPartitions"])
        assert set(platform.home.data_versions(video_id)) == set(STAGES)

        second = platform.home.process(shared_data / "surgery" / "clips" / name)
        assert second.code == 0, second.err
        assert "everything is up to date" in second.out
    assert list((home / "incoming").iterdir()) == []


def report_of(home: Path, progress: Path) -> Path | None:
    """The report of a video when it is there, None before."""
    told = json.loads(progress.read_text(encoding="utf-8"))
    assert told["stage"] != "error", told["message"]
    html = home / "surgery" / "report" / f"{progress.stem}.html"
    return html if html.is_file() else None


def test_make_process_works_while_the_platform_runs(platform: Platform, tmp_path: Path):
    video = tmp_path / "operation_900.mp4"
    write_video(plan_operation(9, 20.0), video, fps=2.0)

    done = platform.home.process(video)

    assert done.code == 0, done.err
    assert done.video_id in platform.partitions("report")["materializedPartitions"]


def registered_but_not_run(platform: Platform, folder: Path) -> tuple[str, str, str]:
    """Three videos that the platform knows and has not worked on; the middle one is cut off and cannot be played."""
    video_keys = []
    for number in (1, 2, 3):
        video = folder / f"operation_80{number}.mp4"
        write_video(plan_operation(number, 20.0), video, fps=2.0)
        if number == 2:
            video.write_bytes(video.read_bytes()[:20_000])
        record = register_local_file(platform.home.store, load_settings(), video)
        video_keys.append(record.video_id)
    with dg.DagsterInstance.from_config(str(platform.home.path / "dagster")) as instance:
        instance.add_dynamic_partitions(str(video_ids.name), video_keys)
    first, middle, last = video_keys
    return first, middle, last


def ended_backfill(platform: Platform, backfill_id: str) -> Any:
    """The backfill when it is over, None before."""
    backfill = platform.ask(BACKFILL, id=backfill_id)["partitionBackfillOrError"]
    return backfill if backfill["status"].startswith(("COMPLETED", "FAILED")) else None


def test_a_backfill_of_three_partitions_one_of_them_bad(platform: Platform, tmp_path: Path):
    first, bad, last = registered_but_not_run(platform, tmp_path)
    keys = [{"path": ["surgery", stage]} for stage in STAGES]

    launched = platform.ask(LAUNCH_BACKFILL, params={"assetSelection": keys, "partitionNames": [first, bad, last]})
    backfill_id = launched["launchPartitionBackfill"]["backfillId"]
    backfill = wait_for("the end of the backfill", lambda: ended_backfill(platform, backfill_id))

    assert len(backfill["runs"]) == 1, "small videos share a run"
    reports = platform.partitions("report")
    assert {first, last} <= set(reports["materializedPartitions"])
    assert bad not in reports["materializedPartitions"]
    assert platform.partitions("video")["failedPartitions"] == [bad]
    key = {"path": ["surgery", "video"]}
    evaluations = [
        execution["evaluation"]
        for execution in platform.ask(CHECKS, key=key, name="complete")["assetCheckExecutions"]
        if execution["evaluation"]
    ]
    [failed] = [evaluation for evaluation in evaluations if not evaluation["success"]]
    assert failed["partition"] == bad
    reason = {entry["label"]: entry.get("text") for entry in failed["metadataEntries"]}["reason"]
    assert reason.startswith(f"{bad}: ")
