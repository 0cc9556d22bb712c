"""Triton over TLS: the same answers, and a certificate of another authority is one line before any work."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest

from commands.services.triton import TritonServer
from resources.errors import ConfigurationError
from resources.inference.client import InferenceResource
from tests.main_job import Finished, new_home
from tests.s3_server import Tls
from tests.tiny_models import Graph, Node, Tensor, install
from tests.triton_server import ENGINE, require_triton, without_seed

pytestmark = [pytest.mark.services, pytest.mark.xdist_group("triton")]
NAME = "echo"
GRAPH = Graph(
    [Node("Identity", ["given"], ["answer"])], [Tensor("given", ("batch", 3))], [Tensor("answer", ("batch", 3))]
)


class TlsTriton(TritonServer):
    """A Triton whose gRPC port speaks TLS alone.

    Args:
        folder: of its backends and its log.
        repository: of models.
        tls: certificates.
    """

    def __init__(self, folder: Path, repository: Path, tls: Tls) -> None:
        super().__init__(folder, repository, load=())
        self._tls = tls

    def command(self) -> Sequence[str | Path]:
        """With a certificate; without a root file it asks no client for one."""
        files = [f"--grpc-server-cert={self._tls.own}", f"--grpc-server-key={self._tls.key}"]
        return [*super().command(), "--grpc-use-ssl=true", *files]


@pytest.fixture(scope="module")
def served(tls: Tls, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[TritonServer, Path]]:
    require_triton()
    folder = tmp_path_factory.mktemp("triton-tls")
    root = without_seed(folder / "models")
    with TlsTriton(folder / "server", root, tls) as server:
        install(root, NAME, GRAPH)
        yield server, root


def tls_url(server: TritonServer) -> str:
    return server.grpc_url.replace("grpc:", "grpcs:")


def test_it_answers_over_tls(served: tuple[TritonServer, Path], tls: Tls) -> None:
    server, root = served
    inference = InferenceResource(
        repository=str(root),
        engine=ENGINE,
        triton_url=tls_url(server),
        triton_ca_file=str(tls.own),
        triton_shared_memory="off",
    )
    given = np.arange(6, dtype=np.float32).reshape(2, 3)
    np.testing.assert_array_equal(inference.infer(NAME, {"given": given})["answer"], given)


def looked(home: Path, url: str, ca_file: Path) -> Finished:
    """What `make doctor` says of a Triton."""
    settings = {"NEUROVISION_INFERENCE_ENGINE": ENGINE, "NEUROVISION_TRITON_URL": url}
    return new_home(home, **settings, NEUROVISION_TRITON_CA_FILE=str(ca_file)).command("doctor")


def test_what_is_wrong_is_one_line(served: tuple[TritonServer, Path], tls: Tls, tmp_path: Path) -> None:
    server, _ = served
    right = looked(tmp_path / "right", tls_url(server), tls.own)
    assert right.code == 0, right.out
    wrong = {
        "authority": (tls_url(server), tls.other, "NEUROVISION_TRITON_CA_FILE: Triton's certificate is not trusted."),
        "file": (
            tls_url(server),
            tmp_path / "absent",
            "NEUROVISION_TRITON_CA_FILE: The file of certificates cannot be",
        ),
        "no TLS": (server.grpc_url, tls.own, f"{server.grpc_url}: Triton answers, but does not take requests."),
        "no gRPC": (
            f"grpcs://127.0.0.1:{server.http_port}",
            tls.own,
            "NEUROVISION_TRITON_URL: Triton does not speak TLS at this address.",
        ),
    }
    for name, (url, ca_file, line) in wrong.items():
        told = looked(tmp_path / name, url, ca_file)
        assert told.code == 1, name
        [found] = [text.strip() for text in told.out.splitlines() if text.strip().startswith("wrong")]
        assert found.startswith(f"wrong  Triton: {line}"), name


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    inference = InferenceResource(
        repository=str(without_seed(tmp_path)),
        engine=ENGINE,
        triton_url="grpcs://127.0.0.1:9",
        triton_ca_file=str(tmp_path / "absent.pem"),
    )
    with pytest.raises(ConfigurationError, match=r"^NEUROVISION_TRITON_CA_FILE: .*No such file"):
        inference.models.names()
