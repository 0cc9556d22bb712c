"""A server as the engine sees it: asked again where that may help, left alone where it is down.

Belongs here: retries, the circuit breaker, the client's figures. Does not belong here: one request over the wire
(``transport``), models.

A failure that may pass is tried again with growing pauses for ``RETRY_WINDOW_S``, long enough for a restart. After
``FAILURES_TO_OPEN`` in a row the breaker opens (Nygard, "Release It!"): new calls fail at once, and after
``PAUSE_S`` one question that computes nothing decides whether the server is back. A call that is already trying again
goes on doing so until its window ends, without touching the server meanwhile.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final, NoReturn, TypeVar

from resources.errors import ConfigurationError, TransientFailure
from resources.inference.triton.failures import ServerFailure, Unreachable
from resources.inference.triton.metrics import ClientFigures, Meter
from resources.inference.triton.transport import Answer, Request, Transport, open_transport

if TYPE_CHECKING:
    import tenacity

Given = TypeVar("Given")

RETRY_WINDOW_S: Final = 30.0
FIRST_PAUSE_S: Final = 0.1
LONGEST_PAUSE_S: Final = 3.0
FAILURES_TO_OPEN: Final = 5
PAUSE_S: Final = 2.0


class Connection:
    """One server, for all threads and models of a process.

    Args:
        url: ``grpc://host:8001``, ``grpcs://`` with TLS, or ``http://host:8000``.
        deadline_s: longest wait for one attempt at a request.
        retry_window_s: no attempt starts later than this after the first; 0 tries once, None means `RETRY_WINDOW_S`.
        ca_file: certificates that the server's is checked with, empty for the usual ones.

    Raises:
        ConfigurationError: the URL cannot be used, or packages are missing.
    """

    def __init__(self, url: str, deadline_s: float, retry_window_s: float | None = None, *, ca_file: str = "") -> None:
        try:
            import pybreaker
        except ImportError as error:
            raise ConfigurationError(
                f"The client of Triton is not installed ({error}).",
                subject="NEUROVISION_INFERENCE_ENGINE",
                remedy="Run: sh scripts/setup.sh services",
            ) from error
        self.url = url
        self.transport: Transport = open_transport(url, deadline_s, ca_file)
        self._retry_window_s = RETRY_WINDOW_S if retry_window_s is None else retry_window_s
        self._closed = pybreaker.STATE_CLOSED
        self._refusal: type[Exception] = pybreaker.CircuitBreakerError
        self._breaker = pybreaker.CircuitBreaker(fail_max=FAILURES_TO_OPEN, reset_timeout=PAUSE_S)
        self._meter = Meter()

    def infer(self, request: Request) -> Answer:
        """One inference request, counted. Raises as :meth:`call`."""
        started_s = time.monotonic()
        try:
            answer = self.call(lambda transport: transport.infer(request))
        except BaseException:
            self._meter.failed()
            raise
        self._meter.answered(time.monotonic() - started_s)
        return answer

    def call(self, ask: Callable[[Transport], Given]) -> Given:
        """Ask until there is an answer, or no hope.

        Raises:
            TransientFailure: the server does not answer.
            ServerFailure: it answered, and not as asked.
        """
        try:
            try:
                return self._once(ask)
            except Unreachable as first:
                return self._again(ask, first)
        except (Unreachable, self._refusal) as error:
            raise self._unavailable(error) from error

    def call_once(self, ask: Callable[[Transport], Given]) -> Given:
        """As :meth:`call`, and no second time."""
        try:
            return self._once(ask)
        except (Unreachable, self._refusal) as error:
            raise self._unavailable(error) from error

    def is_ready(self) -> bool:
        """Whether the server takes requests now; asks once."""
        with suppress(ServerFailure, self._refusal):
            return self._once(lambda transport: transport.is_ready())
        return False

    def figures(self) -> ClientFigures:
        """What this client counted."""
        return self._meter.read(self._breaker.current_state)

    def _once(self, ask: Callable[[Transport], Given]) -> Given:
        """One attempt. The breaker holds its lock while it calls, so it is told afterwards and many can be at work."""
        if self._breaker.current_state != self._closed:
            self._breaker.call(self._knock)
        try:
            answer = ask(self.transport)
        except Unreachable as error:
            with suppress(Unreachable, self._refusal):
                self._breaker.call(_fail, error)
            raise
        if self._breaker.fail_counter:
            self._breaker.call(_succeed)
        return answer

    def _knock(self) -> None:
        """A server that is frozen must not take a whole deadline from who asks first."""
        if not self.transport.is_ready():
            raise Unreachable("The server is not ready")

    def _again(self, ask: Callable[[Transport], Given], first: Unreachable) -> Given:
        if not self._retry_window_s:
            raise first
        time.sleep(FIRST_PAUSE_S)
        for attempt in self._attempts:
            with attempt:
                self._meter.retried()
                return self._once(ask)
        raise first

    @cached_property
    def _attempts(self) -> tenacity.Retrying:
        import tenacity

        return tenacity.Retrying(
            wait=tenacity.wait_exponential_jitter(multiplier=FIRST_PAUSE_S, max=LONGEST_PAUSE_S, jitter=FIRST_PAUSE_S),
            stop=tenacity.stop_after_delay(self._retry_window_s),
            retry=tenacity.retry_if_exception_type((Unreachable, self._refusal)),
            reraise=True,
        )

    def _unavailable(self, error: Exception) -> TransientFailure:
        known = isinstance(error, Unreachable)
        said = str(error) if known else f"It failed {FAILURES_TO_OPEN} times in a row and is left alone for a moment"
        return TransientFailure(
            f"The server does not answer ({said}).",
            subject=f"Triton at {self.url}",
            remedy="Check that it runs and that NEUROVISION_TRITON_URL names it.",
        )


def _fail(error: Any) -> NoReturn:
    raise error


def _succeed() -> None:
    """Resets the breaker's count."""
