"""The engine and the calls that stages make: broken promises are named before or instead of an answer, shapes hold.

Real ONNX files computed by ONNX Runtime; they are tiny, so that what goes in can be seen in what comes out.
"""

import asyncio
import shutil
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from resources.errors import ConfigurationError, PermanentFailure
from resources.inference.client import SEED_REPOSITORY, InferenceResource
from tests.tiny_models import INT64, SLOTS, Graph, Node, Tensor, echo, install, tiny_detector, tiny_segmenter
from tests.waiting import PATIENCE_S

IMAGE = (3, 8, 8)
MODEL_VERSION_2 = b"\x28\x02"
"""Field ``model_version`` of an ONNX file: with it the file is another, and computes the same."""
MEETING = threading.Barrier(2)
SEEDED = ("feature_extractor", "phase_segmenter", "instrument_detector", "anatomy_segmenter")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A repository in which the seeded models' places are taken, so that none is copied."""
    for name in SEEDED:
        (tmp_path / "models" / name).mkdir(parents=True)
    return tmp_path / "models"


@pytest.fixture
def inference(root: Path) -> InferenceResource:
    return InferenceResource(repository=str(root), threads=1)


def pictures(count: int, seed: int = 1) -> npt.NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (count, 8, 8, 3), dtype=np.uint8)


@pytest.mark.parametrize(
    ("old", "new", "what"),
    [
        ('name: "images"', 'name: "pictures"', "no input 'pictures'"),
        ('name: "echo"', 'name: "features"', "no output 'features'"),
        ('input { name: "images" data_type: TYPE_FP32', 'input { name: "images" data_type: TYPE_FP16', "float16"),
        ("dims: [ 3, 8, 8 ]", "dims: [ 3, 8, 9 ]", "shape"),
        ("dims: [ 3, 8, 8 ]", "dims: [ 3, 8 ]", "shape"),
        ("dims: [ 3, 8, 8 ]", "dims: [ 3, -1, 8 ]", "shape"),
        ("max_batch_size: 8", "max_batch_size: 0", "shape"),
        ("TYPE_FP32", "TYPE_STRING", "unsupported type TYPE_STRING"),
    ],
)
def test_a_file_that_breaks_its_configuration_is_refused_before_it_runs(
    root: Path, inference: InferenceResource, old: str, new: str, what: str
):
    install(root, "backbone", echo("batch", *IMAGE))
    config = root / "backbone" / "config.pbtxt"
    text = config.read_text(encoding="utf-8")
    assert old in text
    config.write_text(text.replace(old, new), encoding="utf-8")
    with pytest.raises(ConfigurationError, match=f"backbone.*{what}"):
        inference.model("backbone")
    assert not inference.is_model_ready("backbone")


def test_an_input_that_the_configuration_does_not_name_is_refused(root: Path, inference: InferenceResource):
    nodes = [Node("Add", ["images", "mask"], ["echo"])]
    both = [Tensor("images", ("batch", 3)), Tensor("mask", ("batch", 3))]
    install(root, "two", Graph(nodes, both, [Tensor("echo", ("batch", 3))]))
    (root / "two" / "config.pbtxt").write_text(echo("batch", 3).config("two", 8), encoding="utf-8")
    with pytest.raises(ConfigurationError, match=r"two.*needs inputs \['images', 'mask'\]"):
        inference.model("two")


def test_a_file_exported_for_one_item_serves_no_batches(root: Path, inference: InferenceResource):
    install(root, "fixed", echo(1, *IMAGE), batch=8)
    install(root, "single", echo(1, *IMAGE), batch=1)
    with pytest.raises(ConfigurationError, match="fixed"):
        inference.model("fixed")
    assert inference.infer_images("single", pictures(3))["echo"].shape == (3, *IMAGE)


