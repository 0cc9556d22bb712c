"""Keeps one test's Dagster instance from another test.

Belongs here: what Dagster leaves behind in the process. Does not belong here: homes and servers.

A Dagster context that nobody closes ends when it is collected, out of turn, and what was set when it began comes back.
That may be the storage of an instance that is gone, and then everything fails that resolves definitions.
"""

from __future__ import annotations

import pytest
from dagster._core.errors import DagsterInvariantViolationError
from dagster._core.storage.defs_state.base import DefsStateStorage, _current_storage


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup() -> None:
    """Before the fixtures of every test."""
    if is_instance_gone(DefsStateStorage.get()):
        _current_storage.set(None)


def is_instance_gone(storage: DefsStateStorage | None) -> bool:
    """Whether a storage is left of an instance that is not there any more."""
    try:
        return storage is not None and storage._instance is None
    except DagsterInvariantViolationError:
        return True
