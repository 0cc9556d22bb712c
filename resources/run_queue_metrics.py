"""The run queue as Prometheus metrics: how many runs wait, how many have a worker, how many may (RS-055).

Belongs here: the question to Dagster's run storage and the families that its answer becomes. Does not belong here: HTTP
(``commands.metrics``), figures of anything but the queue: each source of figures is a collector of its own.

Nothing is kept between two scrapes: either the storage answers now, or the scrape fails and says why.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from typing import Final

import dagster as dg

# The storage's table; through the public methods it would be a question a status, each at another moment.
from dagster._core.storage.runs import SqlRunStorage
from dagster._core.storage.runs.schema import RunsTable
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from sqlalchemy import func, select

from resources.errors import NeuroVisionError, TransientFailure

QUEUED: Final = dg.DagsterRunStatus.QUEUED
WITH_WORKER: Final = (dg.DagsterRunStatus.STARTING, dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.CANCELING)
"""Statuses that Dagster counts against the cap of runs."""
NO_CAP: Final = -1
"""Dagster's word for a queue that lets go whatever comes."""
DEADLINE_S: Final = 8.0
"""Prometheus gives up after 10 s (``scrape_timeout``) and would not read why."""


class RunQueueCollector(Collector):
    """Asks the run storage at each scrape.

    Args:
        open_instance: opens the Dagster instance; called at the first scrape and again until it succeeds once, so that
            a database which is gone at the start is told like one that goes later.
        deadline_s: longest wait of a scrape.
    """

    def __init__(self, open_instance: Callable[[], dg.DagsterInstance], deadline_s: float = DEADLINE_S) -> None:
        self._open_instance = open_instance
        self._deadline_s = deadline_s
        self._instance: dg.DagsterInstance | None = None
        self._turn = threading.Lock()

    def describe(self) -> Iterable[Metric]:
        """Names without figures: the registry refuses another collector of the same, and asks nobody for it."""
        return families({}, None)

    def collect(self) -> Iterable[Metric]:
        """The figures of this moment.

        Raises:
            TransientFailure: the storage cannot be asked, or did not answer in time.
        """
        until_s = time.monotonic() + self._deadline_s
        if not self._turn.acquire(timeout=self._deadline_s):  # a storage that hangs holds one thread, not one a scrape
            raise self._silent()
        answer: Future[list[Metric]] = Future()
        threading.Thread(target=self._answer, args=(answer,), name="run-queue", daemon=True).start()
        try:
            return answer.result(max(0.0, until_s - time.monotonic()))
        except TimeoutError as error:
            raise self._silent() from error

    def _answer(self, answer: Future[list[Metric]]) -> None:
        try:
            answer.set_result(self._ask())
        except NeuroVisionError as error:
            answer.set_exception(error)
        except Exception as error:  # noqa: BLE001 - whatever a storage raises, the scrape says it in one line
            reason = str(getattr(error, "orig", None) or error).splitlines() or [type(error).__name__]
            answer.set_exception(_failure(f"It cannot be asked ({reason[0]})."))
        finally:
            self._turn.release()

    def _ask(self) -> list[Metric]:
        self._instance = self._instance or self._open_instance()
        queue = self._instance.get_concurrency_config().run_queue_config
        return list(families(run_counts(self._instance), queue.max_concurrent_runs if queue else None))

    def _silent(self) -> TransientFailure:
        return _failure(f"It did not answer within {self._deadline_s:.0f} s.")


def run_counts(instance: dg.DagsterInstance) -> dict[str, int]:
    """Queued runs and those with a worker, by status, of one moment; a status that no run has is left out.

    One question, which an index answers: runs that have ended are not read.
    """
    storage = instance.run_storage
    if not isinstance(storage, SqlRunStorage):
        raise TypeError(f"{type(storage).__name__} has no table of runs")
    wanted = [status.value for status in (QUEUED, *WITH_WORKER)]
    query = select(RunsTable.c.status, func.count()).where(RunsTable.c.status.in_(wanted)).group_by(RunsTable.c.status)
    with storage.connect() as connection:
        return {str(status): int(count) for status, count in connection.execute(query)}


def families(counts: dict[str, int], cap: int | None) -> Iterator[Metric]:
    """What is served.

    Args:
        counts: runs by status.
        cap: of runs at once; None where the instance has no queue.
    """
    yield GaugeMetricFamily("neurovision_queue_length", "Runs that wait in the queue.", counts.get(QUEUED.value, 0))
    workers = GaugeMetricFamily("neurovision_worker_count", "Runs that have a worker, by status.", labels=["status"])
    for status in WITH_WORKER:
        workers.add_metric([status.value.lower()], counts.get(status.value, 0))
    yield workers
    limit = GaugeMetricFamily("neurovision_worker_limit", "Runs that the queue lets go at once.")
    if cap is not None:
        limit.add_metric([], math.inf if cap == NO_CAP else cap)
    yield limit


def _failure(problem: str) -> TransientFailure:
    return TransientFailure(
        problem,
        subject="Dagster's run storage",
        remedy="Check that its database is there; the exporter's log may say more.",
    )
