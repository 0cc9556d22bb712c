"""The model repository on a real server: production's configurations, promotions under load, a repository in S3."""

import os
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from commands.services.seaweedfs import PROGRAM, Identity, SeaweedFs
from commands.services.triton import TritonServer
from models.contracts import NAMES
from resources.errors import ConfigurationError, TransientFailure
from resources.inference.bucket import LEFT_BEHIND_S, RepositoryBucket
from resources.inference.client import InferenceResource
from resources.inference.notes import NOTE_FILE, VersionNote
from resources.inference.releases import publish, restore
from resources.inference.repository import ModelRepository
from resources.inference.triton.connection import Connection
from resources.inference.triton.failures import ServerFailure
from resources.object_store import sha256_of_file
from tests.tiny_models import Graph, Node, Tensor, install
from tests.triton_server import Served, require_triton, seeded, without_seed

pytestmark = [pytest.mark.services, pytest.mark.xdist_group("triton")]

NAME = "halver"
TWO_VERSIONS = "version_policy { latest { num_versions: 2 } }"
WHO = Identity("platform", "platform", "a-secret-of-the-test")
BUCKET = "neurovision-models"


def graph(operator: str) -> Graph:
    shape = ("batch", 3)
    return Graph([Node(operator, ["given"], ["answer"])], [Tensor("given", shape)], [Tensor("answer", shape)])


def promote(inference: InferenceResource, folder: Path, operator: str, release: str) -> int:
    """As a retraining does at its end."""
    path = folder / f"{release}.onnx"
    path.write_bytes(graph(operator).onnx())
    note = VersionNote(
        release=release,
        digest=sha256_of_file(path),
        parameters={"model_version": release},
        mlflow_run_id="",
        data_hash="",
        learned_from=(),
        chosen_on=(),
        installed=datetime.now(UTC),
    )
    now = inference.models.describe(NAME).identity.digest
    return publish(inference.models, NAME, path, note, instead_of=now)


def answer(inference: InferenceResource) -> list[float]:
    given = np.array([[-1, 0, 2]], dtype=np.float32)
    return [float(value) for value in inference.infer(NAME, {"given": given})["answer"][0]]


def test_production_s_configurations_fail_on_a_processor_by_nothing_but_the_missing_backend(tmp_path: Path):
    """All four are read and understood by the real server; the image of production has the backend."""
    require_triton()
    root = seeded(tmp_path / "models")
    with TritonServer(tmp_path / "server", root, load=(), variant="", has_onnxruntime=False) as server:
        connection = Connection(server.grpc_url, 30.0)
        for name in NAMES:
            with pytest.raises(ServerFailure, match=r"backend.*'onnxruntime'"):
                connection.call(lambda transport, name=name: transport.load(name))


def test_a_promotion_under_load_fails_no_request_and_mixes_no_versions(own_triton: Served, tmp_path: Path):
    """Runs that pinned before go on with what they pinned, runs that start after get the new one (NV-102)."""
    install(own_triton.root, NAME, graph("Identity"), more=TWO_VERSIONS)
    early = own_triton.client()
    assert answer(early) == [-1, 0, 2]
    done, wrong, counted = threading.Event(), [], [0, 0, 0]

    def ask(place: int) -> None:
        while not done.is_set():
            try:
                if answer(early) != [-1, 0, 2]:
                    wrong.append("another version answered")
            except Exception as error:  # noqa: BLE001  # whatever it is, it is the failed request
                wrong.append(str(error))
            counted[place] += 1

    threads = [threading.Thread(target=ask, args=(place,)) for place in range(len(counted))]
    for thread in threads:
        thread.start()
    try:
        assert promote(own_triton.client(), tmp_path, "Abs", "1.1.0") == 2
        late = own_triton.client()
        assert answer(late) == [1, 0, 2]
        seen = sum(counted)
        while sum(counted) < seen + 100 and not wrong:
            assert answer(late) == [1, 0, 2]
    finally:
        done.set()
        for thread in threads:
            thread.join()
    assert not wrong
    assert sum(counted) > 100


def test_a_promotion_makes_the_server_load_it_and_a_rollback_goes_back(own_triton: Served, tmp_path: Path):
    install(own_triton.root, NAME, graph("Identity"), more=TWO_VERSIONS)
    assert promote(own_triton.client(), tmp_path, "Abs", "1.1.0") == 2
    connection = Connection(own_triton.url("http"), 30.0)
    assert connection.call(lambda transport: transport.config(NAME, 2)), "loaded before anybody asked for it"
    assert answer(own_triton.client()) == [1, 0, 2]
    assert restore(own_triton.client().models, NAME) == 3
    assert answer(own_triton.client()) == [-1, 0, 2]
    with pytest.raises(ServerFailure):
        connection.call(lambda transport: transport.config(NAME, 1))


