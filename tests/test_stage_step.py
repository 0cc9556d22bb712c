"""Stages side by side, one of which hangs: neither a cancelled step nor the process waits for it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from neurovision_assets.stage import step
from neurovision_assets.stage.work import Work
from tests.conftest import REPOSITORY
from tests.toy_domain import Script, ToyConfig, ToyPlatform, toy_platform

LONGEST_S = 100.0
"""Who waits for the stage that hangs sees it go on after so long."""


@dataclass
class Hanging(Script):
    """A stage begins and does not end."""

    stage: str = "double"
    begun: threading.Event = field(default_factory=threading.Event)
    released: threading.Event = field(default_factory=threading.Event)
    went_on: bool = False

    def play(self, work: Work[ToyConfig]) -> None:
        """Hang, or play on."""
        if work.spec.name == self.stage:
            self.begun.set()
            self.released.wait(LONGEST_S)
            self.went_on = True
        super().play(work)


@pytest.fixture
def hanging(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[ToyPlatform, Hanging]]:
    monkeypatch.setattr(step, "CANCEL_WAIT_S", 0.2)
    with toy_platform(tmp_path) as platform:
        script = Hanging({}, [])
        platform.script = script
        yield platform, script
        script.released.set()
        join_stages()


def join_stages() -> None:
    for thread in threading.enumerate():
        if thread.name.startswith("stage-"):
            thread.join(LONGEST_S)


def test_a_stage_that_never_ends_is_named(
    hanging: tuple[ToyPlatform, Hanging], monkeypatch: pytest.MonkeyPatch
) -> None:
    platform, script = hanging
    monkeypatch.setattr(step, "RUN_TIME_S", 1.0)
    [only] = platform.add("only")
    result = platform.run([only])
    [failure] = [event.step_failure_data for event in result.all_events if event.is_step_failure]
    assert f"{only}: The stage 'double' did not end within 1 s." in str(failure.error_display_string)
    assert ("extra", "only") in script.computed, "its neighbour was not held up"
    assert not script.went_on


def cancel_when_begun(script: Hanging) -> None:
    def cancel() -> None:
        assert script.begun.wait(LONGEST_S)
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=cancel).start()


def test_a_cancelled_step_does_not_wait_for_it(hanging: tuple[ToyPlatform, Hanging]) -> None:
    platform, script = hanging
    [only] = platform.add("only")
    cancel_when_begun(script)
    assert not platform.run([only]).success
    assert not script.went_on


def test_a_cancelled_step_begins_nothing_more(hanging: tuple[ToyPlatform, Hanging]) -> None:
    platform, script = hanging
    script.stage = "seed"
    [only] = platform.add("only")
    cancel_when_begun(script)
    job = platform.definitions(in_one_step=True).resolve_job_def("toy")
    result = job.execute_in_process(instance=platform.instance, partition_key=only, raise_on_error=False)
    assert not result.success
    script.released.set()
    join_stages()
    assert script.computed == [("seed", "only")]


def test_the_process_ends_without_it() -> None:
    code = (
        "import threading; from neurovision_assets.stage import aside;"
        "future = aside.begin('stage', threading.Event().wait); print(future.done())"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True, timeout=LONGEST_S, check=True
    )
    assert done.stdout == "False\n"
