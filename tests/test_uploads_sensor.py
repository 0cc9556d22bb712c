"""The sensor on a real Dagster instance: one result, nothing lost, nothing told that must not be."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import dagster as dg
import pytest

from neurovision_assets.partitions import video_ids
from neurovision_assets.uploads.asset import ACCEPTED_CHECK, UPLOADS_KEY
from resources.errors import TransientFailure
from sensors.uploads import uploads_sensor
from tests.incoming import PATIENT, video_bytes
from tests.uploads_platform import build_defs

PATIENT_ID = "MRN-5551234"


@dataclass
class Platform:
    """An instance, a home, and the cursor that the daemon would keep."""

    home: Path
    instance: dg.DagsterInstance
    cursor: str | None = None

    def drop(self, name: str, content: bytes) -> None:
        """Put a file into ``incoming/``."""
        (self.home / "incoming").mkdir(exist_ok=True)
        (self.home / "incoming" / name).write_bytes(content)

    def tick(self) -> list[dg.RunRequest]:
        """Evaluate the sensor and do with its result what the daemon does."""
        definitions = build_defs()
        with dg.build_sensor_context(
            instance_ref=self.instance.get_ref(),
            cursor=self.cursor,
            definitions=definitions,
            sensor_name=uploads_sensor.name,
            resources=definitions.resources,
        ) as context:
            result = uploads_sensor.evaluate_tick(context)
        for event in result.asset_events:
            self.instance.report_runless_asset_event(event)
        for request in result.dynamic_partitions_requests or []:
            assert isinstance(request, dg.AddDynamicPartitionsRequest)
            self.instance.add_dynamic_partitions(request.partitions_def_name, list(request.partition_keys))
        self.cursor = result.cursor
        return list(result.run_requests or [])

    def checks(self) -> list[dg.AssetCheckEvaluation]:
        """Every evaluation of the check, newest first."""
        records = self.instance.event_log_storage.get_asset_check_execution_history(
            dg.AssetCheckKey(UPLOADS_KEY, ACCEPTED_CHECK), limit=100
        )
        return [record.event.dagster_event.asset_check_evaluation_data for record in records]


@pytest.fixture
def platform(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Platform]:
    home = tmp_path / "home"
    home.mkdir()
    for name, value in {"HOME": str(home), "UPLOAD_SETTLE_S": "0", "UPLOAD_SIDECAR_WAIT_S": "0"}.items():
        monkeypatch.setenv(f"NEUROVISION_{name}", value)
    monkeypatch.setenv("ANONYMIZATION_SALT", "key")
    (tmp_path / "dagster").mkdir()
    with dg.instance_for_test(temp_dir=str(tmp_path / "dagster")) as instance:
        yield Platform(home, instance)


def test_one_result_adds_the_key_requests_the_run_and_passes_the_check(platform: Platform) -> None:
    platform.drop("operation_1.mp4", video_bytes(1))
    platform.drop("operation_1.json", b'{"priority": "high", "profile": "fast_debug"}')
    assert platform.tick() == []
    (request,) = platform.tick()
    assert request.partition_key in platform.instance.get_dynamic_partitions(str(video_ids.name))
    assert request.run_key is not None
    assert request.run_key.startswith(f"{request.partition_key}:{request.partition_key[-8:]}")
    assert request.tags["dagster/priority"] == "10"
    assert request.tags["neurovision/profile"] == "fast_debug"
    (check,) = platform.checks()
    assert check.passed
    assert check.metadata["video_id"].value == request.partition_key
    assert platform.tick() == []


def test_a_refusal_is_a_failed_check_that_is_seen_after_the_passed_ones(platform: Platform) -> None:
    platform.drop("a.txt", b"text")
    platform.drop("b.mp4", video_bytes(1))
    platform.tick()
    assert len(platform.tick()) == 1
    newest, before = platform.checks()
    assert (newest.passed, before.passed) == (False, True)
    assert "ending" in str(newest.description)


def test_the_cap_holds_and_the_cursor_carries_on(platform: Platform, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NEUROVISION_UPLOADS_PER_TICK", "2")
    for number in range(5):
        platform.drop(f"operation_{number}.mp4", video_bytes(number))
    assert [len(platform.tick()) for _ in range(5)] == [0, 2, 2, 1, 0]
    assert len(platform.instance.get_dynamic_partitions(str(video_ids.name))) == 5


def test_a_failed_listing_fails_the_tick_and_keeps_the_cursor(platform: Platform) -> None:
    platform.drop("operation_1.mp4", video_bytes(1))
    platform.tick()
    before = platform.cursor
    folder, aside = platform.home / "incoming", platform.home / "aside"
    folder.rename(aside)
    folder.write_bytes(b"")  # no folder can be listed here, as on a share that is not mounted
    with pytest.raises(TransientFailure, match="cannot be listed"):
        platform.tick()
    assert platform.cursor == before
    folder.unlink()
    aside.rename(folder)
    assert len(platform.tick()) == 1


def test_a_tick_that_was_lost_after_registering_is_made_good(platform: Platform) -> None:
    platform.drop("operation_1.mp4", video_bytes(1))
    platform.tick()
    before = platform.cursor
    (first,) = platform.tick()
    platform.cursor = before  # the daemon died before it kept the result
    (again,) = platform.tick()
    assert again.run_key == first.run_key


def test_neither_names_nor_numbers_of_patients_reach_dagsters_storage(
    platform: Platform, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    sidecar = json.dumps({"patient_id": PATIENT_ID}).encode()
    for name, content in {
        f"{PATIENT}.mp4": video_bytes(1),
        f"{PATIENT}.json": sidecar,
        f"{PATIENT} copy.mp4": video_bytes(1),
        f"{PATIENT} empty.mp4": b"",
        f"{PATIENT} broken.mp4": video_bytes(2),
        f"{PATIENT} broken.json": sidecar + b"}",
    }.items():
        platform.drop(name, content)
    requests = platform.tick() + platform.tick()
    assert len(requests) == 1
    assert len(platform.checks()) == 4
    told = capfd.readouterr()
    stored = b"".join(path.read_bytes() for path in (tmp_path / "dagster").rglob("*") if path.is_file())
    everything = stored + repr(requests).encode() + str(platform.cursor).encode() + (told.out + told.err).encode()
    assert b"refused" in everything
    for secret in (PATIENT, PATIENT.split()[0], PATIENT_ID, json.dumps(PATIENT).strip('"')):
        assert secret.encode() not in everything
