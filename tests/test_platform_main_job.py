"""The whole platform: a real daemon and webserver, a file that is copied into ``incoming/``, a report that appears."""

import json
import shutil
import socket
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.main_job import STAGES, Home, new_home

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("platform")]
PICKED_UP_S = 30.0
REPORT_S = 300.0

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


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Platform:
    """A running platform and its API."""

    def __init__(self, home: Home, port: int) -> None:
        self.home = home
        self.url = f"http://127.0.0.1:{port}"

    def ask(self, query: str, **variables: Any) -> Any:
        """One GraphQL request."""
        body = json.dumps({"query": query, "variables": variables}).encode()
        request = urllib.request.Request(f"{self.url}/graphql", body, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=60) as answer:
            content = json.loads(answer.read())
        assert "errors" not in content, content["errors"]
        return content["data"]

    def partitions(self, stage: str) -> dict[str, list[str]]:
        """Materialized and failed partitions as the UI shows them."""
        key = {"path": ["surgery", stage]}
        statuses: dict[str, list[str]] = self.ask(PARTITIONS, key=key)["assetNodeOrError"]["assetPartitionStatuses"]
        return statuses


def wait_for(what: str, look: Callable[[], Any], limit_s: float) -> Any:
    deadline = time.monotonic() + limit_s
    while time.monotonic() < deadline:
        found = look()
        if found:
            return found
        time.sleep(0.5)
    raise AssertionError(f"{what} did not come within {limit_s} s")


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    home = new_home(tmp_path_factory.mktemp("platform"), NEUROVISION_DEFAULT_PROFILE="fast_debug")
    port = free_port()
    started = home.command("up", "--port", str(port))
    assert started.code == 0, started.err
    yield Platform(home, port)
    stopped = home.command("down")
    assert stopped.code == 0, stopped.err


def test_an_upload_becomes_a_report_with_nobody_touching_anything(platform: Platform, shared_data: Path):
    incoming = platform.home.path / "incoming"
    incoming.mkdir(exist_ok=True)
    dropped = time.monotonic()
    clip = shared_data / "surgery" / "clips" / "cholect50_VID74_sec0807-0841_1fps.mp4"
    (incoming / "operation_074.json").write_text(
        json.dumps({"operation_id": "operation_074", "surgeon": "Dr. Example", "profile": "production"})
    )
    shutil.copy(clip, incoming / "operation_074.mp4")

    def progress() -> Path | None:
        return next(iter((platform.home.path / "progress").glob("operation_074-*.json")), None)

    started = wait_for("the run", progress, PICKED_UP_S)
    assert time.monotonic() - dropped <= PICKED_UP_S
    video_id = started.stem

    def report() -> Path | None:
        return next(iter((platform.home.path / "surgery" / "report").glob("operation_074-*.html")), None)

    html = wait_for("the report", report, REPORT_S).read_text(encoding="utf-8")
    assert "Dr. Example" in html
    wait_for("the end of the run", lambda: platform.partitions("report")["materializedPartitions"], 60)
    assert set(platform.home.data_versions(video_id)) == set(STAGES)
    assert list(incoming.iterdir()) == []

    second = platform.home.process(clip)
    assert second.code == 0, second.err
    assert "everything is up to date" in second.out


def test_make_process_works_while_the_platform_runs(platform: Platform, shared_data: Path):
    done = platform.home.process(shared_data / "surgery" / "clips" / "cholect50_VID70_annotated164_1fps.mp4")

    assert done.code == 0, done.err
    assert done.video_id in platform.partitions("report")["materializedPartitions"]


def test_a_backfill_of_three_partitions_one_of_them_bad(platform: Platform, tmp_path: Path):
    good, bad = make_videos(tmp_path)
    names = {}
    for label, video in (("operation_801", good[0]), ("operation_802", bad), ("operation_803", good[1])):
        names[label] = platform.home.command("register", str(video), "--label", label).out.split()[-1]

    keys = [{"path": ["surgery", stage]} for stage in STAGES]
    launched = platform.ask(
        LAUNCH_BACKFILL, params={"assetSelection": keys, "partitionNames": list(names.values())}
    )["launchPartitionBackfill"]
    assert launched["__typename"] == "LaunchBackfillSuccess", launched

    def ended() -> Any:
        backfill = platform.ask(BACKFILL, id=launched["backfillId"])["partitionBackfillOrError"]
        return backfill if backfill["status"] in {"COMPLETED", "COMPLETED_FAILED", "COMPLETED_SUCCESS", "FAILED"} else None

    backfill = wait_for("the end of the backfill", ended, REPORT_S)

    assert len(backfill["runs"]) == 1, "small videos share a run"
    reports = platform.partitions("report")
    assert {names["operation_801"], names["operation_803"]} <= set(reports["materializedPartitions"])
    assert names["operation_802"] in platform.partitions("video")["failedPartitions"]
    assert names["operation_802"] not in reports["materializedPartitions"]
    failed = [
        execution["evaluation"]
        for execution in platform.ask(CHECKS, key={"path": ["surgery", "video"]}, name="complete")["assetCheckExecutions"]
        if not execution["evaluation"]["success"]
    ]
    assert [evaluation["partition"] for evaluation in failed] == [names["operation_802"]]
    reason = {entry["label"]: entry.get("text") for entry in failed[0]["metadataEntries"]}["reason"]
    assert names["operation_802"] in reason
