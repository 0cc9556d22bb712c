"""The watchdog on suites that hang: it ends them, names the test and shows where it stood.

Two suites at a time: they wait more than they compute, and more would take each other's time.
"""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.conftest import REPOSITORY
from tests.waiting import PATIENCE_S

pytestmark = pytest.mark.slow
SUITE = "-p tests.watchdog -p no:cacheprovider -n 2 --dist loadgroup --max-worker-restart=0"
LIMITS = "-o timeout=5 -o clean_up_s=5"
"""What every test has, and collecting them; a busy machine must do next to nothing in that time."""
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

Ended = subprocess.CompletedProcess[str]


def run_suite(folder: Path, hanging: str) -> Ended:
    """The tests of a file beside three that do nothing."""
    (folder / "pytest.ini").write_text("[pytest]\n")
    (folder / "test_hanging.py").write_text(hanging)
    (folder / "test_others.py").write_text("def test_one(): pass\ndef test_two(): pass\ndef test_three(): pass\n")
    words = [*SUITE.split(), *LIMITS.split(), "--rootdir", str(folder), str(folder)]
    command = [sys.executable, "-m", "pytest", *words]
    return subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, timeout=PATIENCE_S, check=False)


@pytest.fixture(scope="module")
def ended(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Ended]:
    """Every suite by the place where it hangs; ``nowhere`` takes long."""
    suites = {where: LOCK_TWICE + hang for where, hang in HANGS.items()} | {"nowhere": LONG}
    with ThreadPoolExecutor(2) as pool:
        folders = [tmp_path_factory.mktemp("suite") for _ in suites]
        return dict(zip(suites, pool.map(run_suite, folders, suites.values()), strict=True))


@pytest.mark.parametrize("where", HANGS)
def test_a_suite_that_hangs_ends_and_names_the_test(ended: dict[str, Ended], where: str) -> None:
    done = ended[where]
    assert done.returncode == 1
    assert "crashed while running 'test_hanging.py::test_it'" in done.stdout
    assert "in hang\n" in done.stderr, "the stack"


def test_a_test_may_have_a_limit_of_its_own(ended: dict[str, Ended]) -> None:
    done = ended["nowhere"]
    assert done.returncode == 0, done.stderr
    assert "4 passed" in done.stdout
