"""The buckets of a deployment, made on a real S3 server."""

from dataclasses import replace
from pathlib import Path

import boto3
import pytest
from botocore.exceptions import ClientError

from commands.buckets import main
from commands.services.seaweedfs import PROGRAM, SeaweedFs
from tests.s3_server import PLATFORM, READER, use_credentials

pytestmark = [pytest.mark.services, pytest.mark.xdist_group("seaweedfs")]


def test_buckets_are_made_where_they_are_missing(
    seaweed: SeaweedFs, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("NEUROVISION_S3_ENDPOINT_URL", seaweed.url)
    use_credentials(monkeypatch)
    assert main(["made-one", "made-two"]) == 0
    assert capsys.readouterr().out == "buckets: made made-one, made-two\n"
    assert main(["made-one", "made-three"]) == 0
    assert capsys.readouterr().out == "buckets: made made-three\n"


def test_who_may_not_make_one_is_told_so_in_one_line(
    seaweed: SeaweedFs, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("NEUROVISION_S3_ENDPOINT_URL", seaweed.url)
    use_credentials(monkeypatch, READER)
    assert main(["not-mine"]) == 1
    said = capsys.readouterr().err
    assert said.startswith("error: s3://not-mine: ")
    assert said.count("\n") == 1
    assert READER.secret_key not in said


def test_keys_of_whoever_starts_the_server_open_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """SeaweedFS makes an administrator of the keys that it finds in its environment."""
    if not PROGRAM.is_file():
        pytest.skip("SeaweedFS is not installed: sh scripts/servers.sh seaweedfs")
    use_credentials(monkeypatch)
    other = replace(PLATFORM, secret_key=READER.secret_key)
    with SeaweedFs(tmp_path, [other]) as server, pytest.raises(ClientError, match="SignatureDoesNotMatch"):
        boto3.Session().client("s3", endpoint_url=server.url, region_name="us-east-1").list_buckets()


def test_a_store_that_was_made_with_another_index_of_names_keeps_it(tmp_path: Path) -> None:
    """With a new one it would know none of its objects."""
    new, former = SeaweedFs(tmp_path / "new", [PLATFORM]), SeaweedFs(tmp_path / "former", [PLATFORM])
    (former.folder / "data" / "filerldb2").mkdir(parents=True)
    for server in (new, former):
        server.prepare()
    assert (new.folder / "filer.toml").is_file()
    assert not (former.folder / "filer.toml").exists()
