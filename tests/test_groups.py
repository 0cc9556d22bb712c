"""Tests of one group run in one process, one after another: daemons would take each other's ports and time.

Belongs here: that the installed pytest and xdist honour groups (pytest 9.2 with xdist 3.8 does not, and says nothing).
"""

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow
GROUPED = """
import os, pytest, time
@pytest.mark.xdist_group("together")
@pytest.mark.parametrize("number", range(4))
def test_it(number):
    time.sleep(0.2)
    with open("workers", "a") as workers:
        workers.write(os.environ["PYTEST_XDIST_WORKER"] + "\\n")
"""


def test_a_group_has_one_worker(tmp_path: Path) -> None:
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    for name in ("test_one.py", "test_two.py"):
        (tmp_path / name).write_text(GROUPED)
    command = [sys.executable, "-m", "pytest", "-n", "2", "--dist", "loadgroup"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout
    workers = (tmp_path / "workers").read_text().split()
    assert len(workers) == 8
    assert len(set(workers)) == 1
