"""Fixtures that more than one test file needs.

Belongs here: where shared data lies, throw-away homes. Does not belong here: helpers of a single subject.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

pytest_plugins = [
    "tests.watchdog",
    "tests.workers",
    "tests.isolation",
    "tests.servers",
    "tests.s3_server",
    "tests.triton_server",
]

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
"""PyTorch's threads of one worker would spin for the cores that the other worker computes on (three times the time)."""

settings.register_profile("house", deadline=None, suppress_health_check=[HealthCheck.too_slow])
"""A deadline is a timed test: it fails on a busy machine."""
settings.load_profile("house")

REPOSITORY = Path(__file__).resolve().parents[1]
SHARED_DATA = REPOSITORY.parent / "shared" / "data"


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder with real data beside the repository; the test is skipped, with the reason, where it is absent."""
    if not SHARED_DATA.is_dir():
        pytest.skip(f"real data is absent: {SHARED_DATA} does not exist")
    return SHARED_DATA
