"""What every engine gives: one loaded version of a model.

Belongs here: the protocol. Does not belong here: an engine (``onnx_engine``, ``triton``), what stages ask for
(``client``).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Protocol

from resources.inference.spec import ModelSpec

if TYPE_CHECKING:
    from numpy.typing import NDArray


class LoadedModel(Protocol):
    """One version of a model that computes; usable from several threads."""

    @property
    def spec(self) -> ModelSpec:
        """What it promises."""

    @property
    def device(self) -> str:
        """Where it computes, ``cpu`` or the like."""

    def infer(self, inputs: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """One request of at most ``max_batch_size`` items.

        Raises:
            PermanentFailure: the request or the answer breaks the model's promise.
            TransientFailure: whatever computes it did not answer.
        """

    def infer_each(self, requests: Iterable[Mapping[str, NDArray[Any]]]) -> Iterator[dict[str, NDArray[Any]]]:
        """Answers in the order of the requests; an engine may have several at work. Raises as :meth:`infer`."""

    def is_alive(self) -> bool:
        """Whether it answers a request now; to be loaded is not enough."""
