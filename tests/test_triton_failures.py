"""What the engine does when the server is dead, frozen, restarted, wrong or crashed inside: a real server, harmed."""

import os
import re
import shutil
import signal
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import psutil
import pytest

from benchmarks.slow_link import SlowLink
from commands.services.triton import SHARED_MEMORY
from resources.errors import ConfigurationError, PermanentFailure, TransientFailure
from resources.inference.client import InferenceResource
from resources.inference.triton import shared_memory
from resources.inference.triton.connection import FAILURES_TO_OPEN, PAUSE_S, Connection
from resources.inference.triton.failures import Crashed, NotServed, Refused, RegionLost, Unreachable, sorted_out
from resources.inference.triton.shared_memory import PREFIX, Region, Slots, clear_what_dead_clients_left
from resources.inference.triton.transport import Answer, Request
from tests.tiny_models import Graph, Node, Tensor, install
from tests.triton_server import Served

pytestmark = [pytest.mark.services, pytest.mark.xdist_group("triton")]

NAME = "halver"
SHORT_S, LONG_S = 1.0, 60.0
SLOW_S = 0.5
BUSY_TRIES = 30


def graph(operator: str) -> Graph:
    shape = ("batch", 3)
    return Graph([Node(operator, ["given"], ["answer"])], [Tensor("given", shape)], [Tensor("answer", shape)])


@pytest.fixture
def halver(own_triton: Served) -> Served:
    """A server with one model that answers with its input."""
    install(own_triton.root, NAME, graph("Identity"))
    return own_triton


def given(value: float = 1.0) -> dict[str, npt.NDArray[Any]]:
    return {"given": np.full((2, 3), value, np.float32)}


def is_answered(inference: InferenceResource, value: float = 1.0) -> bool:
    return bool((inference.infer(NAME, given(value))["answer"] == value).all())


@pytest.mark.parametrize(
    ("scheme", "memory", "loaded"),
    [("grpc", "off", ()), ("http", "on", ()), ("grpc", "on", (NAME,)), ("http", "off", (NAME,))],
)
def test_a_server_that_is_killed_and_started_again_half_way_costs_no_request(
    halver: Served, scheme: str, memory: str, loaded: tuple[str, ...]
):
    """It comes back and knows no shared memory, and perhaps no model: the client tells it both."""
    inference = halver.client(scheme, triton_shared_memory=memory)
    assert is_answered(inference)
    halver.server.kill()
    halver.server.load = loaded
    starting = threading.Timer(1.0, halver.server.start)
    starting.start()
    try:
        values = [float(value) for value in range(20)]
        answers = list(inference.model(NAME).infer_each(given(value) for value in values))
    finally:
        starting.join()
    assert [float(answer["answer"][0, 0]) for answer in answers] == values
    figures = inference.client_figures()
    assert figures is not None
    assert figures.retries > 0
    assert figures.failures <= 4, "at most those that found nothing loaded"
    assert figures.breaker == "closed"


def test_a_frozen_server_runs_into_the_deadline_opens_the_breaker_and_closes_it_when_it_is_back(halver: Served):
    assert is_answered(halver.client())
    connection = Connection(halver.url("grpc"), SHORT_S, retry_window_s=0)
    request = Request(NAME, 1, given(), ("answer",))
    assert connection.is_ready()
    halver.server.freeze()
    try:
        for _ in range(FAILURES_TO_OPEN):
            with pytest.raises(TransientFailure, match=r"Triton at grpc://.*[Dd]eadline"):
                connection.infer(request)
        assert connection.figures().breaker == "open"
        with pytest.raises(TransientFailure, match="left alone"):
            connection.infer(request)
        assert not connection.is_ready()
    finally:
        halver.server.thaw()
    answered = None
    for _ in range(BUSY_TRIES):  # a busy machine answers late, and the breaker opens again
        time.sleep(PAUSE_S)
        with suppress(TransientFailure):
            answered = connection.infer(request)
            break
    assert answered is not None
    assert answered.version == "1"
    assert connection.figures().breaker == "closed"
    assert connection.figures().failures > FAILURES_TO_OPEN


