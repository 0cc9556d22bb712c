"""A Triton server that tests share, and repositories for it, a pytest plugin.

Belongs here: starting it, requests that every model takes. Does not belong here: other servers (``servers``), tests.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from commands.services.triton import STUB, TritonServer
from models.contracts import NAMES
from resources.inference.client import SEED_REPOSITORY, InferenceResource
from resources.inference.repository import ModelRepository

ENGINE = "triton"


@dataclass(frozen=True)
class Served:
    """A server and the repository that it serves."""

    server: TritonServer
    root: Path

    def url(self, scheme: str) -> str:
        """``grpc`` or ``http``."""
        return {"grpc": self.server.grpc_url, "http": self.server.http_url}[scheme]

    def client(self, scheme: str = "grpc", **fields: Any) -> InferenceResource:
        """A client as a run makes it."""
        fields = {"triton_url": self.url(scheme), "triton_shared_memory": "off", **fields}
        return InferenceResource(repository=str(self.root), engine=ENGINE, **fields)


def require_triton() -> None:
    """Skip, with the reason, where the server or its client is not installed."""
    pytest.importorskip("pybreaker", reason="the set services is not installed")
    if not STUB.is_file():
        pytest.skip("Triton is not installed: sh scripts/servers.sh triton")


def seeded(root: Path) -> Path:
    """The committed models as a repository of the test's own."""
    ModelRepository(root).install_seed(SEED_REPOSITORY)
    return root


def without_seed(root: Path) -> Path:
    """A repository in which the seeded models' places are taken, so that none is copied."""
    for name in NAMES:
        (root / name).mkdir(parents=True)
    return root


@pytest.fixture(scope="session")
def triton(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """The committed models on a server that nobody may harm."""
    require_triton()
    folder = tmp_path_factory.mktemp("triton")
    root = seeded(folder / "models")
    with TritonServer(folder / "server", root) as server:
        yield Served(server, root)


@pytest.fixture
def own_triton(tmp_path: Path) -> Iterator[Served]:
    """A server of the test's own with nothing loaded, to be killed, frozen and started again."""
    require_triton()
    root = without_seed(tmp_path / "models")
    server = TritonServer(tmp_path / "server", root, load=())
    with server:
        yield Served(server, root)
    shutil.rmtree(root)


def frames(name: str, count: int) -> npt.NDArray[np.uint8]:
    """Simulated pictures of the model's size, uint8 [N, H, W, 3]."""
    from models.contracts import CONTRACTS
    from models.letterbox import letterbox
    from simulator.operation import plan_operation
    from simulator.render import render_frame

    height_px, width_px = CONTRACTS[name].picture_px
    plan = plan_operation(3, 60.0)
    times_ms = np.linspace(0, plan.duration_ms - 1, count)
    pictures = [render_frame(plan, float(time_ms), 320, 240).image for time_ms in times_ms]
    return np.stack([letterbox(picture, width_px, height_px)[0] for picture in pictures])
