"""What our client of Triton costs: against a bare client, against computing in this process, and byte by byte.

Promised: at saturation at least 0.95 of the throughput of a bare ``tritonclient`` loop; frames to features through
shared memory in at most 1.25 times the time that they take in process. ``python -m benchmarks.triton``

All sides of a comparison run in turns on one server. The bare loop does what a script would: the same requests from
as many threads, no checks, no deadline, nothing tried again. Server and client share the cores.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.inference import BATCH, SIZE_PX, pictures, seconds
from benchmarks.measure import Steal, machine, scratch
from commands.services.triton import TritonServer
from neurovision_assets.surgery.features.compute import features_tables
from neurovision_assets.surgery.features.config import FeaturesConfig
from neurovision_assets.surgery.pictures import fit_pictures
from resources.inference.client import SEED_REPOSITORY, InferenceResource
from resources.inference.repository import ModelRepository
from resources.inference.triton.model import IN_FLIGHT
from tests.tiny_models import FLOAT, UINT8, Graph, Node, Tensor, echo, install

if TYPE_CHECKING:
    from numpy.typing import NDArray

ROUNDS = 9
EXTRACTOR = "feature_extractor"
INPUT_PX = (256, 192)
REQUESTS = {EXTRACTOR: 24, "echo": 1500}
"""Of a round: many times as many as are in flight, or filling and draining would be most of it."""
Work = Callable[[], Any]


def corner(type_: int) -> Graph:
    """Reads pictures and answers with one pixel: what is left is the way there."""
    shape = ("batch", 3, INPUT_PX[1], INPUT_PX[0])
    cut = Node("Slice", ["images"], ["pixel"], {"axes": [2, 3], "starts": [0, 0], "ends": [1, 1]})
    cast = Node("Cast", ["pixel"], ["corner"], {"to": FLOAT})
    return Graph([cut, cast], [Tensor("images", shape, type_)], [Tensor("corner", ("batch", 3, 1, 1))])


def bare(address: str, name: str, inputs: dict[str, NDArray[Any]], count: int) -> Work:
    """``count`` requests from as many threads as ours has."""
    import tritonclient.grpc as library
    from tritonclient.utils import np_to_triton_dtype

    client = library.InferenceServerClient(address)

    def one(_: int) -> list[NDArray[Any]]:
        tensors = []
        for key, value in inputs.items():
            tensor = library.InferInput(key, value.shape, np_to_triton_dtype(value.dtype))
            tensor.set_data_from_numpy(value)
            tensors.append(tensor)
        result = client.infer(name, tensors)
        return [result.as_numpy(output.name) for output in result.get_response().outputs]

    def loop() -> None:
        with ThreadPoolExecutor(IN_FLIGHT) as pool:
            list(pool.map(one, range(count)))

    return loop


def in_turns(*works: Work, rounds: int = ROUNDS) -> tuple[list[tuple[float, ...]], float]:
    """Seconds of each in every round, and the share of time that other machines took."""
    for work in works:
        work()
    with Steal() as steal:
        taken = [tuple(seconds(work) for work in works) for _ in range(rounds)]
    return taken, steal.share


def told(label: str, taken: Iterable[tuple[float, ...]], steal: float, each: int, unit: str) -> None:
    """Ours first, the other second: medians and the ratio's median and range."""
    ours, other = zip(*taken, strict=True)
    ratios = sorted(a / b for a, b in zip(ours, other, strict=True))
    print(
        f"{label}: {1e3 * statistics.median(ours) / each:.2f} ms {unit}, the other "
        f"{1e3 * statistics.median(other) / each:.2f} ms, time ratio {statistics.median(ratios):.2f} "
        f"({ratios[0]:.2f}–{ratios[-1]:.2f}), throughput ratio {1 / statistics.median(ratios):.2f}, "
        f"taken by other machines {steal:.0%}"
    )


def saturation(server: TritonServer, root: Path) -> None:
    """(a) Ours against the bare loop: a real model, and one that computes nothing."""
    ours = InferenceResource(
        repository=str(root), engine="triton", triton_url=server.grpc_url, triton_shared_memory="off"
    )
    address = server.grpc_url.removeprefix("grpc://")
    rng = np.random.default_rng(0)
    given = {
        EXTRACTOR: {"images": rng.random((BATCH, 3, INPUT_PX[1], INPUT_PX[0]), dtype=np.float32)},
        "echo": {"images": rng.random((1, 16), dtype=np.float32)},
    }
    for name, count in REQUESTS.items():
        model, inputs = ours.model(name), given[name]

        def loop(model: Any = model, inputs: Any = inputs, count: int = count) -> None:
            for _ in model.infer_each(inputs for _ in range(count)):
                pass

        taken, steal = in_turns(loop, bare(address, name, inputs, count))
        told(
            f"at saturation, {name}, gRPC, {IN_FLIGHT} in flight, against a bare loop", taken, steal, count, "a request"
        )


def features(server: TritonServer, root: Path) -> None:
    """(b) Frames to features, shared memory against in process."""
    batches = pictures()
    count = sum(len(batch.images) for batch in batches)
    config = FeaturesConfig()
    here = InferenceResource(repository=str(root))
    for memory in ("on", "off"):
        there = InferenceResource(
            repository=str(root), engine="triton", triton_url=server.grpc_url, triton_shared_memory=memory
        )
        sides = [lambda engine=engine: list(features_tables(batches, engine, config)) for engine in (there, here)]
        taken, steal = in_turns(*sides)
        told(
            f"frames to features over Triton, shared memory {memory}, against in process",
            taken,
            steal,
            count,
            "a frame",
        )


def transport(server: TritonServer, root: Path) -> None:
    """(c) One batch of pictures there and one pixel back: as floats, as bytes, in shared memory."""
    images, _ = fit_pictures(pictures()[0].images, *INPUT_PX)
    for url in (server.grpc_url, server.http_url):
        for name, memory in (("floats", "off"), ("bytes", "off"), ("floats", "on"), ("bytes", "on")):
            engine = InferenceResource(
                repository=str(root), engine="triton", triton_url=url, triton_shared_memory=memory
            )
            taken, steal = in_turns(lambda engine=engine, name=name: engine.infer_images(name, images), rounds=15)
            taken_ms = sorted(1e3 * one for (one,) in taken)
            print(
                f"{len(images)} pictures {INPUT_PX[0]}×{INPUT_PX[1]} there, {url.partition(':')[0]}, {name}, "
                f"shared memory {memory}: median {statistics.median(taken_ms):.1f} ms "
                f"({taken_ms[0]:.1f}–{taken_ms[-1]:.1f}), taken by other machines {steal:.0%}"
            )


def main() -> None:
    """Print every comparison."""
    load = Path("/proc/loadavg").read_text(encoding="utf-8").split()[0]
    print(f"client of Triton, frames {SIZE_PX[0]}×{SIZE_PX[1]} ({machine()}, load {load} before)")
    with scratch() as folder:
        root = folder / "models"
        ModelRepository(root).install_seed(SEED_REPOSITORY)
        install(root, "echo", echo("batch", 16))
        install(root, "floats", corner(FLOAT), batch=BATCH)
        install(root, "bytes", corner(UINT8), batch=BATCH)
        with TritonServer(folder / "server", root, load=()) as server:
            saturation(server, root)
            features(server, root)
            transport(server, root)


if __name__ == "__main__":
    started_s = time.monotonic()
    main()
    print(f"{time.monotonic() - started_s:.0f} s")