@pytest.mark.parametrize("damage", [b"", b"no model", None])
def test_a_broken_or_missing_file_is_named(root: Path, inference: InferenceResource, damage: bytes | None):
    path = install(root, "backbone", echo("batch", *IMAGE))
    path.write_bytes(damage) if damage is not None else path.unlink()
    with pytest.raises(ConfigurationError, match="backbone"):
        inference.model("backbone")
    assert not inference.is_model_ready("backbone")


def test_readiness(root: Path, inference: InferenceResource, tmp_path: Path):
    assert not inference.is_server_ready(), "nothing is installed"
    install(root, "backbone", echo("batch", *IMAGE))
    assert inference.is_server_ready()
    assert inference.is_model_ready("backbone")
    assert not inference.is_model_ready("unknown")
    assert not inference.is_model_ready("../models/backbone")
    (tmp_path / "file").write_bytes(b"")
    assert not InferenceResource(repository=str(tmp_path / "file" / "models")).is_server_ready()
    assert not InferenceResource(repository=str(root), engine="abacus").is_server_ready()


@pytest.mark.parametrize(
    ("inputs", "what"),
    [
        ({"images": np.zeros((3, 8, 8), np.float32)}, "shape"),
        ({"images": np.zeros((1, 8, 8, 3), np.float32)}, "shape"),
        ({"images": np.zeros((9, 3, 8, 8), np.float32)}, "at most 8 items, got 9"),
        ({"images": np.zeros((1, 3, 8, 8), np.float64)}, "float32, got float64"),
        ({"images": np.zeros((1, 3, 8, 8), np.uint8)}, "float32, got uint8"),
        ({"images": np.float32(0)}, "shape"),
        ({"pictures": np.zeros((1, 3, 8, 8), np.float32)}, "takes inputs"),
        ({}, "takes inputs"),
    ],
)
def test_a_request_that_the_model_did_not_promise_to_take_is_refused(
    root: Path, inference: InferenceResource, inputs: Mapping[str, Any], what: str
):
    install(root, "backbone", echo("batch", *IMAGE))
    with pytest.raises(PermanentFailure, match=f"^backbone@.*{what}"):
        inference.infer("backbone", inputs)


def test_a_sequence_without_batch_dimension_is_refused_and_the_call_adds_it(root: Path, inference: InferenceResource):
    """Trap T09."""
    shutil.rmtree(root / "phase_segmenter")
    install(root, "phase_segmenter", tiny_segmenter())
    features = np.random.default_rng(2).random((5, 2048))
    with pytest.raises(PermanentFailure, match="phase_segmenter"):
        inference.infer("phase_segmenter", {"features": features.astype(np.float32)})

    probabilities = inference.infer_phase_segmentation(features)

    assert (probabilities.shape, probabilities.dtype) == ((5, 11), np.float32)
    np.testing.assert_array_equal(probabilities, features[:, :11].astype(np.float32))


def test_what_the_runtime_cannot_compute_is_a_named_failure(root: Path, inference: InferenceResource):
    squeezed = Graph(
        [Node("Squeeze", ["features"], ["predictions"], {"axes": [1]})],
        [Tensor("features", ("batch", "frames", 2048))],
        [Tensor("predictions", ("batch", 2048))],
    )
    install(root, "squeezer", squeezed)
    assert inference.infer("squeezer", {"features": np.zeros((1, 1, 2048), np.float32)})
    with pytest.raises(PermanentFailure, match=r"squeezer@.*could not compute"):
        inference.infer("squeezer", {"features": np.zeros((1, 2, 2048), np.float32)})


def test_an_answer_that_breaks_the_promise_is_refused(root: Path, inference: InferenceResource):
    symbolic = echo("batch", 3, "height", "width")
    install(root, "liar", symbolic)
    config = (root / "liar" / "config.pbtxt").read_text(encoding="utf-8")
    head, _, answer = config.partition("output")
    (root / "liar" / "config.pbtxt").write_text(head + "output" + answer.replace("-1, -1", "8, 9"), encoding="utf-8")
    with pytest.raises(PermanentFailure, match=r"liar@.*'echo' has shape \(3, 8, 9\)"):
        inference.infer_images("liar", pictures(1))


