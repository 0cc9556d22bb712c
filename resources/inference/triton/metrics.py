"""What a client counts of its own requests.

Belongs here: counters and their sum. Does not belong here: the server's own metrics, which it serves to Prometheus.
"""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass
from typing import Final

import numpy as np

KEPT: Final = 1000
"""Latest latencies that the quantiles are taken of."""


@dataclass(frozen=True)
class ClientFigures:
    """Counts since the connection was made.

    Attributes:
        requests: answered.
        failures: given up.
        retries: attempts after a first one.
        latency_p50_ms: median of the latest answered requests, NaN without one.
        latency_p95_ms: of the same.
        breaker: ``closed``, ``open`` or ``half-open``.
    """

    requests: int
    failures: int
    retries: int
    latency_p50_ms: float
    latency_p95_ms: float
    breaker: str

    def __str__(self) -> str:
        """One line for a run's log."""
        counts = f"{self.requests} requests answered, {self.failures} given up, {self.retries} attempts more"
        return f"{counts}; half of them within {self.latency_p50_ms:.0f} ms, 95 % within {self.latency_p95_ms:.0f} ms"


class Meter:
    """Counts; safe for many threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._requests = self._failures = self._retries = 0
        self._latencies_s: deque[float] = deque(maxlen=KEPT)

    def answered(self, latency_s: float) -> None:
        """A request was answered after this long, its retries included."""
        with self._lock:
            self._requests += 1
            self._latencies_s.append(latency_s)

    def failed(self) -> None:
        """A request was given up."""
        with self._lock:
            self._failures += 1

    def retried(self) -> None:
        """One more attempt."""
        with self._lock:
            self._retries += 1

    def read(self, breaker: str) -> ClientFigures:
        """The figures now."""
        with self._lock:
            latencies_ms = 1e3 * np.array(self._latencies_s or [np.nan])
            counts = self._requests, self._failures, self._retries
        p50_ms, p95_ms = np.quantile(latencies_ms, (0.5, 0.95))
        return ClientFigures(*counts, float(p50_ms), float(p95_ms), breaker)
