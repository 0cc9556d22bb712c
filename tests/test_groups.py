"""How tests are divided among processes, in small suites of their own.

Tests of one group run in one process, one after another: daemons would take each other's ports and time. So do tests
that share a module's fixture, which would be made in every process. Slow tests begin first.

Belongs here: that the installed pytest and xdist honour it (pytest 9.2 with xdist 3.8 does not, and says nothing).
"""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import REPOSITORY
from tests.waiting import PATIENCE_S

pytestmark = pytest.mark.slow
SUITE = "-p tests.workers -p no:cacheprovider -n 2 --dist loadgroup --no-loadscope-reorder"
NOTE = """
import os, pathlib, pytest, time
def note(name):
    with pathlib.Path(__file__).with_name(name).open("a") as file:
        file.write(os.environ["PYTEST_XDIST_WORKER"] + "\\n")
"""
GROUPED = """
@pytest.mark.xdist_group("together")
@pytest.mark.parametrize("number", range(4))
def test_it(number):
    time.sleep(0.2)
    note("workers")
"""
SHARING = """
@pytest.fixture(scope="module")
def thing():
    note("made")
@pytest.mark.parametrize("number", range(6))
def test_it(thing, number):
    time.sleep(0.2)
"""
QUICK_AND_SLOW = """
@pytest.mark.parametrize("number", range(8))
def test_it(number):
    note("begun")
@pytest.mark.slow
def test_slow():
    before = pathlib.Path(__file__).with_name("begun")
    done = before.read_text().split() if before.exists() else []
    note("slow after %d" % done.count(os.environ["PYTEST_XDIST_WORKER"]))
"""


@pytest.fixture(scope="module")
def suite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A suite of these files that was run in two processes; all passed."""
    folder = tmp_path_factory.mktemp("suite")
    (folder / "pytest.ini").write_text("[pytest]\nmarkers = slow: takes long\n")
    for name, content in {"one": GROUPED, "two": GROUPED, "sharing": SHARING, "last": QUICK_AND_SLOW}.items():
        (folder / f"test_{name}.py").write_text(NOTE + content)
    command = [sys.executable, "-m", "pytest", *SUITE.split(), "--rootdir", str(folder), str(folder)]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, timeout=PATIENCE_S, check=False)
    assert done.returncode == 0, done.stdout
    return folder


def test_a_group_has_one_worker(suite: Path) -> None:
    workers = (suite / "workers").read_text().split()
    assert len(workers) == 8
    assert len(set(workers)) == 1


def test_a_fixture_of_a_module_is_made_once(suite: Path) -> None:
    assert len((suite / "made").read_text().split()) == 1


def test_slow_tests_begin_first(suite: Path) -> None:
    [noted] = suite.glob("slow after *")
    assert noted.name == "slow after 0", "its worker has done nothing else before"
