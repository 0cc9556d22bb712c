"""The buckets of a deployment, made on a real S3 server."""

import pytest

from commands.buckets import main
from commands.services.seaweedfs import SeaweedFs
from tests.s3_server import READER, use_credentials

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
