"""Locks of a bucket: PostgreSQL's where many machines share it, ended by the server when their process dies."""

import multiprocessing
import time
from multiprocessing.synchronize import Event
from pathlib import Path

import pytest

from resources.errors import NeuroVisionError, TransientFailure
from resources.object_store import ObjectStore, locks
from resources.object_store.locks import VARIABLE, PostgresLocks
from resources.settings import load_settings
from tests.waiting import PATIENCE_S

pytestmark = [pytest.mark.services, pytest.mark.xdist_group("postgres")]
PROCESSES = multiprocessing.get_context("spawn")
STORE = "s3://bucket/prefix"


def _hold(url: str, held: Event) -> None:
    with PostgresLocks(url, STORE).hold("surgery/phases"):
        held.set()
        time.sleep(600)


def _take(url: str, begun: Event, taken: Event) -> None:
    begun.set()
    with PostgresLocks(url, STORE).hold("surgery/phases"):
        taken.set()


def test_a_lock_is_respected_and_ends_with_the_process_that_held_it(database_url: str):
    held, begun, taken = PROCESSES.Event(), PROCESSES.Event(), PROCESSES.Event()
    holder = PROCESSES.Process(target=_hold, args=(database_url, held), daemon=True)
    holder.start()
    assert held.wait(PATIENCE_S)
    for other in (
        PostgresLocks(database_url, STORE).hold("surgery/frames"),
        PostgresLocks(database_url, "s3://x").hold("surgery/phases"),
    ):
        with other:
            pass
    waiter = PROCESSES.Process(target=_take, args=(database_url, begun, taken), daemon=True)
    waiter.start()
    assert begun.wait(PATIENCE_S)
    assert not taken.wait(1.0), "two processes hold the same lock"
    holder.kill()
    assert taken.wait(PATIENCE_S)


def test_a_lock_that_is_never_given_back_is_a_named_failure(database_url: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(locks, "LOCK_WAIT_S", 0.2)
    mine, other = PostgresLocks(database_url, STORE), PostgresLocks(database_url, STORE)
    with (
        mine.hold("claim-x"),
        pytest.raises(TransientFailure, match=r"^claim-x: Another process holds this lock"),
        other.hold("claim-x"),
    ):
        pass


def test_a_database_that_does_not_answer_is_a_named_failure():
    with (
        pytest.raises(NeuroVisionError, match="x: The database of locks") as told,
        PostgresLocks("postgresql://u:planted@127.0.0.1:1/x", STORE).hold("x"),
    ):
        pass
    assert "planted" not in str(told.value)


def test_a_bucket_s_locks_are_those_of_the_database_where_there_is_one(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("NEUROVISION_HOME", str(tmp_path))
    monkeypatch.setenv("NEUROVISION_OBJECT_STORE_URL", STORE)
    assert not ObjectStore.of(load_settings()).locks_in_database
    monkeypatch.setenv(VARIABLE, database_url)
    store = ObjectStore.of(load_settings())
    monkeypatch.setattr(locks, "LOCK_WAIT_S", 0.2)
    with store.lock("a"), pytest.raises(TransientFailure), PostgresLocks(database_url, STORE).hold("a"):
        pass
    assert not (tmp_path / "locks").exists()
