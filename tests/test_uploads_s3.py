"""Uploads through S3: complete when they are objects, taken once, claimed by a copy and a deletion that may break."""

import json
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import boto3
import pytest

from commands.services.juicefs import JuiceFs
from commands.services.seaweedfs import SeaweedFs
from neurovision_assets.uploads.intake import Outcome, look
from neurovision_assets.uploads.registration import claim_parts
from neurovision_assets.uploads.watch import IncomingState
from resources.object_store import ObjectStore
from resources.object_store.s3 import S3Objects
from resources.settings import Settings
from sensors.upload_events import LOOK_ANYWAY_S, Looks
from tests.incoming import PROFILES, SIDECAR_WAIT_S, START_S, video_bytes
from tests.s3_server import BUCKET, EVENTS_PASSWORD, EVENTS_USER, store_in, use_credentials
from tests.waiting import wait_for

pytestmark = [pytest.mark.services, pytest.mark.xdist_group("seaweedfs")]
PART_BYTES = 5 << 20


class Hospital:
    """A bucket, a sender with the S3 API, and the sensor's eyes with a clock of their own."""

    def __init__(self, store: ObjectStore, home: Path, **settings: Any) -> None:
        self.store = store
        self.settings = Settings(home=home, upload_sidecar_wait_s=SIDECAR_WAIT_S, **settings)
        self.prefix = store.url.removeprefix(f"s3://{BUCKET}").strip("/")
        self.sender = boto3.Session().client("s3", endpoint_url=store.endpoint_url, region_name="us-east-1")
        self.state, self.known, self.now_s = IncomingState(), set[str](), START_S

    def name(self, key: str) -> str:
        """The key in the bucket."""
        return f"{self.prefix}/{key}"

    def put(self, name: str, content: bytes | dict[str, Any]) -> None:
        """Send a video or a sidecar."""
        body = content if isinstance(content, bytes) else json.dumps(content).encode()
        self.sender.put_object(Bucket=BUCKET, Key=self.name(f"incoming/{name}"), Body=body)

    def look(self, seconds: float = 0.0) -> Outcome:
        """Let time pass and look once, as the sensor does."""
        self.now_s += seconds
        outcome = look(self.store, self.settings, self.state, known=self.known, profiles=PROFILES, now_s=self.now_s)
        self.state = IncomingState.from_cursor(outcome.state.model_dump_json())
        self.known.update(record.video_id for record in outcome.registered)
        return outcome

    def names(self, prefix: str) -> list[str]:
        """File names under a prefix."""
        return [info.key.removeprefix(f"{prefix}/") for info in self.store.list_folder(prefix)]


