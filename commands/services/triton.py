"""NVIDIA's Triton Inference Server on this machine's processor, over one model repository.

Belongs here: its command line, its folder of backends, what it leaves in shared memory. Does not belong here: the
client (``resources.inference.triton``). The packages hold no ONNX Runtime backend, so ``triton_backend.py`` takes its
name and its place: the same ``config.pbtxt`` and the same files are served here and by production's image.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import sysconfig
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar

from commands.services.server import HOST, LocalServer, free_port
from resources.errors import ConfigurationError
from resources.settings import REPOSITORY_ROOT

PROGRAMS = REPOSITORY_ROOT / ".services"
RELEASE = PROGRAMS / "triton" / "pytriton" / "tritonserver"
LIBRARIES = PROGRAMS / "triton" / "nvidia_pytriton.libs"
MODEL_PYTHON = PROGRAMS / "triton-python" / "bin"
STUB = RELEASE / "python_backend_stubs" / "3.11" / "triton_python_backend_stub"
STAND_IN = Path(__file__).with_name("triton_backend.py")
SHARED_MEMORY = Path("/dev/shm")  # noqa: S108  # where Linux keeps POSIX shared memory, not a temporary folder
REGION_BYTES = 2**30
"""Most of the memory that Triton and one model's interpreter share; only what is used is taken."""
ALL_MODELS = "*"


class TritonServer(LocalServer):
    """One server; gRPC, HTTP and metrics on ports of 127.0.0.1.

    Args:
        folder: of its backends and its log.
        repository: folder of models, or ``s3://http://host:port/bucket/prefix``.
        load: models that are loaded at the start; others when a client asks.
        variant: name of the configurations that come before ``config.pbtxt``, ``configs/NAME.pbtxt``; empty for none.
        variables: of its environment, where the repository is on S3: region and keys.
        grpc_port: 0 for any that is free.
        http_port: 0 for any that is free.
        metrics_port: 0 for any that is free.
        has_onnxruntime: False starts it without the stand-in, as a server that has no such backend.
    """

    name: ClassVar[str] = "triton"

    def __init__(
        self,
        folder: Path,
        repository: Path | str,
        *,
        load: Sequence[str] = (ALL_MODELS,),
        variant: str = "cpu",
        variables: Mapping[str, str] | None = None,
        grpc_port: int = 0,
        http_port: int = 0,
        metrics_port: int = 0,
        has_onnxruntime: bool = True,
    ) -> None:
        super().__init__(folder)
        self.repository = repository
        self.load = tuple(load)
        self.variant = variant
        self.variables = dict(variables or {})
        self.grpc_port = grpc_port or free_port()
        self.http_port = http_port or free_port()
        self.metrics_port = metrics_port or free_port()
        self.has_onnxruntime = has_onnxruntime
        self._regions = f"neurovision_triton_{hashlib.sha256(str(folder).encode()).hexdigest()[:12]}_"

    @property
    def grpc_url(self) -> str:
        """As ``NEUROVISION_TRITON_URL`` takes it."""
        return f"grpc://{HOST}:{self.grpc_port}"

    @property
    def http_url(self) -> str:
        """As ``NEUROVISION_TRITON_URL`` takes it."""
        return f"http://{HOST}:{self.http_port}"

    @property
    def metrics_url(self) -> str:
        """Prometheus' text."""
        return f"http://{HOST}:{self.metrics_port}/metrics"

    @property
    def backends(self) -> Path:
        """Triton's python backend, and the stand-in."""
        return self.folder / "backends"

    def prepare(self) -> None:
        """Lay out the backends; drop shared memory that a killed server left."""
        if not STUB.is_file():
            raise ConfigurationError(
                "Triton is not installed.", subject=self.name, remedy="Run: sh scripts/servers.sh triton"
            )
        super().prepare()
        python = self.backends / "python"
        python.mkdir(parents=True, exist_ok=True)
        for source in (*(RELEASE / "backends" / "python").iterdir(), STUB):
            if source.is_file() and not (python / source.name).exists():
                shutil.copy2(source, python / source.name)
        if self.has_onnxruntime:
            (self.backends / "onnxruntime").mkdir(exist_ok=True)
            shutil.copyfile(STAND_IN, self.backends / "onnxruntime" / "model.py")
        self._clear_shared_memory()

    def environment(self) -> Mapping[str, str]:
        """Our Python's library first, or a model's interpreter mixes two; the models' own interpreter on the path."""
        return {
            "LD_LIBRARY_PATH": f"{sysconfig.get_config_var('LIBDIR')}:{LIBRARIES}",
            "PATH": f"{MODEL_PYTHON}:{os.environ['PATH']}",
            "PYTHONDONTWRITEBYTECODE": "1",  # the backend is copied anew at each start
            **self.variables,
        }

    def command(self) -> Sequence[str | Path]:
        """Explicit control: a version is served when it is asked for, not while it is still being copied."""
        return [
            RELEASE / "bin" / "tritonserver",
            f"--model-repository={self.repository}",
            f"--backend-directory={self.backends}",
            "--model-control-mode=explicit",
            *(f"--load-model={name}" for name in self.load),
            *([f"--model-config-name={self.variant}"] if self.variant else []),
            "--disable-auto-complete-config",
            "--exit-on-error=false",
            f"--backend-config=python,shm-region-prefix-name={self._regions}",
            f"--backend-config=python,shm-default-byte-size={REGION_BYTES}",
            f"--http-address={HOST}",
            f"--http-port={self.http_port}",
            f"--grpc-address={HOST}",
            f"--grpc-port={self.grpc_port}",
            f"--metrics-address={HOST}",
            f"--metrics-port={self.metrics_port}",
            "--allow-gpu-metrics=false",
            "--exit-timeout-secs=1",
        ]

    def is_ready(self) -> bool:
        """Whether it takes requests and the models of the start are loaded."""
        import requests

        try:
            return requests.get(f"{self.http_url}/v2/health/ready", timeout=1).ok
        except requests.RequestException:
            return False

    def kill(self) -> None:
        """End it at once, and remove what it cannot remove itself."""
        super().kill()
        self._clear_shared_memory()

    def shared_memory(self) -> list[Path]:
        """What it and its models' interpreters share just now, or left."""
        return sorted(SHARED_MEMORY.glob(f"{self._regions}*"))

    def _clear_shared_memory(self) -> None:
        for region in self.shared_memory():
            region.unlink(missing_ok=True)
