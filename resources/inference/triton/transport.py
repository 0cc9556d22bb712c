"""One request over the wire, gRPC or HTTP alike.

Belongs here: the two clients of Triton's own library behind one face. Does not belong here: trying again
(``connection``), what a model promises (``model``).
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol
from urllib.parse import urlsplit

import numpy as np

from resources.errors import ConfigurationError
from resources.inference.triton.failures import ServerFailure, Unreachable, sorted_out

if TYPE_CHECKING:
    from numpy.typing import NDArray

CA_FILE: Final = "NEUROVISION_TRITON_CA_FILE"
LARGEST_MESSAGE: Final = 2**31 - 1
RECONNECT_MS: Final = (100, 1000)
"""First and longest pause of gRPC between two tries to connect; its own two minutes would outlast a restart."""
CONNECT_MS: Final = 5000
"""How long one try to connect may take; gRPC calls it a pause."""
CONTROL_S: Final = 5.0
"""Deadline of questions that compute nothing."""
LOAD_S: Final = 300.0
"""Deadline of loading a model; a large one is read and put onto a graphics card."""


@dataclass(frozen=True)
class Place:
    """Bytes inside of a registered shared memory region."""

    region: str
    offset: int
    size: int


@dataclass(frozen=True)
class Request:
    """One inference request.

    Attributes:
        model: name.
        version: exact number.
        inputs: tensors by name.
        outputs: names of the answers.
        places: tensors that lie, or are to lie, in shared memory; the others travel in the message.
    """

    model: str
    version: int
    inputs: Mapping[str, NDArray[Any]]
    outputs: tuple[str, ...]
    places: Mapping[str, Place] = field(default_factory=dict)


@dataclass(frozen=True)
class Answer:
    """What came back.

    Attributes:
        model: who answered.
        version: which version answered.
        outputs: tensors by name.
        shapes: of those that lie in shared memory instead.
    """

    model: str
    version: str
    outputs: dict[str, NDArray[Any]]
    shapes: dict[str, tuple[int, ...]]


class Transport(Protocol):
    """What the engine needs of a client; every method raises a kind of ``ServerFailure``."""

    def is_ready(self) -> bool:
        """Whether the server takes requests."""

    def config(self, model: str, version: int) -> dict[str, Any]:
        """The configuration that the server loaded, as JSON spells it."""

    def infer(self, request: Request) -> Answer:
        """Compute."""

    def load(self, model: str) -> None:
        """Read the model's folder again and serve what its version policy says."""

    def register(self, region: str, key: str, size: int) -> None:
        """Map a shared memory region into the server."""

    def unregister(self, region: str) -> None:
        """Let the server forget a region."""


def open_transport(url: str, deadline_s: float, ca_file: str = "") -> Transport:
    """The client for a URL, ``grpc://host:8001``, ``grpcs://`` with TLS, or ``http://host:8000``.

    Args:
        url: of the server.
        deadline_s: longest wait for an answer.
        ca_file: certificates that the server's is checked with, empty for the usual ones.

    Raises:
        ConfigurationError: the URL has another scheme, the file cannot be read, or the packages are not installed.
    """
    parts = urlsplit(url)
    kinds: dict[str, Callable[[str, float], Transport]] = {
        "grpc": _Grpc,
        "grpcs": partial(_Grpc, ca_file=ca_file),
        "http": _Http,
    }
    if parts.scheme not in kinds or not parts.hostname or parts.username:
        raise ConfigurationError(
            "It is no address of a Triton server.",
            subject="NEUROVISION_TRITON_URL",
            remedy="Write grpc://host:8001, grpcs://host:8001 or http://host:8000.",
        )
    try:
        return kinds[parts.scheme](parts.netloc, deadline_s)
    except OSError as error:
        raise unreadable_ca(error) from error
    except ImportError as error:
        raise ConfigurationError(
            f"The client of Triton is not installed ({error}).",
            subject="NEUROVISION_INFERENCE_ENGINE",
            remedy="Run: sh scripts/setup.sh services",
        ) from error


def unreadable_ca(error: OSError) -> ConfigurationError:
    """The file of certificates is not one."""
    return ConfigurationError(
        f"The file of certificates cannot be read ({error.strerror or error}).",
        subject=CA_FILE,
        remedy="Name a PEM file of the authority's certificate that this user may read.",
    )