@pytest.fixture
def hospital(seaweed: SeaweedFs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Hospital:
    use_credentials(monkeypatch)
    return Hospital(store_in(seaweed, tmp_path), tmp_path)


def test_an_object_with_its_sidecar_is_taken_at_the_first_look_and_once(hospital: Hospital):
    hospital.put("operation_007.mp4", video_bytes(1))
    hospital.put("operation_007.json", {"operation_id": "operation_007"})
    [record] = hospital.look().registered
    assert hospital.look().registered == []
    assert claim_parts(hospital.store, record) == [f"raw/{record.video_id}/part_000.mp4"]
    assert hospital.names("incoming") == []
    assert hospital.store.read_bytes(record.parts[0].raw_key) == video_bytes(1)
    assert hospital.look(60).registered == []
    assert claim_parts(hospital.store, record) == [f"raw/{record.video_id}/part_000.mp4"]


def test_an_upload_in_parts_is_seen_when_it_is_whole(hospital: Hospital):
    name = hospital.name("incoming/long.mp4")
    begun = hospital.sender.create_multipart_upload(Bucket=BUCKET, Key=name)["UploadId"]
    tags = []
    for number in (1, 2):
        answer = hospital.sender.upload_part(
            Bucket=BUCKET, Key=name, UploadId=begun, PartNumber=number, Body=video_bytes(number, PART_BYTES)
        )
        tags.append({"PartNumber": number, "ETag": answer["ETag"]})
        assert hospital.look(SIDECAR_WAIT_S).state.seen == {}
    hospital.sender.complete_multipart_upload(Bucket=BUCKET, Key=name, UploadId=begun, MultipartUpload={"Parts": tags})
    assert hospital.look().registered == []  # a sidecar may still come
    [record] = hospital.look(SIDECAR_WAIT_S).registered
    assert record.size_bytes == 2 * PART_BYTES


def _die(*_: object) -> None:
    raise KeyboardInterrupt


def test_a_claim_that_dies_between_copy_and_deletion_is_mended(hospital: Hospital, monkeypatch: pytest.MonkeyPatch):
    hospital.put("x.mp4", video_bytes(2))
    hospital.look()
    [record] = hospital.look(SIDECAR_WAIT_S).registered
    with monkeypatch.context() as patch:
        patch.setattr(S3Objects, "delete", _die)
        with pytest.raises(KeyboardInterrupt):
            claim_parts(hospital.store, record)
    assert hospital.names("incoming") == ["x.mp4"]
    assert hospital.look(60).registered == hospital.look(60).refused == []
    claim_parts(hospital.store, record)
    assert hospital.names("incoming") == hospital.names("rejected") == []


def test_a_lost_cursor_refuses_nothing_that_is_being_claimed(hospital: Hospital, monkeypatch: pytest.MonkeyPatch):
    hospital.put("x.mp4", video_bytes(3))
    hospital.look()
    [record] = hospital.look(SIDECAR_WAIT_S).registered
    with monkeypatch.context() as patch:
        patch.setattr(S3Objects, "delete", _die)
        with pytest.raises(KeyboardInterrupt):
            claim_parts(hospital.store, record)
    hospital.state = IncomingState()
    hospital.look()
    outcome = hospital.look(SIDECAR_WAIT_S)
    assert [again.run_key for again in outcome.registered] == [record.run_key], "Dagster would start a second run"
    assert outcome.refused == []
    assert hospital.names("incoming") == hospital.names("rejected") == []


def test_two_looks_at_once_make_one_video(hospital: Hospital, tmp_path: Path):
    hospital.put("x.mp4", video_bytes(4))
    others = [Hospital(hospital.store, tmp_path) for _ in range(4)]
    for other in others:
        other.look()
    with ThreadPoolExecutor(4) as pool:
        outcomes = list(pool.map(lambda other: other.look(SIDECAR_WAIT_S), others))
    records = [record for outcome in outcomes for record in outcome.registered]
    assert len(records) == 4
    assert len({record.run_key for record in records}) == 1


def test_the_same_bytes_again_are_refused_and_what_cannot_be_taken_too(hospital: Hospital):
    hospital.put("x.mp4", video_bytes(5))
    hospital.look()
    [record] = hospital.look(SIDECAR_WAIT_S).registered
    claim_parts(hospital.store, record)
    hospital.put("y.mp4", video_bytes(5))
    hospital.put("notes.txt", b"no video")
    hospital.look()
    reasons = [refused.reason for refused in hospital.look(SIDECAR_WAIT_S).refused]
    assert record.video_id in " ".join(reasons)
    assert hospital.names("incoming") == []
    assert hospital.names("rejected") == ["notes.txt", "notes.txt.reason.txt", "y.mp4", "y.mp4.reason.txt"]


def test_events_save_looks_and_never_cost_one(juice: JuiceFs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", EVENTS_USER)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", EVENTS_PASSWORD)
    store = ObjectStore(url=f"s3://{BUCKET}/here", endpoint_url=juice.url, home=str(tmp_path))
    sender = boto3.Session().client("s3", endpoint_url=juice.url, region_name="us-east-1")
    sender.create_bucket(Bucket=BUCKET)
    looks = Looks()

    def due() -> bool:
        return looks.is_due(store, IncomingState(looked_s=time.time()), looks.heard(store))

    def done() -> None:
        looks.done(store, looks.heard(store))

    assert due(), "nothing was heard yet: a look is due"
    wait_for("a listener", lambda: looks.heard(store))
    assert due()
    done()
    assert not due()
    sender.put_object(Bucket=BUCKET, Key="elsewhere/incoming/x.mp4", Body=b"1")
    sender.put_object(Bucket=BUCKET, Key="here/incoming/x.mp4", Body=b"1")
    wait_for("the event", due)
    done()
    assert not due()
    waiting = IncomingState(looked_s=time.time(), seen={"token": time.time()})
    assert looks.is_due(store, waiting, looks.heard(store)), "a file waits for its sidecar"
    old = IncomingState(looked_s=time.time() - LOOK_ANYWAY_S)
    assert looks.is_due(store, old, looks.heard(store)), "an event may have been lost"
    juice.kill()
    wait_for("the event", due)
    assert looks.heard(store) is None
    juice.start()
    wait_for("a listener", lambda: looks.heard(store) is not None)
    assert due(), "what came meanwhile was not heard"


def test_a_server_without_events_and_a_folder_are_looked_at_always(hospital: Hospital, tmp_path: Path):
    for store in (hospital.store, ObjectStore(url=tmp_path.as_uri())):
        looks = Looks()
        looks.heard(store)
        time.sleep(0.5)
        assert looks.heard(store) is None
        assert looks.is_due(store, IncomingState(looked_s=time.time()), None)
