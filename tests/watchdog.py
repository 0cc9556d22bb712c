"""Nothing in the test suite waits for ever: what takes longer than a test may ends its process, with all stacks told.

Belongs here: the watchdog, a pytest plugin. Does not belong here: how long a test may take (``timeout`` in pyproject).

pytest-timeout raises an error in a test that takes too long. That does not help where C code never comes back, where
the clean-up after the error waits for what hangs, and in what follows a failure (there pytest stops its timers). The
watchdog is a thread that needs no Python: it writes the stacks of all threads and ends the process. Of a dead worker
xdist names the test and ends the session: ``--max-worker-restart=0``, because with groups a new worker gets no work
and waits.
"""

from __future__ import annotations

import faulthandler
import os
from collections.abc import Generator, Iterator
from contextlib import contextmanager

import pytest

CLEAN_UP = "clean_up_s"
"""Seconds that a test may still take after its time is over."""
STDERR_FD = pytest.StashKey[int]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """What only the watchdog's own test changes."""
    parser.addini(CLEAN_UP, "seconds after the timeout until the watchdog ends the process", default="60")


def pytest_configure(config: pytest.Config) -> None:
    """Keep the true standard error: while tests run, it is caught."""
    config.stash[STDERR_FD] = os.dup(2)


def pytest_unconfigure(config: pytest.Config) -> None:
    """Before it ends, the interpreter waits for its threads. A worker waits for the others here, and xdist ends it."""
    if not hasattr(config, "workerinput"):
        _watch(config, float(config.getini(CLEAN_UP)))


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_collection(session: pytest.Session) -> Generator[None, object, object]:
    """Imports can hang as well."""
    with _watched(session.config):
        return (yield)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> Generator[None]:
    """Fixtures before the test."""
    with _watched(item.config, item.get_closest_marker("timeout")):
        return (yield)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None]:
    """The test."""
    with _watched(item.config, item.get_closest_marker("timeout")):
        return (yield)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_teardown(item: pytest.Item) -> Generator[None]:
    """Fixtures after it, those of its module and of the session too."""
    with _watched(item.config, item.get_closest_marker("timeout")):
        return (yield)


@contextmanager
def _watched(config: pytest.Config, own: pytest.Mark | None = None) -> Iterator[None]:
    """Where tests have no limit (``-o timeout=0``, to look at one in a debugger), this has none either.

    Args:
        config: with the limit of all tests.
        own: a test's own limit.
    """
    limit_s = float(config.getvalue("timeout") or config.getini("timeout") or 0)
    if limit_s and own:
        limit_s = float(own.args[0])
    if limit_s:
        _watch(config, limit_s + float(config.getini(CLEAN_UP)))
    try:
        yield
    finally:
        faulthandler.cancel_dump_traceback_later()


def _watch(config: pytest.Config, limit_s: float) -> None:
    faulthandler.dump_traceback_later(limit_s, exit=True, file=config.stash[STDERR_FD])