def test_pictures_reach_the_model_as_promised(root: Path, inference: InferenceResource):
    """NV-109: float32 [N, 3, H, W] from 0 to 1, from bytes [N, H, W, 3]."""
    install(root, "backbone", echo("batch", *IMAGE))
    images = pictures(2)
    images[0, 0, 0] = (0, 255, 51)
    seen = inference.infer_images("backbone", images)["echo"]
    assert (seen.shape, seen.dtype) == ((2, *IMAGE), np.float32)
    assert seen[0, :, 0, 0].tolist() == [0.0, 1.0, np.float32(0.2)]
    np.testing.assert_array_equal(seen, images.transpose(0, 3, 1, 2).astype(np.float32) / 255)


@pytest.mark.parametrize("count", [0, 1, 7, 8, 9, 20])
def test_long_batches_are_split_and_answer_as_one_by_one(root: Path, inference: InferenceResource, count: int):
    install(root, "instrument_detector_2", tiny_detector())
    images = pictures(count)
    together = inference.infer_images("instrument_detector_2", images)
    single = [inference.infer_images("instrument_detector_2", images[i : i + 1]) for i in range(count)]
    assert together["boxes"].shape == (count, SLOTS, 4)
    assert together["classes"].dtype == np.int32
    for name, answer in together.items():
        np.testing.assert_array_equal(answer, [one[name][0] for one in single] if single else answer[:0])


@pytest.mark.parametrize(
    "images",
    [np.zeros((1, 8, 8, 3), np.float32), np.zeros((8, 8, 3), np.uint8), np.zeros((1, 4, 4, 3), np.uint8)],
)
def test_what_is_no_batch_of_pictures_is_refused(root: Path, inference: InferenceResource, images: Any):
    install(root, "backbone", echo("batch", *IMAGE))
    with pytest.raises(PermanentFailure, match=r"^backbone@"):
        inference.infer_images("backbone", images)


def test_detections_come_as_a_list_a_picture_strictly_above_the_threshold(root: Path, inference: InferenceResource):
    """NV-110 and trap T10: 0.5 is dropped, 0.51 kept; the tiny detector's scores are red over blue."""
    shutil.rmtree(root / "instrument_detector")
    install(root, "instrument_detector", tiny_detector())
    images = np.zeros((3, SLOTS, SLOTS, 3), np.uint8)
    images[0, 0, :3, 0], images[0, 0, :3, 2] = (1, 51, 255), (2, 100, 255)
    images[2, 0, 5, 0] = images[2, 0, 5, 2] = 255
    images[2, 5, :4, 1] = (0, 51, 102, 255)

    found = inference.infer_instrument_detection(images)

    scores = [[detection["score"] for detection in picture] for picture in found]
    assert scores == [[pytest.approx(0.51), 1.0], [], [1.0]]
    [last] = found[2]
    assert last["bbox"] == pytest.approx([0.0, 0.2, 0.4, 1.0])
    assert (last["class_id"], type(last["class_id"])) == (1, int)
    assert [len(picture) for picture in inference.infer_instrument_detection(images, threshold=0.4)] == [3, 0, 1]
    assert inference.infer_instrument_detection(images[:0]) == []


def test_a_model_of_another_kind_is_refused_by_name(root: Path, inference: InferenceResource):
    install(root, "backbone", echo("batch", *IMAGE))
    install(root, "sequence", echo("batch", "frames", 2048, name="features"))
    with pytest.raises(PermanentFailure, match=r"^backbone@.*no output 'boxes'"):
        inference.infer_instrument_detection(pictures(1), "backbone")
    with pytest.raises(PermanentFailure, match=r"^sequence@.*no output 'predictions'"):
        inference.infer_phase_segmentation(np.zeros((2, 2048), np.float32), "sequence")


