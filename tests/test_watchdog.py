"""The watchdog on suites that hang: it ends them, names the test and shows where it stood."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import REPOSITORY

pytestmark = pytest.mark.slow
SUITE = "-p tests.watchdog -p no:cacheprovider -n 2 --dist loadgroup --max-worker-restart=0"
LOCK_TWICE = """
import ctypes
def hang(library=ctypes.CDLL):
    place, lock = (ctypes.c_char * 64)(), library(None).pthread_mutex_lock
    lock(place), lock(place)
"""
HANGS = {
    "in C": "def test_it(): hang()",
    "in C with the interpreter's lock": "def test_it(): hang(ctypes.PyDLL)",
    "in the clean-up after its time": """
from concurrent.futures import ThreadPoolExecutor
def test_it():
    with ThreadPoolExecutor(1) as pool:
        pool.submit(hang).result()
""",
    "in a fixture after a failure": """
import pytest
@pytest.fixture
def thing():
    yield
    hang()
def test_it(thing): assert False
""",
}


LONG = """
import pytest, time
@pytest.mark.timeout(60)
def test_it(): time.sleep(14)
"""


def run_suite(
    folder: Path, hanging: str, *, timeout_s: int = 2, clean_up_s: int = 2
) -> subprocess.CompletedProcess[str]:
    """The tests of a file beside three that do nothing."""
    (folder / "pytest.ini").write_text("[pytest]\n")
    (folder / "test_hanging.py").write_text(hanging)
    (folder / "test_others.py").write_text("def test_one(): pass\ndef test_two(): pass\ndef test_three(): pass\n")
    limits = ["-o", f"timeout={timeout_s}", "-o", f"clean_up_s={clean_up_s}"]
    words = [*SUITE.split(), *limits, "--rootdir", str(folder), str(folder)]
    command = [sys.executable, "-m", "pytest", *words]
    return subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, timeout=300, check=False)


@pytest.mark.parametrize("where", HANGS)
def test_a_suite_that_hangs_ends_and_names_the_test(tmp_path: Path, where: str) -> None:
    done = run_suite(tmp_path, LOCK_TWICE + HANGS[where])
    assert done.returncode == 1
    assert "crashed while running 'test_hanging.py::test_it'" in done.stdout
    assert "in hang\n" in done.stderr, "the stack"


def test_a_test_may_have_a_limit_of_its_own(tmp_path: Path) -> None:
    done = run_suite(tmp_path, LONG, timeout_s=1, clean_up_s=10)
    assert done.returncode == 0, done.stderr
    assert "4 passed" in done.stdout
