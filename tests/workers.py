"""How the suite is divided among xdist's workers, a pytest plugin.

Belongs here: which tests stay together, and what begins first. Does not belong here: how many workers there are (the
Makefile), what must not run side by side (``xdist_group`` in the files).

Work is handed out in units, a group's tests or a single one. A fixture of a module is made by every worker that gets
one of its tests, so tests that share one are a group. The longest groups and the slow tests begin first: else a worker
that comes to them late ends long after the others. ``--no-loadscope-reorder`` keeps xdist from ordering by number.
"""

from __future__ import annotations

import pytest

LONGEST_FIRST = ("platform", "retraining", "marts", "test_datasets", "postgres", "triton", "seaweedfs")
"""Groups that take minutes, by `--durations=0`; the others come behind."""


@pytest.hookimpl(tryfirst=True)  # before xdist reads the groups
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Give groups and an order; where nothing is divided, tests run as they stand in their files."""
    if not hasattr(config, "workerinput"):
        return
    for item in items:
        if shares_a_fixture(item) and not item.get_closest_marker("xdist_group"):
            item.add_marker(pytest.mark.xdist_group(item.path.stem))
    slow = {unit_of(item) for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: place_of(unit_of(item), slow))


def shares_a_fixture(item: pytest.Item) -> bool:
    """Whether a test uses a fixture that lives as long as its module; pytest tells it to nobody but itself."""
    fixtures = item._fixtureinfo.name2fixturedefs.values()  # type: ignore[attr-defined]
    return any(versions[-1].scope in ("class", "module") for versions in fixtures)


def unit_of(item: pytest.Item) -> str:
    """The test's group, or the test."""
    group = item.get_closest_marker("xdist_group")
    return group.args[0] if group else item.nodeid


def place_of(unit: str, slow: set[str]) -> int:
    """Units with smaller numbers begin first."""
    if unit in LONGEST_FIRST:
        return LONGEST_FIRST.index(unit)
    return len(LONGEST_FIRST) + (unit not in slow)
