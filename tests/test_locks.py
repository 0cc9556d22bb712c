"""The locks: each is complete on top of the base's, and all name one version of a package.

Belongs here: what a clone gets that installs some of the sets. Does not belong here: installing (`test_setup`).
"""

from __future__ import annotations

import tomllib
from importlib.metadata import distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from scripts.lock import LEFT_OUT, LOCKS, ROOT

SETS = [name for name in LOCKS if name != "base"]


def locked(name: str) -> dict[str, str]:
    """Version by package in a set's lock."""
    lines = Path(ROOT, LOCKS[name]).read_text(encoding="utf-8").splitlines()
    pairs = (line.split("==") for line in lines if "==" in line)
    return {canonicalize_name(package): version for package, version in pairs}


def needed(name: str) -> set[str]:
    """All that a set's requirements need, as what is installed says."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    wanted = project["dependencies"] if name == "base" else project["optional-dependencies"][name]
    found: set[str] = set()
    seen: set[tuple[str, frozenset[str]]] = set()
    waiting = [Requirement(one) for one in wanted]
    while waiting:
        one = waiting.pop()
        package, extras = canonicalize_name(one.name), frozenset(one.extras)
        if (package, extras) in seen or package in LEFT_OUT:
            continue
        seen.add((package, extras))
        found.add(package)
        for text in distribution(package).requires or []:
            further = Requirement(text)
            if not further.marker or any(further.marker.evaluate({"extra": extra}) for extra in ("", *extras)):
                waiting.append(further)
    return found


@pytest.mark.parametrize("name", ["base", *SETS])
def test_a_set_is_complete_on_top_of_the_base(name: str) -> None:
    """`make import` installs base and learn: what learn needs must not stand in the tests' lock alone."""
    assert sorted(needed(name) - set(locked("base")) - set(locked(name))) == []


@pytest.mark.parametrize("name", SETS)
def test_a_package_has_one_version(name: str) -> None:
    versions = {package: version for other in LOCKS for package, version in locked(other).items()}
    assert {package: versions[package] for package in locked(name)} == locked(name)
