"""One version of a model on a Triton server, as stages call it.

Belongs here: that the server serves what the run pinned, that requests keep within the promise, what is in shared
memory. Does not belong here: connections (``connection``), the repository.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from resources.errors import NeuroVisionError, PermanentFailure, TransientFailure
from resources.inference.spec import ANY_SIZE, ModelSpec, TensorSpec
from resources.inference.triton.connection import Connection
from resources.inference.triton.failures import Crashed, NotServed, RegionLost, ServerFailure
from resources.inference.triton.served import check_served
from resources.inference.triton.shared_memory import Slot, Slots
from resources.inference.triton.transport import Answer, Place, Request

if TYPE_CHECKING:
    from numpy.typing import NDArray

IN_FLIGHT: Final = 4
"""Requests of one caller at work at the same time: one computes, one waits beside it, two are on their way."""
WAITING: Final = 2
"""Requests that are ready beside those, so that a slow one at the head leaves no thread idle."""
PROBE_SIZE: Final = 32
"""Where a model takes any size, a probe has this one."""


class TritonModel:
    """One version on one server.

    Args:
        connection: the server.
        spec: the version that was pinned.
        load: makes the server read the model's folder again.
        slots: shared memory with the server, None to send tensors in messages.

    Raises:
        ConfigurationError: the server serves another file, or another promise, under this name and number.
        TransientFailure: it does not answer.
    """

    def __init__(
        self, connection: Connection, spec: ModelSpec, load: Callable[[str], None], slots: Slots | None
    ) -> None:
        self.spec = spec
        self._connection = connection
        self._load = load
        self._slots = slots
        self._pool = ThreadPoolExecutor(IN_FLIGHT, thread_name_prefix=f"triton-{spec.identity.name}")
        self.device = check_served(connection, spec, load)

    def infer(self, inputs: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """One request; both sides are checked against the promise.

        Raises:
            PermanentFailure: the request or the answer breaks the model's promise.
            TransientFailure: the server, or the model's process in it, does not answer.
            ConfigurationError: the server does not serve the pinned version any more.
        """
        self.spec.check_inputs(inputs)
        try:
            try:
                answer = self._ask(inputs)
            except NotServed:  # a server that was started again with nothing loaded
                check_served(self._connection, self.spec, self._load)
                answer = self._ask(inputs)
        except ServerFailure as failure:
            raise self._named(failure) from failure
        outputs = {name: answer[name] for name in self.spec.outputs if name in answer}
        self.spec.check_outputs(outputs)
        return outputs

    def infer_each(self, requests: Iterable[Mapping[str, NDArray[Any]]]) -> Iterator[dict[str, NDArray[Any]]]:
        """Answers in the order of the requests, several at work; no more requests are in memory than that."""
        at_work: deque[Future[dict[str, NDArray[Any]]]] = deque()
        try:
            for request in requests:
                if len(at_work) == IN_FLIGHT + WAITING:
                    yield at_work.popleft().result()
                at_work.append(self._pool.submit(self.infer, request))
            while at_work:
                yield at_work.popleft().result()
        finally:
            for future in at_work:
                future.cancel()

    def is_alive(self) -> bool:
        """Whether a request of zeros is answered: a model whose process crashed is still called ready."""
        try:
            self.infer({tensor.name: self._zeros(tensor) for tensor in self.spec.inputs.values()})
        except NeuroVisionError:
            return False
        return True

    def close(self) -> None:
        """Let go of threads; the memory is the connection's."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _ask(self, inputs: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        if self._slots is None:
            return self._sent(inputs, {}).outputs
        with self._slots.one() as slot:
            try:
                places = slot.place(self._sizes(inputs))
            except (OSError, ServerFailure) as error:
                logging.getLogger(__name__).warning("No shared memory for this request, it is sent: %s", error)
                places = {}
            for name in places.keys() & inputs.keys():
                slot.write(places[name], inputs[name])
            answer = self._sent_again(inputs, places, slot)
            there = {
                name: slot.read(places[name], self.spec.outputs[name].dtype, shape)
                for name, shape in answer.shapes.items()
            }
            return {**answer.outputs, **there}

    def _sent_again(self, inputs: Mapping[str, NDArray[Any]], places: Mapping[str, Place], slot: Slot) -> Answer:
        """A server that was restarted knows no regions."""
        try:
            return self._sent(inputs, places)
        except RegionLost:
            slot.register()
            return self._sent(inputs, places)

    def _sent(self, inputs: Mapping[str, NDArray[Any]], places: Mapping[str, Place]) -> Answer:
        identity = self.spec.identity
        request = Request(identity.name, identity.version, inputs, tuple(self.spec.outputs), places)
        answer = self._connection.infer(request)
        if (answer.model, answer.version) != (identity.name, str(identity.version)):
            raise PermanentFailure(
                f"Version {identity.version} was asked and {answer.model} version {answer.version} answered.",
                subject=identity.label,
                remedy="Look what stands between this client and the Triton server.",
            )
        return answer

    def _sizes(self, inputs: Mapping[str, NDArray[Any]]) -> dict[str, int]:
        """Bytes of the inputs, and of the outputs whose size the promise tells."""
        sizes = {name: value.nbytes for name, value in inputs.items()}
        items = len(next(iter(inputs.values()))) if self.spec.max_batch_size else 1
        for name, tensor in self.spec.outputs.items():
            if ANY_SIZE not in tensor.dims:
                sizes[name] = items * int(np.prod(tensor.dims)) * np.dtype(tensor.dtype).itemsize
        return {name: size for name, size in sizes.items() if size}

    def _zeros(self, tensor: TensorSpec) -> NDArray[Any]:
        sizes = [PROBE_SIZE if size == ANY_SIZE else size for size in tensor.dims]
        return np.zeros(([1] if self.spec.max_batch_size else []) + sizes, tensor.dtype)

    def _named(self, failure: ServerFailure) -> NeuroVisionError:
        subject = f"{self.spec.identity.label} on Triton at {self._connection.url}"
        if isinstance(failure, Crashed):
            return TransientFailure(
                f"The model's process crashed ({failure}).",
                subject=subject,
                remedy="Unload and load the model, or restart the server; it will not come back by itself.",
            )
        if isinstance(failure, NotServed | RegionLost):
            return TransientFailure(
                f"{failure}.", subject=subject, remedy="The server forgets what it was told: look at its log."
            )
        return PermanentFailure(
            f"The server could not compute it: {failure}.",
            subject=subject,
            remedy="Check that the model takes inputs of this size.",
        )
