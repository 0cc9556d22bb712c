"""The watchdog on suites that hang: it ends them, names the test and shows where it stood."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import REPOSITORY

pytestmark = pytest.mark.slow
SUITE = "-p tests.watchdog -p no:cacheprovider -n 2 --dist loadgroup --max-worker-restart=0"
LIMITS = "-o timeout=2 -o clean_up_s=2"
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


@pytest.mark.parametrize("where", HANGS)
def test_a_suite_that_hangs_ends_and_names_the_test(tmp_path: Path, where: str) -> None:
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    (tmp_path / "test_hanging.py").write_text(LOCK_TWICE + HANGS[where])
    (tmp_path / "test_others.py").write_text("def test_one(): pass\ndef test_two(): pass\ndef test_three(): pass\n")
    command = [
        sys.executable,
        "-m",
        "pytest",
        *SUITE.split(),
        *LIMITS.split(),
        "--rootdir",
        str(tmp_path),
        str(tmp_path),
    ]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 1
    assert "crashed while running 'test_hanging.py::test_it'" in done.stdout
    assert "in hang\n" in done.stderr, "the stack"
