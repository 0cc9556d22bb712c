"""The object store on a real S3 server: the promises of a folder, and what only a bucket has.

The same tests run on a folder and on a bucket where the promise is the same.
"""

import hashlib
import os
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import boto3
import pytest
import requests

from commands.services.seaweedfs import SeaweedFs
from resources.errors import ConfigurationError, NeuroVisionError, PermanentFailure, TransientFailure
from resources.object_store import ObjectStore, client, opened, s3_transfers, size_of
from resources.object_store.cache import LocalCopies
from resources.object_store.objects import ObjectInfo
from tests.s3_server import BUCKET, PLATFORM, READER, Tls, store_in, use_credentials

pytestmark = [pytest.mark.services, pytest.mark.xdist_group("seaweedfs")]
MIB = 1 << 20
MANY_KEYS = 10_050
PATIENCE_S = 300.0


@pytest.fixture(autouse=True)
def credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    use_credentials(monkeypatch)


@pytest.fixture
def bucket(seaweed: SeaweedFs, tmp_path: Path) -> ObjectStore:
    return store_in(seaweed, tmp_path)


@pytest.fixture(params=["folder", "bucket"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> ObjectStore:
    if request.param == "folder":
        return ObjectStore(url=(tmp_path / "objects").as_uri())
    return store_in(request.getfixturevalue("seaweed"), tmp_path)


def raw_client(server: SeaweedFs):
    return boto3.Session().client("s3", endpoint_url=server.url, region_name="us-east-1")


def name_of(store: ObjectStore, key: str) -> str:
    return store.url.removeprefix(f"s3://{BUCKET}/") + "/" + key


def file_with(path: Path, data: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def test_what_is_written_is_read_and_told(store: ObjectStore):
    info = store.write_bytes("a/b.bin", b"12345")
    assert store.read_bytes("a/b.bin") == store.find_bytes("a/b.bin") == b"12345"
    assert store.read_range("a/b.bin", 3, 10) == b"45"
    assert store.read_range("a/b.bin", 9, 10) == b""
    assert store.list_folder("a") == [info] == [store.stat("a/b.bin")]
    assert (info.key, info.size_bytes) == ("a/b.bin", 5)
    assert store.sha256_of("a/b.bin") == hashlib.sha256(b"12345").hexdigest()
    assert store.local_file("a/b.bin").read_bytes() == b"12345"
    with opened(store.source("a/b.bin")) as file:
        assert file.read() == b"12345"
    assert size_of(store.source("a/b.bin")) == 5


def test_an_empty_object_is_an_object(store: ObjectStore):
    store.write_bytes("a/empty", b"")
    assert store.read_bytes("a/empty") == b"" == store.local_file("a/empty").read_bytes()
    assert [info.size_bytes for info in store.list_folder("a")] == [0]


def test_a_listing_is_of_one_level_sorted_and_goes_on_behind_a_key(store: ObjectStore):
    for key in ("a/2", "a/1", "a/deep/er", "a/ö, ü+%", "a/.hidden", "ab/3"):
        store.write_bytes(key, b"x")
    assert [info.key for info in store.list_folder("a")] == ["a/1", "a/2", "a/ö, ü+%"]
    assert [info.key for info in store.list_folder("a", limit=2)] == ["a/1", "a/2"]
    assert [info.key for info in store.list_folder("a", after="a/1")] == ["a/2", "a/ö, ü+%"]
    assert store.list_folder("nothing/here") == []


def test_a_missing_object_is_named_and_a_missing_one_is_no_error_to_delete(store: ObjectStore):
    for call in (store.read_bytes, store.local_file, store.sha256_of, lambda key: store.move(key, "other")):
        with pytest.raises((PermanentFailure, OSError), match=r"raw/x.mp4"):
            Path(call("raw/x.mp4")).read_bytes()
    assert store.stat("raw/x.mp4") is store.find_bytes("raw/x.mp4") is None
    store.delete("raw/x.mp4")


def test_a_move_takes_the_object_away(store: ObjectStore):
    store.write_bytes("incoming/a b, в.mp4", b"1")
    store.move("incoming/a b, в.mp4", "raw/deep/x.mp4")
    assert store.list_folder("incoming") == []
    assert store.read_bytes("raw/deep/x.mp4") == b"1"
    assert not store.finish_move("incoming/a b, в.mp4", "raw/deep/x.mp4")


def test_of_many_writers_of_a_new_object_one_succeeds(store: ObjectStore):
    with ThreadPoolExecutor(8) as pool:
        told = list(pool.map(lambda number: store.create_bytes("a/new", b"%d" % number), range(8)))
    assert sorted(told) == [False] * 7 + [True]
    assert store.read_bytes("a/new") == b"%d" % told.index(True)


def _write_and_raise(store: ObjectStore, key: str) -> None:
    with store.writing(key) as temporary:
        temporary.write_bytes(b"half")
        raise ZeroDivisionError


def test_an_exception_inside_a_write_leaves_nothing(store: ObjectStore):
    store.write_bytes("a/kept.bin", b"old")
    for key in ("a/new.bin", "a/kept.bin"):
        with pytest.raises(ZeroDivisionError):
            _write_and_raise(store, key)
    assert [info.key for info in store.list_folder("a")] == ["a/kept.bin"]
    assert store.read_bytes("a/kept.bin") == b"old"


@pytest.mark.parametrize("key", ["", ".", "/etc/passwd", "../x", "a/../../x", "a/..", "a\x00b"])
def test_keys_that_climb_out_are_refused(store: ObjectStore, key: str):
    calls = (store.stat, store.find_bytes, store.list_folder, store.delete, lambda k: store.write_bytes(k, b""))
    for call in calls:
        with pytest.raises(PermanentFailure, match="not an object key"):
            call(key)


def test_a_large_file_goes_up_in_parts_and_is_read_where_it_lies(store: ObjectStore, tmp_path: Path):
    data = b"".join(bytes([number]) * MIB for number in range(70))
    source = file_with(tmp_path / "large.bin", data)
    assert store.write_file("raw/large.bin", source).size_bytes == 70 * MIB
    assert store.sha256_of("raw/large.bin") == hashlib.sha256(data).hexdigest()
    assert store.read_range("raw/large.bin", 69 * MIB - 1, 3) == bytes([68, 69, 69])
    with store.open("raw/large.bin") as file:
        file.seek(-2, 2)
        assert file.read() == bytes([69, 69])
        file.seek(MIB)
        assert file.read(1) == bytes([1])
    assert store.local_file("raw/large.bin").read_bytes() == data


def test_a_file_is_given_away_and_needs_not_be_loaded_again(store: ObjectStore):
    source = file_with(store.scratch / "part.parquet", b"rows")
    store.take_file("surgery/x.parquet", source, hashlib.sha256(b"rows").hexdigest())
    assert not source.exists()
    assert isinstance(store.source("surgery/x.parquet"), Path)
    assert store.local_file("surgery/x.parquet").read_bytes() == b"rows"


def test_more_keys_than_a_page_holds_are_all_listed(seaweed: SeaweedFs, bucket: ObjectStore):
    client = raw_client(seaweed)
    names = [f"incoming/{number:06}.mp4" for number in range(MANY_KEYS)]
    with ThreadPoolExecutor(32) as pool:
        list(pool.map(lambda key: client.put_object(Bucket=BUCKET, Key=name_of(bucket, key), Body=b"x"), names))
    assert [info.key for info in bucket.list_folder("incoming")] == names
    seen, after = 0, ""
    while page := bucket.list_folder("incoming", after=after, limit=2_900):
        seen, after = seen + len(page), page[-1].key
    assert seen == MANY_KEYS


def test_a_copy_that_differs_from_its_checksum_is_refused(seaweed: SeaweedFs, bucket: ObjectStore):
    bucket.write_bytes("surgery/x.parquet", b"right")
    right = hashlib.sha256(b"right").hexdigest()
    raw_client(seaweed).put_object(
        Bucket=BUCKET, Key=name_of(bucket, "surgery/x.parquet"), Body=b"wrong", Metadata={"sha256": right}
    )
    with pytest.raises(PermanentFailure, match=r"^surgery/x.parquet: The object was altered"):
        bucket.local_file("surgery/x.parquet", right)
    assert list((bucket.root / "object-copies").rglob("*.parquet")) == []


def test_what_others_wrote_is_read_for_its_checksum(seaweed: SeaweedFs, bucket: ObjectStore):
    raw_client(seaweed).put_object(Bucket=BUCKET, Key=name_of(bucket, "incoming/x.mp4"), Body=b"theirs")
    assert bucket.sha256_of("incoming/x.mp4") == hashlib.sha256(b"theirs").hexdigest()


def test_a_move_that_ended_half_way_is_finished_and_no_other_object_is_touched(seaweed: SeaweedFs, bucket: ObjectStore):
    client = raw_client(seaweed)
    bucket.write_bytes("incoming/x.mp4", b"video")
    bucket.move("incoming/x.mp4", "raw/x.mp4")
    client.put_object(Bucket=BUCKET, Key=name_of(bucket, "incoming/x.mp4"), Body=b"another")
    assert not bucket.finish_move("incoming/x.mp4", "raw/x.mp4")
    client.put_object(Bucket=BUCKET, Key=name_of(bucket, "incoming/x.mp4"), Body=b"video")  # as before the deletion
    assert bucket.finish_move("incoming/x.mp4", "raw/x.mp4")
    assert bucket.stat("incoming/x.mp4") is None


def test_a_move_above_the_limit_of_one_copy_goes_in_parts(bucket: ObjectStore, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(s3_transfers, "COPY_WHOLE_BYTES", 8 * MIB)
    monkeypatch.setattr(s3_transfers, "COPY_PART_BYTES", 8 * MIB)
    source = file_with(bucket.scratch / "x", bytes(range(256)) * (20 * MIB // 256))
    bucket.write_file("incoming/x.mp4", source)
    bucket.move("incoming/x.mp4", "raw/x.mp4")
    assert bucket.sha256_of("raw/x.mp4") == hashlib.sha256(source.read_bytes()).hexdigest()
    assert bucket.local_file("raw/x.mp4").read_bytes() == source.read_bytes()
    assert bucket.stat("incoming/x.mp4") is None


def test_a_link_opens_the_object_until_it_ends_or_is_altered(bucket: ObjectStore):
    bucket.write_bytes("surgery/report/x.html", b"<html>")
    answer = requests.get(bucket.link("surgery/report/x.html", 60), timeout=PATIENCE_S)
    assert (answer.content, answer.headers["Content-Type"]) == (b"<html>", "text/html")
    short = bucket.link("surgery/report/x.html", 1)
    time.sleep(2.5)
    ended = requests.get(short, timeout=PATIENCE_S)
    assert (ended.status_code, "Request has expired" in ended.text) == (403, True), ended.text
    altered = bucket.link("surgery/report/x.html", 60).replace("report/x", "report/y")
    assert requests.get(altered, timeout=PATIENCE_S).status_code == 403


def test_encryption_is_asked_of_the_server(seaweed: SeaweedFs, tmp_path: Path):
    store = store_in(seaweed, tmp_path, encryption="AES256")
    store.write_bytes("a/x", b"secret")
    head = raw_client(seaweed).head_object(Bucket=BUCKET, Key=name_of(store, "a/x"))
    assert head["ServerSideEncryption"] == "AES256"
    assert store.read_bytes("a/x") == b"secret"


def test_a_wrong_secret_is_one_clear_line(seaweed: SeaweedFs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "not-the-secret")
    store = store_in(seaweed, tmp_path)
    for look in (
        store.check,
        lambda: store.stat("x"),
        lambda: store.write_bytes("x", b""),
        lambda: store.find_bytes("x"),
    ):
        with pytest.raises(ConfigurationError, match=r"^AWS_ACCESS_KEY_ID, AWS_SECRET.*does not accept") as told:
            look()
        assert "not-the-secret" not in str(told.value)
        assert "\n" not in str(told.value)


def test_missing_credentials_are_one_clear_line(seaweed: SeaweedFs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    with pytest.raises(ConfigurationError, match=r"^AWS_ACCESS_KEY_ID.*not set"):
        store_in(seaweed, tmp_path).check()


def test_a_missing_bucket_is_never_a_missing_object(seaweed: SeaweedFs, tmp_path: Path):
    for look in ("check", "stat", "find_bytes", "list_folder", "read_bytes"):
        store = ObjectStore(url="s3://no-such-bucket/x", endpoint_url=seaweed.url, home=str(tmp_path))
        with pytest.raises(ConfigurationError, match=r"bucket 'no-such-bucket' does not exist"):
            getattr(store, look)(*(() if look == "check" else ("a/x",)))


def test_another_authority_s_certificate_is_not_trusted(seaweed: SeaweedFs, tls: Tls, tmp_path: Path):
    store_in(seaweed, tmp_path, endpoint_url=seaweed.tls_url, ca_file=str(tls.own)).check()
    for wrong in (str(tls.other), ""):
        with pytest.raises(ConfigurationError, match=r"^NEUROVISION_S3_CA_FILE: .*not trusted"):
            store_in(seaweed, tmp_path, endpoint_url=seaweed.tls_url, ca_file=wrong).check()


def test_who_may_only_read_is_told_so(seaweed: SeaweedFs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    store_in(seaweed, tmp_path, prefix="shared").write_bytes("x", b"1")
    use_credentials(monkeypatch, READER)
    store = store_in(seaweed, tmp_path, prefix="shared")
    assert store.read_bytes("x") == b"1"
    with pytest.raises(ConfigurationError, match=r"^y: .*does not allow"):
        store.write_bytes("y", b"2")


def _write_again_and_again(store: ObjectStore, source: Path) -> None:
    while True:
        store.delete("raw/large.bin")
        store.write_file("raw/large.bin", source)


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Clients that try twice."""
    monkeypatch.setattr(client, "ATTEMPTS", 2)
    client._client.cache_clear()
    yield
    client._client.cache_clear()


@pytest.mark.usefixtures("impatient")
def test_a_server_killed_while_a_file_goes_up_leaves_no_object(seaweed: SeaweedFs, bucket: ObjectStore, tmp_path: Path):
    source = file_with(tmp_path / "large.bin", bytes(200 * MIB))
    bucket.write_bytes("raw/kept.bin", b"old")
    killer = threading.Timer(0.3, seaweed.kill)
    killer.start()
    try:
        with pytest.raises(TransientFailure, match=r"^raw/large.bin: "):
            _write_again_and_again(bucket, source)
    finally:
        killer.join()
        seaweed.start()
    assert bucket.read_bytes("raw/kept.bin") == b"old"
    assert bucket.stat("raw/large.bin") is None
    assert bucket.write_file("raw/large.bin", source).size_bytes == 200 * MIB


def test_a_server_that_restarts_is_waited_for(seaweed: SeaweedFs, bucket: ObjectStore):
    bucket.write_bytes("a/x", b"1")
    seaweed.kill()
    starter = threading.Thread(target=seaweed.start)
    starter.start()
    try:
        assert bucket.find_bytes("a/x") == b"1"
    finally:
        starter.join()


def test_a_server_that_hangs_for_a_while_is_waited_for(seaweed: SeaweedFs, bucket: ObjectStore):
    bucket.write_bytes("a/x", b"1")
    seaweed.freeze()
    thawing = threading.Timer(2.0, seaweed.thaw)
    thawing.start()
    try:
        assert bucket.find_bytes("a/x") == b"1"
    finally:
        thawing.join()


def test_copies_are_forgotten_by_age_and_size_but_not_while_in_use(tmp_path: Path):
    copies = LocalCopies(tmp_path / "copies", max_bytes=250)
    infos = [ObjectInfo(f"a/{number}.mp4", 100, 0.0, f"tag{number}") for number in range(5)]
    paths = [copies.keep(info, file_with(tmp_path / "copies" / f".{info.etag}", bytes(100))) for info in infos]
    assert all(path.exists() for path in paths), "copies in use were forgotten"
    assert paths[0].suffix == ".mp4"
    now_s = time.time()
    for path, age_s in zip(paths, (8 * 86_400, 6 * 3600, 5 * 3600, 4 * 3600, 0), strict=True):
        os.utime(path, (now_s - age_s, now_s - age_s))
    copies.keep(ObjectInfo("a/6", 100, 0.0), file_with(tmp_path / "copies" / ".six", bytes(100)))
    assert [path.exists() for path in paths] == [False, False, False, False, True]
    assert copies.find(infos[0]) is None
    assert copies.find(ObjectInfo("a/4.mp4", 100, 0.0, "another state")) is None


def test_a_store_tells_no_secret(bucket: ObjectStore):
    assert PLATFORM.secret_key not in repr(bucket) + str(bucket.model_dump())


def test_every_failure_of_the_server_is_ours(seaweed: SeaweedFs, tmp_path: Path):
    nobody = ObjectStore(url="s3://bucket", endpoint_url="http://no scheme", home=str(tmp_path))
    with pytest.raises(NeuroVisionError, match="NEUROVISION_S3_ENDPOINT_URL"):
        nobody.check()
