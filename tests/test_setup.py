"""Set-up and make, with their real scripts: what they say when they cannot, and what they hand on."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[1]
TOOLS = ("sh", "cat", "cksum", "dirname")


@pytest.fixture
def bare_machine(tmp_path: Path) -> Path:
    """A copy of what set-up reads, and a PATH without any Python."""
    checkout, programs = tmp_path / "checkout", tmp_path / "bin"
    programs.mkdir()
    for tool in TOOLS:
        (programs / tool).symlink_to(shutil.which(tool) or tool)
    shutil.copytree(REPOSITORY / "scripts", checkout / "scripts")
    for name in ("pyproject.toml", "requirements.lock"):
        shutil.copy(REPOSITORY / name, checkout)
    return checkout


def set_up(checkout: Path, *sets: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["sh", "scripts/setup.sh", *sets],
        cwd=checkout,
        env={"PATH": str(checkout.parent / "bin"), **variables},
        capture_output=True,
        text=True,
        check=False,
    )


def test_without_python_there_is_one_clear_line(bare_machine: Path) -> None:
    result = set_up(bare_machine, "base")
    assert result.returncode == 1
    assert result.stderr.count("\n") == 1
    assert "Python 3.11 was not found" in result.stderr


def test_another_python_is_not_taken(bare_machine: Path) -> None:
    other = bare_machine.parent / "bin" / "python3"
    other.write_text("#!/bin/sh\nexit 1\n")  # what `sys.exit(version != (3, 11))` says in any other version
    other.chmod(0o755)
    assert "Python 3.11 was not found" in set_up(bare_machine, "base").stderr


def test_a_python_without_venv_is_named_with_what_to_install(bare_machine: Path) -> None:
    python = bare_machine.parent / "bin" / "python3.11"
    python.write_text('#!/bin/sh\ncase "$*" in *ensurepip*) exit 1 ;; esac\n')
    python.chmod(0o755)
    result = set_up(bare_machine, "base")
    assert result.returncode == 1
    assert "python3.11 cannot make virtual environments" in result.stderr
    assert "python3.11-venv" in result.stderr


def test_an_unknown_set_is_named(bare_machine: Path) -> None:
    result = set_up(bare_machine, "everything")
    assert result.returncode != 0
    assert "'everything'" in result.stderr


@pytest.mark.parametrize(
    "name", ["a b.mp4", "a,b (1).mp4", "операция №1.mp4", "$HOME $(date) `id`.mp4", "it's.mp4", 'say "x".mp4', "*.mp4"]
)
def test_make_hands_on_a_path_as_it_was_written(tmp_path: Path, name: str) -> None:
    show = tmp_path / "python"
    show.write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n')
    show.chmod(0o755)
    result = subprocess.run(
        ["make", "process", f"VIDEO=/videos/{name}", "PROFILE=fast_debug", f"PYTHON_BIN={show}", "BASE=@true"],
        cwd=REPOSITORY,
        env={name: value for name, value in os.environ.items() if not name.startswith("MAKE")},
        capture_output=True,
        text=True,
        check=True,
    )
    assert result.stdout.splitlines() == ["-m", "commands.process", f"/videos/{name}", "--profile", "fast_debug"]


def make_dry(*words: str) -> subprocess.CompletedProcess[str]:
    """What make would run; it runs nothing."""
    return subprocess.run(
        ["make", "--dry-run", *words],
        cwd=REPOSITORY,
        env={name: value for name, value in os.environ.items() if not name.startswith("MAKE")},
        capture_output=True,
        text=True,
        check=False,
    )


def test_make_refuses_a_misspelt_variable() -> None:
    refused = make_dry("process", "VIDOE=/videos/own.mp4")
    assert refused.returncode == 2
    assert "no variable VIDOE" in refused.stderr
    assert "VIDEO" in refused.stderr.split("There are:")[1]


def test_make_takes_every_variable_that_its_commands_use() -> None:
    used = set(re.findall(r"\$\$\{?([A-Z_]+)", (REPOSITORY / "Makefile").read_text()))
    taken = make_dry("process", *(f"{name}=1" for name in sorted(used)))
    assert used
    assert (taken.returncode, taken.stderr) == (0, "")