def test_a_frozen_server_that_thaws_in_time_costs_no_request(halver: Served):
    inference = halver.client("http", triton_deadline_s=SHORT_S)
    assert is_answered(inference)
    halver.server.freeze()
    threading.Timer(3.0, halver.server.thaw).start()
    assert is_answered(inference, 2.0)


@pytest.mark.parametrize("scheme", ["grpc", "http"])
def test_a_server_that_is_slow_costs_time_and_no_request(halver: Served, scheme: str):
    port = {"grpc": halver.server.grpc_port, "http": halver.server.http_port}[scheme]
    with SlowLink(port) as link:
        link.delay_s = SLOW_S
        inference = halver.client(triton_url=f"{scheme}://127.0.0.1:{link.port}")
        started_s = time.monotonic()
        assert all(is_answered(inference, float(value)) for value in range(3))
    assert time.monotonic() - started_s > 3 * SLOW_S, "it was not slow"
    figures = inference.client_figures()
    assert figures is not None
    assert (figures.failures, figures.retries, figures.breaker) == (0, 0, "closed")


def test_a_model_whose_process_crashed_is_not_ready_whatever_the_server_says(halver: Served):
    inference = halver.client()
    assert inference.is_model_ready(NAME)
    assert halver.server.process is not None
    stubs = psutil.Process(halver.server.process.pid).children(recursive=True)
    for stub in stubs:
        os.kill(stub.pid, signal.SIGKILL)
    assert not inference.is_model_ready(NAME)
    import tritonclient.grpc

    says = tritonclient.grpc.InferenceServerClient(halver.url("grpc").removeprefix("grpc://"))
    assert says.is_model_ready(NAME), "the server itself does not notice: should this fail, the probe may go"
    assert inference.is_server_ready()
    with pytest.raises(TransientFailure, match=rf"{NAME}@1 on Triton .*crashed"):
        inference.infer(NAME, given())


def test_another_file_than_the_repository_s_is_refused_before_any_work(halver: Served, tmp_path: Path):
    """Same name, same number, other weights: a server on another repository."""
    assert is_answered(halver.client())
    install(tmp_path / "other", NAME, graph("Abs"))
    (tmp_path / "other" / "feature_extractor").mkdir()
    other = Served(halver.server, tmp_path / "other").client()
    with pytest.raises(ConfigurationError, match=rf"{NAME} version 1 on Triton .*serves the file [0-9a-f]{{12}}"):
        other.model(NAME)
    assert not other.is_model_ready(NAME)


def test_a_promise_that_differs_is_refused(halver: Served):
    """The server runs a variant that somebody forgot to change with the other."""
    config = halver.root / NAME / "config.pbtxt"
    (halver.root / NAME / "configs").mkdir()
    shutil.copyfile(config, halver.root / NAME / "configs" / "cpu.pbtxt")
    text = config.read_text(encoding="utf-8")
    config.write_text(text.replace("max_batch_size: 8", "max_batch_size: 4"), encoding="utf-8")
    with pytest.raises(ConfigurationError, match="takes batches of 8, the repository says 4"):
        halver.client().model(NAME)


def test_a_version_that_the_server_does_not_have_is_named(halver: Served):
    inference = halver.client()
    inference.pin(NAME)
    (halver.root / NAME / "1" / "model.onnx").rename(halver.root / "elsewhere.onnx")
    with pytest.raises(ConfigurationError, match=r"model\.onnx is missing"):
        inference.model(NAME)


def test_an_answer_of_another_version_is_refused(halver: Served, monkeypatch: pytest.MonkeyPatch):
    inference = halver.client()
    model = inference.model(NAME)

    def other(_self: Connection, _request: Request) -> Answer:
        return Answer(NAME, "7", {"answer": np.zeros((2, 3), np.float32)}, {})

    monkeypatch.setattr(Connection, "infer", other)
    with pytest.raises(PermanentFailure, match="Version 1 was asked and halver version 7 answered"):
        model.infer(given())


