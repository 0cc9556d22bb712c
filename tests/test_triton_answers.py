"""Triton answers as the engine in this process does, and both as torch: real server, real models, real pictures.

Both engines run ONNX Runtime here, so that they agree proves the way there and back; that they agree with torch proves
the answer.
"""

import asyncio
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from models.contracts import CONTRACTS, DETECTOR, EXTRACTOR, NAMES, SEGMENTER
from models.export import TOLERANCE, difference_of
from resources.errors import ConfigurationError, PermanentFailure
from resources.inference.client import SEED_REPOSITORY, InferenceResource
from tests.tiny_models import echo, install, takes_bytes
from tests.torch_networks import network_of
from tests.triton_server import Served, frames

pytestmark = [pytest.mark.services, pytest.mark.xdist_group("triton")]

SAME = 1e-5
PICTURES = 5
FRAMES = 90


@pytest.fixture(scope="module")
def features(triton: Served) -> npt.NDArray[np.float32]:
    """What a segmenter reads, [frames, 2048]."""
    few = InferenceResource(repository=str(triton.root)).infer_images(EXTRACTOR, frames(EXTRACTOR, PICTURES))
    return np.repeat(few["features"], FRAMES // PICTURES, axis=0)


@pytest.fixture(scope="module")
def given(features: npt.NDArray[np.float32]) -> dict[str, dict[str, npt.NDArray[Any]]]:
    """A request to every model."""
    requests: dict[str, dict[str, npt.NDArray[Any]]] = {SEGMENTER: {"features": features[np.newaxis]}}
    for name in NAMES:
        if name != SEGMENTER:
            planes = frames(name, PICTURES).transpose(0, 3, 1, 2)
            requests[name] = {"images": np.ascontiguousarray(planes, np.float32) / np.float32(255)}
    return requests


@pytest.fixture(scope="module")
def here(triton: Served, given: Mapping[str, Mapping[str, npt.NDArray[Any]]]) -> dict[str, dict[str, npt.NDArray[Any]]]:
    """Answers of the engine in this process."""
    inference = InferenceResource(repository=str(triton.root))
    return {name: inference.infer(name, request) for name, request in given.items()}


@pytest.mark.parametrize("memory", ["off", "on"])
@pytest.mark.parametrize("scheme", ["grpc", "http"])
@pytest.mark.parametrize("name", NAMES)
def test_both_engines_give_the_same_answer(triton: Served, given: Any, here: Any, name: str, scheme: str, memory: str):
    answer = triton.client(scheme, triton_shared_memory=memory).infer(name, given[name])
    assert set(answer) == set(here[name])
    for output, value in here[name].items():
        assert (answer[output].dtype, answer[output].shape) == (value.dtype, value.shape)
        np.testing.assert_allclose(answer[output], value, rtol=SAME, atol=SAME)


@pytest.mark.parametrize("name", NAMES)
def test_both_engines_answer_as_torch_does(triton: Served, given: Any, here: Any, name: str):
    """A network that is rebuilt from the committed weights, at the tolerance that an export must keep."""
    torch = pytest.importorskip("torch", reason="the set train is not installed")
    with torch.no_grad():
        answer = network_of(name, SEED_REPOSITORY / name / "1" / "model.onnx")(
            torch.from_numpy(next(iter(given[name].values())))
        )
    tensors = answer if isinstance(answer, tuple) else (answer,)
    golden = {out.name: one.numpy() for out, one in zip(CONTRACTS[name].outputs, tensors, strict=True)}
    assert difference_of(CONTRACTS[name], golden, here[name]) <= TOLERANCE
    assert difference_of(CONTRACTS[name], golden, triton.client().infer(name, given[name])) <= TOLERANCE
    if name == DETECTOR:
        assert (golden["scores"] > 0.5).any(), "pictures without an instrument would compare nothing"


@pytest.mark.parametrize("memory", ["off", "on"])
def test_more_pictures_than_a_request_takes_are_split_and_come_back_in_order(triton: Served, memory: str):
    inference = triton.client(triton_shared_memory=memory)
    pictures = frames(EXTRACTOR, 70)
    together = inference.infer_images(EXTRACTOR, pictures)["features"]
    assert together.shape == (70, 2048)
    for place in (0, 31, 32, 69):
        alone = inference.infer_images(EXTRACTOR, pictures[place : place + 1])["features"][0]
        np.testing.assert_allclose(together[place], alone, rtol=SAME, atol=SAME)
    assert inference.infer_images(EXTRACTOR, pictures[:0])["features"].shape == (0, 2048)
    with pytest.raises(PermanentFailure, match="at most 32 items, got 33"):
        inference.infer(EXTRACTOR, {"images": np.zeros((33, 3, 192, 256), np.float32)})


def test_the_calls_of_the_stages(triton: Served, features: npt.NDArray[np.float32]):
    """NV-104…110: the same three calls, the same answers."""
    inference, local = triton.client(), InferenceResource(repository=str(triton.root))
    np.testing.assert_allclose(
        inference.infer_phase_segmentation(features), local.infer_phase_segmentation(features), atol=SAME
    )
    pictures = frames(DETECTOR, 2)
    assert inference.infer_instrument_detection(pictures) == local.infer_instrument_detection(pictures)
    assert inference.describe_use(inference.pin(DETECTOR).identity) == {
        "engine": "triton",
        "precision": "fp32",
        "device": "cpu",
    }


def test_requests_from_an_event_loop_overlap(triton: Served, given: Any, here: Any):
    """NV-111."""
    inference = triton.client()
    assert inference.client_figures() is None
    inference.model(EXTRACTOR)

    async def all_at_once() -> list[dict[str, npt.NDArray[Any]]]:
        return await asyncio.gather(*(inference.infer_async(EXTRACTOR, given[EXTRACTOR]) for _ in range(6)))

    for answer in asyncio.run(all_at_once()):
        np.testing.assert_allclose(answer["features"], here[EXTRACTOR]["features"], atol=SAME)
    figures = inference.client_figures()
    assert figures is not None
    assert (figures.requests, figures.failures, figures.retries, figures.breaker) == (6, 0, 0, "closed")
    assert 0 < figures.latency_p50_ms <= figures.latency_p95_ms
    assert str(figures).startswith("6 requests answered, 0 given up, 0 attempts more; half of them within ")


def test_readiness(triton: Served):
    """NV-106, NV-107."""
    inference = triton.client()
    assert inference.is_server_ready()
    assert all(inference.is_model_ready(name) for name in NAMES)
    assert not inference.is_model_ready("unknown")
    nobody = triton.client(triton_url="grpc://127.0.0.1:9")
    assert not nobody.is_server_ready()


@pytest.mark.parametrize("url", ["127.0.0.1:8001", "ftp://127.0.0.1:8001", "grpc://", "", "grpc://user:word@host:1"])
def test_an_address_that_is_none_is_said_before_any_work(triton: Served, url: str):
    with pytest.raises(ConfigurationError, match=r"^NEUROVISION_TRITON_URL: .*grpc://host:8001") as told:
        triton.client(triton_url=url).pin(EXTRACTOR)
    assert "word" not in str(told.value)


@pytest.mark.parametrize("scheme", ["grpc", "http"])
@pytest.mark.parametrize(("name", "shape"), [("planes", (3, 8, 10)), ("interleaved", (8, 10, 3))])
def test_a_model_that_takes_bytes_gets_bytes(own_triton: Served, name: str, shape: tuple[int, ...], scheme: str):
    """The client sends a quarter of what floats take; both engines, both orders of the axes."""
    install(own_triton.root, name, takes_bytes("batch", *shape))
    pictures = np.random.default_rng(0).integers(0, 256, (11, 8, 10, 3), dtype=np.uint8)
    expected = pictures if name == "interleaved" else pictures.transpose(0, 3, 1, 2)
    for inference in (own_triton.client(scheme), InferenceResource(repository=str(own_triton.root))):
        np.testing.assert_array_equal(inference.infer_images(name, pictures)["echo"], expected)
        assert inference.describe_use(inference.pin(name).identity)["precision"] == "uint8"


@pytest.mark.parametrize("memory", ["off", "on"])
def test_a_tensor_of_any_size_comes_back_whole(own_triton: Served, memory: str):
    install(own_triton.root, "backbone", echo("batch", 3, "height", "width"))
    inference = own_triton.client(triton_shared_memory=memory)
    for height, width in ((4, 6), (300, 400), (5, 5)):
        pictures = np.random.default_rng(height).integers(0, 256, (9, height, width, 3), dtype=np.uint8)
        seen = inference.infer_images("backbone", pictures)["echo"]
        np.testing.assert_allclose(seen, pictures.transpose(0, 3, 1, 2) / 255, atol=1e-6)
