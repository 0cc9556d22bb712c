"""One test's Dagster instance is not another's."""

import gc
from pathlib import Path

import dagster as dg
from dagster._core.storage.defs_state.base import DefsStateStorage

from tests.isolation import is_instance_gone, pytest_runtest_setup


def ended_out_of_turn(folder: Path) -> None:
    """Two instances, the first of which ends first."""
    folders = [folder / "one", folder / "other"]
    for own in folders:
        own.mkdir()
    one, other = (dg.DagsterInstance.local_temp(str(own)) for own in folders)
    one.__enter__()
    other.__enter__()
    one.__exit__(None, None, None)
    other.__exit__(None, None, None)


def test_an_instance_that_is_gone_is_forgotten(tmp_path: Path) -> None:
    ended_out_of_turn(tmp_path)
    gc.collect()
    assert is_instance_gone(DefsStateStorage.get())
    pytest_runtest_setup()
    assert DefsStateStorage.get() is None


def test_one_that_is_there_is_kept(tmp_path: Path) -> None:
    with dg.DagsterInstance.local_temp(str(tmp_path)):
        there = DefsStateStorage.get()
        pytest_runtest_setup()
        assert there is not None
        assert DefsStateStorage.get() is there
