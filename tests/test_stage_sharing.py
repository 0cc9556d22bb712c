"""Several readers of one stream: made once, in step, and nobody waits for who is gone."""

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from neurovision_assets.stage import sharing as module
from neurovision_assets.stage.sharing import AHEAD, Sharing, Stopped
from tests.waiting import PATIENCE_S

COUNT = 40


class Source:
    """Notes what was made."""

    def __init__(self, fails_at: int | None = None) -> None:
        self.made: list[int] = []
        self.fails_at = fails_at

    def __call__(self) -> Iterator[int]:
        """Forty numbers, or a fault on the way."""
        for number in range(COUNT):
            if number == self.fails_at:
                raise ValueError("damaged")
            self.made.append(number)
            yield number


def together(sharing: Sharing, readers: dict[str, Callable[[], list[int]]]) -> dict[str, list[int] | BaseException]:
    def run(name: str) -> list[int] | BaseException:
        try:
            return readers[name]()
        except BaseException as error:  # noqa: BLE001 - looked at by the test
            return error
        finally:
            sharing.leave(name)

    with ThreadPoolExecutor(len(readers)) as pool:
        return dict(zip(readers, pool.map(run, readers), strict=True))


def test_what_costs_is_done_once_and_everybody_gets_all_of_it():
    source, sharing = Source(), Sharing("abc")
    got = together(sharing, {name: lambda name=name: list(sharing.read(name, "k", source)) for name in "abc"})
    assert got == {name: list(range(COUNT)) for name in "abc"}
    assert source.made == list(range(COUNT))


def test_the_fastest_is_never_far_ahead_of_the_slowest():
    source, sharing = Source(), Sharing("ab")
    slow_at, lead = [0], []

    def slow() -> list[int]:
        for number in sharing.read("a", "k", source):
            slow_at[0] = number
            time.sleep(0.002)
        return []

    def fast() -> list[int]:
        for number in sharing.read("b", "k", source):
            lead.append(number - slow_at[0])
        return []

    together(sharing, {"a": slow, "b": fast})
    assert len(lead) == COUNT
    assert max(lead) <= AHEAD + 1


def test_one_who_fails_half_way_holds_nobody_up():
    source, sharing = Source(), Sharing("ab")

    def fails() -> list[int]:
        for number in sharing.read("a", "k", source):
            if number == 3:
                raise RuntimeError("mine alone")
        return []

    got = together(sharing, {"a": fails, "b": lambda: list(sharing.read("b", "k", source))})
    assert got["b"] == list(range(COUNT))
    assert str(got["a"]) == "mine alone"


def test_one_who_never_reads_holds_nobody_up():
    source, sharing = Source(), Sharing("ab")
    got = together(sharing, {"a": list, "b": lambda: list(sharing.read("b", "k", source))})
    assert got["b"] == list(range(COUNT))


def test_who_comes_too_late_reads_alone(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "JOIN_WAIT_S", 0.01)
    source, sharing = Source(), Sharing("ab")
    begun = threading.Event()

    def first() -> list[int]:
        got = []
        for number in sharing.read("a", "k", source):
            got.append(number)
            begun.set()
        return got

    def second() -> list[int]:
        begun.wait(PATIENCE_S)
        return list(sharing.read("b", "k", source))

    got = together(sharing, {"a": first, "b": second})
    assert got == {"a": list(range(COUNT)), "b": list(range(COUNT))}
    assert len(source.made) == 2 * COUNT


def test_a_second_reading_of_the_same_stage_is_its_own():
    source, sharing = Source(), Sharing("ab")

    def twice() -> list[int]:
        return list(sharing.read("a", "k", source)) + list(sharing.read("a", "k", source))

    got = together(sharing, {"a": twice, "b": lambda: list(sharing.read("b", "k", source))})
    assert got["a"] == list(range(COUNT)) * 2


def test_a_fault_of_the_source_reaches_everybody():
    source, sharing = Source(fails_at=5), Sharing("ab")
    got = together(sharing, {name: lambda name=name: list(sharing.read(name, "k", source)) for name in "ab"})
    assert [str(error) for error in got.values()] == ["damaged", "damaged"]


def test_a_cancelled_run_ends_its_readers():
    source, sharing = Source(), Sharing("ab")

    def reads(name: str) -> list[int]:
        for number in sharing.read(name, "k", source):
            if number == 3:
                sharing.stop()
        return []

    got = together(sharing, {name: lambda name=name: reads(name) for name in "ab"})
    assert all(isinstance(error, Stopped) for error in got.values())
    assert len(source.made) < COUNT


def test_alone_nothing_is_shared():
    source, sharing = Source(), Sharing()
    assert list(sharing.read("a", "k", source)) == list(range(COUNT))


def test_a_cancelled_reader_is_no_failed_stage():
    assert not issubclass(Stopped, Exception), "stages record every Exception as the video's fault"