def test_a_server_that_is_down_does_not_hinder_a_promotion(
    own_triton: Served, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("resources.inference.triton.connection.RETRY_WINDOW_S", 0.0)
    install(own_triton.root, NAME, graph("Identity"), more=TWO_VERSIONS)
    dead = InferenceResource(repository=str(own_triton.root), engine="triton", triton_url="grpc://127.0.0.1:9")
    assert promote(dead, tmp_path, "Abs", "1.1.0") == 2
    assert answer(own_triton.client()) == [1, 0, 2], "loaded when it is first asked for"


def test_another_file_than_the_configuration_names_is_not_loaded(own_triton: Served):
    """Somebody wrote over the weights: the server goes on with what it has."""
    model = install(own_triton.root, NAME, graph("Identity"))
    running = own_triton.client()
    assert answer(running) == [-1, 0, 2]
    model.write_bytes(graph("Abs").onnx())
    with pytest.raises(ServerFailure, match=r"has the digest [0-9a-f]{64}, config"):
        Connection(own_triton.url("grpc"), 30.0).call(lambda transport: transport.load(NAME))
    assert answer(running) == [-1, 0, 2]


@pytest.fixture
def bucket(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A model repository in a bucket of a real S3 server; the environment names the server and the secret."""
    require_triton()
    if not PROGRAM.is_file():
        pytest.skip("SeaweedFS is not installed: sh scripts/servers.sh seaweedfs")
    with SeaweedFs(tmp_path / "seaweedfs", [WHO]) as server:
        server.make_bucket(BUCKET)
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", WHO.access_key)
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", WHO.secret_key)
        monkeypatch.setenv("NEUROVISION_S3_ENDPOINT_URL", server.url)
        monkeypatch.setenv("NEUROVISION_HOME", str(tmp_path / "home"))
        yield f"s3://{BUCKET}/triton"


def everything(root: Path) -> dict[str, bytes]:
    """What a repository has, without the marks of a mirror."""
    files = {path.relative_to(root).as_posix(): path for path in root.rglob("*") if path.is_file()}
    return {name: path.read_bytes() for name, path in files.items() if not name.startswith(".")}


def machine(folder: Path, bucket: str, server: TritonServer | None = None) -> InferenceResource:
    """A machine with a mirror of its own."""
    fields = {"engine": "triton", "triton_url": server.grpc_url} if server else {}
    return InferenceResource(repository=str(folder), repository_url=bucket, **fields)


def test_two_machines_and_a_server_on_one_repository_in_a_bucket(bucket: str, tmp_path: Path):
    """Seeded by the first, read by the server, promoted on one machine, used on the other."""
    first_home = without_seed(tmp_path / "first")
    install(first_home, NAME, graph("Identity"), more=TWO_VERSIONS)
    address = os.environ["NEUROVISION_S3_ENDPOINT_URL"]
    variables = {"AWS_DEFAULT_REGION": "us-east-1"}
    assert machine(first_home, bucket).models.names() == [NAME]
    with TritonServer(
        tmp_path / "server", bucket.replace("s3://", f"s3://{address}/"), load=(), variables=variables
    ) as server:
        first, second = (machine(home, bucket, server) for home in (first_home, without_seed(tmp_path / "second")))
        assert answer(first) == answer(second) == [-1, 0, 2]
        assert promote(first, tmp_path, "Abs", "1.1.0") == 2
        reference = first_home / NAME / "2" / "reference.json"
        reference.write_text("{}")
        first.models.share(reference)
        fresh = machine(tmp_path / "second", bucket, server)
        assert fresh.pin(NAME).identity.release == "1.1.0", "the note came with it"
        assert (tmp_path / "second" / NAME / "2" / "reference.json").is_file(), "what is added later comes too"
        assert answer(fresh) == [1, 0, 2]
        assert answer(second) == [-1, 0, 2], "what it pinned"


def test_of_two_promotions_within_a_second_the_server_sees_both(bucket: str, tmp_path: Path):
    """S3 tells times in whole seconds, and the server asks them what is new."""
    home = without_seed(tmp_path / "first")
    install(home, NAME, graph("Identity"), more=TWO_VERSIONS)
    address = os.environ["NEUROVISION_S3_ENDPOINT_URL"]
    where = bucket.replace("s3://", f"s3://{address}/")
    assert machine(home, bucket).models.names() == [NAME], "the bucket is filled, or no server starts on it"
    with TritonServer(tmp_path / "server", where, load=(), variables={"AWS_DEFAULT_REGION": "us-east-1"}) as server:
        connection = Connection(server.grpc_url, 30.0)
        assert answer(machine(home, bucket, server)) == [-1, 0, 2]
        mine = machine(home, bucket, server)
        time.sleep(1 - time.time() % 1)  # all of the next second is before us
        for version, operator in ((2, "Abs"), (3, "Neg"), (4, "Abs")):
            assert promote(mine, tmp_path, operator, f"1.{version}.0") == version
            served = connection.call(lambda transport, version=version: transport.config(NAME, version))
            assert served["parameters"][f"digest_{version}"]["string_value"]


def test_of_two_machines_that_publish_one_version_the_second_is_told(bucket: str, tmp_path: Path):
    homes = [without_seed(tmp_path / name) for name in ("first", "second")]
    install(homes[0], NAME, graph("Identity"), more=TWO_VERSIONS)
    first, second = (machine(home, bucket) for home in homes)
    assert [first.models.names(), second.models.names()] == [[NAME], [NAME]]
    promote(first, tmp_path, "Abs", "1.1.0")
    with pytest.raises(TransientFailure, match="Another machine has published version 2"):
        promote(second, tmp_path, "Neg", "1.1.1")
    assert second.models.versions_on_disk(NAME) == [1]
    assert answer(machine(homes[1], bucket)) == [1, 0, 2], "the first one's"


def test_only_whole_versions_are_mirrored_and_only_what_changed(bucket: str, tmp_path: Path):
    home = without_seed(tmp_path / "first")
    install(home, NAME, graph("Identity"), more=TWO_VERSIONS)
    machine(home, bucket).models.names()
    mirror, there = tmp_path / "mirror", RepositoryBucket(bucket)
    store = there.store
    store.write_bytes(f"{NAME}/2/{NOTE_FILE}", b"{}")
    there.fetch(mirror)
    assert ModelRepository(mirror).versions_on_disk(NAME) == [1], "a note without a model is no version"
    kept = (mirror / NAME / "1" / "model.onnx").stat().st_ino
    store.write_bytes(f"{NAME}/2/model.onnx", graph("Abs").onnx())
    there.fetch(mirror)
    assert ModelRepository(mirror).versions_on_disk(NAME) == [1, 2]
    assert (mirror / NAME / "1" / "model.onnx").stat().st_ino == kept
    store.delete(f"{NAME}/2/model.onnx")
    there.fetch(mirror)
    assert ModelRepository(mirror).versions_on_disk(NAME) == [1]


def test_a_bucket_that_was_lost_is_filled_again_from_a_machine_that_had_all(bucket: str, tmp_path: Path):
    home = without_seed(tmp_path / "first")
    install(home, NAME, graph("Identity"), more=TWO_VERSIONS)
    promote(machine(home, bucket), tmp_path, "Abs", "1.1.0")
    assert machine(home, bucket).models.names() == [NAME], "its copy is the bucket's from now on"
    before = everything(home)
    store = RepositoryBucket(bucket).store
    for folder in ("", "/1", "/2", "/configs"):
        for info in store.list_folder(f"{NAME}{folder}"):
            store.delete(info.key)
    assert machine(home, bucket).models.versions_on_disk(NAME) == [1, 2], "trained versions are nowhere else"
    assert everything(home).keys() == before.keys()
    mirror = without_seed(tmp_path / "second")
    assert machine(mirror, bucket).models.versions_on_disk(NAME) == [1, 2]


def test_a_publication_that_was_killed_does_not_block_its_number(
    bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    home = without_seed(tmp_path / "first")
    install(home, NAME, graph("Identity"), more=TWO_VERSIONS)
    inference = machine(home, bucket)
    inference.models.names()
    RepositoryBucket(bucket).store.write_bytes(f"{NAME}/2/{NOTE_FILE}", b"{}")
    with pytest.raises(TransientFailure, match="is doing so"):
        promote(inference, tmp_path, "Abs", "1.1.0")
    monkeypatch.setattr("resources.inference.bucket.LEFT_BEHIND_S", -LEFT_BEHIND_S)
    assert promote(inference, tmp_path, "Abs", "1.1.0") == 2


@pytest.mark.parametrize(
    ("url", "secret", "what"),
    [
        (f"s3://{BUCKET}/triton", "wrong", "AWS_"),
        ("s3://no-such-bucket/triton", WHO.secret_key, "no-such-bucket"),
        ("/models", WHO.secret_key, "names no bucket"),
    ],
)
def test_a_bucket_that_cannot_be_used_is_said_before_any_work(
    bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, url: str, secret: str, what: str
):
    assert bucket
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", secret)
    with pytest.raises(ConfigurationError, match=what) as told:
        machine(tmp_path / "models", url).pin(NAME)
    assert secret not in str(told.value)