def test_what_the_server_refuses_is_not_tried_again(halver: Served):
    connection = Connection(halver.url("grpc"), LONG_S)
    connection.call(lambda transport: transport.load(NAME))
    wrong = Request(NAME, 1, {"given": np.zeros((2, 4), np.float32)}, ("answer",))
    with pytest.raises(Refused, match="shape"):
        connection.infer(wrong)
    figures = connection.figures()
    assert (figures.retries, figures.failures, figures.breaker) == (0, 1, "closed")


def test_shared_memory_that_a_killed_client_left_is_cleared_and_what_is_in_use_stays(halver: Served):
    connection = Connection(halver.url("grpc"), SHORT_S)
    used = Region(4096)
    left = SHARED_MEMORY / f"{PREFIX}left"
    left.write_bytes(bytes(4096))
    connection.call(lambda transport: transport.register(left.name, f"/{left.name}", 4096))
    clear_what_dead_clients_left(connection)
    assert not left.exists()
    assert (SHARED_MEMORY / used.name).exists()
    used.close()
    slots = Slots(connection)
    with slots.one() as slot:
        slot.place({"tensor": 10})
    mine = {path.name for path in SHARED_MEMORY.glob(f"{PREFIX}*")}
    slots.close()
    assert mine - {path.name for path in SHARED_MEMORY.glob(f"{PREFIX}*")}


def test_shared_memory_is_used_wherever_the_server_maps_it_whatever_it_is_called(halver: Served):
    """In containers that share it, a server of this machine has a name of its own."""
    before = set(SHARED_MEMORY.glob(f"{PREFIX}*"))
    another_name = halver.url("grpc").replace("127.0.0.1", "0.0.0.0")  # noqa: S104
    inference = halver.client(triton_url=another_name, triton_shared_memory="auto")
    assert is_answered(inference)
    assert set(SHARED_MEMORY.glob(f"{PREFIX}*")) - before


def test_memory_that_the_server_cannot_map_is_not_used_and_is_said_where_it_must_be(
    halver: Served, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    own = tmp_path / "memory of another machine"
    own.mkdir()
    monkeypatch.setattr(shared_memory, "FOLDER", own)
    assert is_answered(halver.client(triton_shared_memory="auto"))
    assert not list(own.iterdir())
    with pytest.raises(ConfigurationError, match="cannot map this host's shared memory"):
        is_answered(halver.client(triton_shared_memory="on"))


def test_a_server_that_is_killed_leaves_no_shared_memory(halver: Served):
    assert is_answered(halver.client())
    regions = halver.server.shared_memory()
    assert regions
    halver.server.kill()
    assert not halver.server.shared_memory()


@pytest.mark.parametrize(
    ("message", "status", "kind"),
    [
        ("failed to connect to all addresses", "StatusCode.UNAVAILABLE", Unreachable),
        ("Deadline Exceeded", "StatusCode.DEADLINE_EXCEEDED", Unreachable),
        ("Exceeds maximum queue size", "StatusCode.UNAVAILABLE", Unreachable),
        ("Request for unknown model: 'a' version 2 is not found", "StatusCode.NOT_FOUND", NotServed),
        ("Request for unknown model: 'a' version 2 is not at ready state", "StatusCode.UNAVAILABLE", NotServed),
        ("Unable to find system shared memory region: 'x'", "StatusCode.NOT_FOUND", RegionLost),
        ("Failed to process: Stub process 'a_0' is not healthy.", "StatusCode.INTERNAL", Crashed),
        ("unexpected shape for input 'given'", "StatusCode.INVALID_ARGUMENT", Refused),
        ("unexpected shape for input 'given'", "400", Refused),
        ("", "503", Unreachable),
        (None, None, Refused),
    ],
)
def test_failures_are_told_apart_by_what_helps(message: str | None, status: str | None, kind: type[Exception]):
    assert type(sorted_out(message, status)) is kind


def test_a_missing_client_is_said_with_its_remedy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "pybreaker", None)
    inference = InferenceResource(repository=str(tmp_path), engine="triton", triton_url="grpc://127.0.0.1:9")
    with pytest.raises(ConfigurationError, match=re.escape("Run: sh scripts/setup.sh services")):
        inference.pin(NAME)
