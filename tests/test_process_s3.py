"""The main job with its objects and its logs on S3: the same results as in a folder, and no secret anywhere."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import boto3
import dagster as dg
import pytest
import requests

from commands.platform import prepare_dagster_home
from commands.services.seaweedfs import SeaweedFs
from resources.object_store import ObjectStore
from resources.settings import Settings
from tests.main_job import Finished, Home, new_home
from tests.s3_server import BUCKET, PLATFORM

pytestmark = [pytest.mark.slow, pytest.mark.services, pytest.mark.xdist_group("seaweedfs")]
CLIP = "cholect50_VID74_sec0807-0841_1fps.mp4"
PREFIX = "process"
PROFILE = "fast_debug"


@dataclass(frozen=True)
class BucketHome(Home):
    """A home whose objects lie in a bucket."""

    @property
    def store(self) -> ObjectStore:
        """Its objects."""
        endpoint = self.environment["NEUROVISION_S3_ENDPOINT_URL"]
        return ObjectStore(url=f"s3://{BUCKET}/{PREFIX}", endpoint_url=endpoint, home=str(self.path))


@pytest.fixture(scope="module")
def credentials() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ACCESS_KEY_ID", PLATFORM.access_key)
        patch.setenv("AWS_SECRET_ACCESS_KEY", PLATFORM.secret_key)
        yield


@pytest.fixture(scope="module")
def on_s3(seaweed: SeaweedFs, credentials: None, tmp_path_factory: pytest.TempPathFactory) -> BucketHome:
    """Secrets from files, as containers are given them."""
    home = new_home(tmp_path_factory.mktemp("s3"))
    secret = home.path.parent / "secret"
    secret.write_text(PLATFORM.secret_key + "\n")
    environment = {name: value for name, value in home.environment.items() if name != "AWS_SECRET_ACCESS_KEY"}
    return BucketHome(
        home.path,
        environment
        | {
            "AWS_SECRET_ACCESS_KEY_FILE": str(secret),
            "NEUROVISION_OBJECT_STORE_URL": f"s3://{BUCKET}/{PREFIX}",
            "NEUROVISION_COMPUTE_LOGS_URL": f"s3://{BUCKET}/logs",
            "NEUROVISION_S3_ENDPOINT_URL": seaweed.url,
        },
    )


@pytest.fixture(scope="module")
def done(on_s3: BucketHome, shared_data: Path) -> Finished:
    done = on_s3.process(shared_data / "surgery" / "clips" / CLIP, PROFILE)
    assert done.code == 0, done.err
    return done


def test_results_are_those_of_a_folder(on_s3: BucketHome, done: Finished, tmp_path: Path, shared_data: Path):
    in_folder = new_home(tmp_path)
    again = in_folder.process(shared_data / "surgery" / "clips" / CLIP, PROFILE)
    assert again.code == 0, again.err
    assert again.video_id == done.video_id
    assert on_s3.data_versions(done.video_id) == in_folder.data_versions(done.video_id) != {}


def test_the_report_is_reached_by_its_link_and_the_same_command_makes_another(
    on_s3: BucketHome, done: Finished, shared_data: Path
):
    again = on_s3.process(shared_data / "surgery" / "clips" / CLIP, PROFILE)
    assert "everything is up to date" in again.out
    for printed in (done, again):
        address = printed.out.strip().splitlines()[-1].removeprefix("report: ")
        answer = requests.get(address, timeout=60)
        assert answer.status_code == 200
        assert done.video_id in answer.text


def test_logs_lie_in_the_bucket_and_no_secret_anywhere(on_s3: BucketHome, done: Finished, seaweed: SeaweedFs):
    client = boto3.Session().client("s3", endpoint_url=seaweed.url, region_name="us-east-1")
    logs = client.list_objects_v2(Bucket=BUCKET, Prefix="logs/")["Contents"]
    assert any("/compute_logs/" in entry["Key"] for entry in logs)
    told = [client.get_object(Bucket=BUCKET, Key=entry["Key"])["Body"].read() for entry in logs]
    told += [path.read_bytes() for path in on_s3.path.rglob("*") if path.is_file()]
    told += [done.out.encode(), done.err.encode()]
    assert sum(PLATFORM.secret_key.encode() in text for text in told) == 0


@dg.op
def says_hello() -> None:
    print("hello from a run")


@dg.job
def hello() -> None:
    says_hello()


def test_what_a_run_prints_is_found_in_the_bucket(
    on_s3: BucketHome, seaweed: SeaweedFs, monkeypatch: pytest.MonkeyPatch
):
    settings = Settings(home=on_s3.path / "hello", compute_logs_url=f"s3://{BUCKET}/hello", s3_endpoint_url=seaweed.url)
    home = prepare_dagster_home(settings)
    monkeypatch.setenv("DAGSTER_HOME", str(home))
    with dg.DagsterInstance.from_config(str(home)) as instance:
        assert hello.execute_in_process(instance=instance).success
    client = boto3.Session().client("s3", endpoint_url=seaweed.url, region_name="us-east-1")
    printed = [
        client.get_object(Bucket=BUCKET, Key=entry["Key"])["Body"].read()
        for entry in client.list_objects_v2(Bucket=BUCKET, Prefix="hello/")["Contents"]
        if entry["Key"].endswith(".out")
    ]
    assert printed == [b"hello from a run\n"]
