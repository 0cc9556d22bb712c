"""A training that is killed at any moment and started again ends with the weights of the uninterrupted one.

The moment is drawn anew each time; `KILL_SEED=… pytest tests/test_killed_training.py` repeats one. Needs torch.
"""

from __future__ import annotations

import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch", reason="torch is absent: install the extra 'train' to test training")

from tests.conftest import REPOSITORY
from tests.killed_training import BEGUN, DONE, KEPT, TRAININGS

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]
SEED_VARIABLE = "KILL_SEED"
LONGEST_PAUSE_S = 2.0


@contextmanager
def training(model: str, checkpoint: Path) -> Iterator[subprocess.Popen[str]]:
    """A process that trains."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.killed_training", model, str(checkpoint)],
        cwd=REPOSITORY,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def whole_output(model: str, checkpoint: Path) -> list[str]:
    """What a training says that nobody kills."""
    with training(model, checkpoint) as process:
        said, _ = process.communicate()
    assert process.returncode == 0
    return said.splitlines()


def kill(model: str, checkpoint: Path, after: int, share: float) -> None:
    """Kill a training when it has told so many steps, and a share of a step's time later: perhaps while it writes."""
    with training(model, checkpoint) as process:
        assert process.stdout is not None
        assert process.stdout.readline().strip() == BEGUN
        told_s = [time.monotonic()]
        for _ in range(after):
            assert process.stdout.readline().strip() == KEPT
            told_s.append(time.monotonic())
        step_s = told_s[-1] - told_s[-2] if after else LONGEST_PAUSE_S
        time.sleep(share * min(step_s, LONGEST_PAUSE_S))
        process.kill()
        process.wait()
        assert process.returncode == -signal.SIGKILL


@pytest.mark.parametrize("model", sorted(TRAININGS))
def test_killed_at_a_random_moment_and_resumed_gives_the_same_weights(tmp_path: Path, model: str) -> None:
    seed = int(os.environ.get(SEED_VARIABLE) or secrets.randbelow(2**32))
    rng = np.random.default_rng(seed)
    begun, *kept, expected = whole_output(model, tmp_path / "whole.npz")
    assert (begun, set(kept)) == (BEGUN, {KEPT})
    assert expected.startswith(DONE)

    after, share = int(rng.integers(0, len(kept) + 1)), float(rng.random())
    moment = f"{SEED_VARIABLE}={seed}: after step {after} of {len(kept)} and {share:.0%} of the next"
    print(moment)
    checkpoint = tmp_path / "state.npz"
    kill(model, checkpoint, after, share)
    assert checkpoint.is_file() or after == 0, moment

    _, *again, found = whole_output(model, checkpoint)
    assert found == expected, f"{moment}: other weights, or other curves"
    assert len(again) <= len(kept) - after, f"{moment}: it began anew instead of going on"
