"""Who may read results may not see recordings as they came: on a real server, by the policy that we print."""

from pathlib import Path

import pytest

from commands import bucket_policy
from commands.services.seaweedfs import SeaweedFs
from resources.errors import ConfigurationError
from tests.s3_server import PLATFORM, READER, store_in, use_credentials

pytestmark = [pytest.mark.services, pytest.mark.xdist_group("seaweedfs")]
BUCKET = "restricted"


def test_readers_read_results_and_nothing_that_names_a_patient(
    seaweed: SeaweedFs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    seaweed.make_bucket(BUCKET)
    use_credentials(monkeypatch)
    monkeypatch.setenv("NEUROVISION_OBJECT_STORE_URL", f"s3://{BUCKET}/hospital")
    monkeypatch.setenv("NEUROVISION_S3_ENDPOINT_URL", seaweed.url)
    store = store_in(seaweed, tmp_path, url=f"s3://{BUCKET}/hospital")
    keys = {name: f"{name}/x" for name in ("surgery/report", "raw", "incoming", "rejected")}
    for key in keys.values():
        store.write_bytes(key, b"1")
    users = ("--platform", PLATFORM.arn, "--reader", READER.arn)
    assert bucket_policy.main([*users, "--apply"]) == 0
    assert store.read_bytes(keys["raw"]) == b"1"
    store.write_bytes("raw/y", b"2")

    use_credentials(monkeypatch, READER)
    reader = store_in(seaweed, tmp_path, url=f"s3://{BUCKET}/hospital")
    assert reader.find_bytes(keys["surgery/report"]) == b"1"
    for name in bucket_policy.RESTRICTED:
        with pytest.raises(ConfigurationError, match="does not allow"):
            reader.find_bytes(keys[name])


def test_a_folder_has_no_policy(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    monkeypatch.delenv("NEUROVISION_OBJECT_STORE_URL", raising=False)
    assert bucket_policy.main(["--platform", "a", "--reader", "b"]) == 1
    assert capsys.readouterr().err.startswith("error: NEUROVISION_OBJECT_STORE_URL: ")