def test_a_segmenter_that_changes_the_length_is_refused(root: Path, inference: InferenceResource):
    shorter = Node("Slice", ["features"], ["predictions"], {"axes": [1, 2], "starts": [0, 0], "ends": [2, 11]})
    sizes = ("batch", "frames")
    install(
        root,
        "shorter",
        Graph([shorter], [Tensor("features", (*sizes, 2048))], [Tensor("predictions", ("batch", "fewer", 11))]),
    )
    with pytest.raises(PermanentFailure, match="3 rows went in and 2 came out"):
        inference.infer_phase_segmentation(np.zeros((3, 2048), np.float32), "shorter")


def test_other_types_pass_unchanged(root: Path, inference: InferenceResource):
    install(root, "counter", echo("batch", 2, name="ids", type_=INT64))
    ids = np.array([[1, 1 << 40]])
    np.testing.assert_array_equal(inference.infer("counter", {"ids": ids})["echo"], ids)


class MeetingInference(InferenceResource):
    """The real engine, held up until two calls are at work at the same time."""

    def infer(self, model_name: str, inputs: Mapping[str, npt.NDArray[Any]]) -> dict[str, npt.NDArray[Any]]:
        """As the real one, or an error when nobody else comes."""
        MEETING.wait(timeout=PATIENCE_S)
        return super().infer(model_name, inputs)


def test_two_asynchronous_calls_overlap(root: Path):
    """NV-111 and trap T11: neither waits for the other, and the event loop for none."""
    install(root, "backbone", echo("batch", *IMAGE))
    inference = MeetingInference(repository=str(root), threads=1)
    images = [np.full((1, *IMAGE), value, np.float32) for value in (0.25, 0.75)]

    async def both() -> list[dict[str, npt.NDArray[Any]]]:
        return await asyncio.gather(*(inference.infer_async("backbone", {"images": image}) for image in images))

    for answer, image in zip(asyncio.run(both()), images, strict=True):
        np.testing.assert_array_equal(answer["echo"], image)


def test_a_file_changed_after_it_was_pinned_is_refused(root: Path, inference: InferenceResource):
    path = install(root, "backbone", echo("batch", *IMAGE))
    pinned = inference.pin("backbone")
    path.write_bytes(path.read_bytes() + MODEL_VERSION_2)
    with pytest.raises(ConfigurationError, match="changed after this run pinned it"):
        inference.model("backbone")
    assert not inference.is_model_ready("backbone")
    assert inference.pin("backbone") is pinned


def test_a_run_keeps_its_version_when_a_newer_one_is_installed(root: Path, inference: InferenceResource):
    more = "version_policy { latest { num_versions: 2 } }"
    install(root, "backbone", echo("batch", *IMAGE), more=more)
    assert inference.pin("backbone").identity.version == 1
    install(root, "backbone", echo("batch", *IMAGE), version=2, more=more)
    assert inference.model("backbone").spec.identity.version == 1
    assert InferenceResource(repository=str(root)).model("backbone").spec.identity.version == 2


def test_a_thread_s_pin_is_everyones(root: Path, inference: InferenceResource):
    install(root, "backbone", echo("batch", *IMAGE))
    pins: list[object] = []
    threads = [threading.Thread(target=lambda: pins.append(inference.pin("backbone"))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(pins) == 8
    assert all(pin is pins[0] for pin in pins)


def test_the_bundled_models_keep_their_promises(tmp_path: Path):
    """The four real files against the four real configurations, and the calls with the real sizes."""
    inference = InferenceResource(repository=str(tmp_path / "models"), threads=1)
    assert inference.models.names() == sorted(SEEDED)
    for name in SEEDED:
        assert inference.is_model_ready(name), name
        digest = inference.pin(name).identity.digest
        assert inference.describe_use(inference.pin(name).identity)["precision"] == "fp32"
        assert len(digest) == 64
        assert (SEED_REPOSITORY / name / "1" / "model.onnx").is_file()
    probabilities = inference.infer_phase_segmentation(np.zeros((6, 2048)))
    assert probabilities.shape == (6, 11)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1.0, atol=1e-4)
    assert len(inference.infer_instrument_detection(np.zeros((1, 640, 640, 3), np.uint8))) == 1