class _Grpc:
    """Triton's gRPC client; one channel for all threads. With a file of certificates, even an empty name, over TLS."""

    def __init__(self, address: str, deadline_s: float, ca_file: str | None = None) -> None:
        import tritonclient.grpc as library
        from tritonclient.utils import InferenceServerException

        if ca_file:
            Path(ca_file).open("rb").close()  # the library's client would be left half-made
        self._library = library
        self._errors: Any = InferenceServerException
        self._deadline_s = deadline_s
        first_ms, longest_ms = RECONNECT_MS
        self._client = library.InferenceServerClient(
            address,
            ssl=ca_file is not None,
            root_certificates=ca_file or None,
            channel_args=[
                ("grpc.max_send_message_length", LARGEST_MESSAGE),
                ("grpc.max_receive_message_length", LARGEST_MESSAGE),
                ("grpc.initial_reconnect_backoff_ms", first_ms),
                ("grpc.min_reconnect_backoff_ms", CONNECT_MS),
                ("grpc.max_reconnect_backoff_ms", longest_ms),
                ("grpc.use_local_subchannel_pool", 1),  # pauses of another client's connection are not ours
            ],
        )

    def is_ready(self) -> bool:
        with _errors():
            return bool(self._client.is_server_ready(client_timeout=CONTROL_S))

    def config(self, model: str, version: int) -> dict[str, Any]:
        with _errors():
            answer = self._client.get_model_config(model, str(version), as_json=True, client_timeout=CONTROL_S)
        config: dict[str, Any] = answer["config"]
        return config

    def infer(self, request: Request) -> Answer:
        inputs, outputs = _tensors(self._library, request)
        try:  # and no block with _errors(): what costs microseconds shows in models that compute nothing
            result = self._client.infer(
                request.model, inputs, str(request.version), outputs, client_timeout=self._deadline_s
            )
        except self._errors as error:
            raise sorted_out(error.message(), error.status()) from error
        response = result.get_response()
        shapes = {out.name: tuple(out.shape) for out in response.outputs}
        return _answer(response.model_name, response.model_version, result, shapes, request)

    def load(self, model: str) -> None:
        with _errors():
            self._client.load_model(model, client_timeout=LOAD_S)

    def register(self, region: str, key: str, size: int) -> None:
        with _errors():
            self._client.register_system_shared_memory(region, key, size, client_timeout=CONTROL_S)

    def unregister(self, region: str) -> None:
        with _errors():
            self._client.unregister_system_shared_memory(region, client_timeout=CONTROL_S)


class _Http:
    """Triton's HTTP client; it serves the thread that made it and no other."""

    def __init__(self, address: str, deadline_s: float) -> None:
        import tritonclient.http as library

        self._library = library
        self._address = address
        self._deadline_s = deadline_s
        self._clients = threading.local()

    def _client(self, kind: str, deadline_s: float) -> Any:
        if not hasattr(self._clients, kind):
            client = self._library.InferenceServerClient(
                self._address, connection_timeout=CONTROL_S, network_timeout=deadline_s
            )
            setattr(self._clients, kind, client)
        return getattr(self._clients, kind)

    @property
    def _control(self) -> Any:
        return self._client("control", CONTROL_S)

    def is_ready(self) -> bool:
        with _errors():
            return bool(self._control.is_server_ready())

    def config(self, model: str, version: int) -> dict[str, Any]:
        with _errors():
            config: dict[str, Any] = self._control.get_model_config(model, str(version))
        return config

    def infer(self, request: Request) -> Answer:
        inputs, outputs = _tensors(self._library, request)
        with _errors():
            result = self._client("infer", self._deadline_s).infer(request.model, inputs, str(request.version), outputs)
        response = result.get_response()
        shapes = {out["name"]: tuple(out["shape"]) for out in response["outputs"]}
        return _answer(response["model_name"], response["model_version"], result, shapes, request)

    def load(self, model: str) -> None:
        with _errors():
            self._client("load", LOAD_S).load_model(model)

    def register(self, region: str, key: str, size: int) -> None:
        with _errors():
            self._control.register_system_shared_memory(region, key, size)

    def unregister(self, region: str) -> None:
        with _errors():
            self._control.unregister_system_shared_memory(region)


def _tensors(library: Any, request: Request) -> tuple[list[Any], list[Any] | None]:
    """The request in the library's own words; no list of outputs means all of them, as they are."""
    from tritonclient.utils import np_to_triton_dtype

    inputs = []
    for name, value in request.inputs.items():
        tensor = library.InferInput(name, value.shape, np_to_triton_dtype(value.dtype))
        place = request.places.get(name)
        if place is None:
            tensor.set_data_from_numpy(value)
        else:
            tensor.set_shared_memory(place.region, place.size, place.offset)
        inputs.append(tensor)
    if not request.places:
        return inputs, None
    outputs = []
    for name in request.outputs:
        wanted = library.InferRequestedOutput(name)
        place = request.places.get(name)
        if place is not None:
            wanted.set_shared_memory(place.region, place.size, place.offset)
        outputs.append(wanted)
    return inputs, outputs


def _answer(model: str, version: str, result: Any, shapes: dict[str, tuple[int, ...]], request: Request) -> Answer:
    here = [name for name in shapes if name not in request.places]
    there = {name: shape for name, shape in shapes.items() if name in request.places}
    return Answer(model, version, {name: np.asarray(result.as_numpy(name)) for name in here}, there)


@contextmanager
def _errors() -> Iterator[None]:
    """Sort what the client library raises; of HTTP these are also the socket's own errors."""
    from tritonclient.utils import InferenceServerException

    try:
        yield
    except ServerFailure:
        raise
    except InferenceServerException as error:
        raise sorted_out(error.message(), error.status()) from error
    except (OSError, EOFError, json.JSONDecodeError) as error:
        raise Unreachable(f"{type(error).__name__} {error}".strip()) from error
