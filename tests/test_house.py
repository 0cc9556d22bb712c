"""The rules of the house: who may import whom, what modules look like, what documents promise."""

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from pydantic.fields import FieldInfo

from resources.settings import Secrets, Settings

REPOSITORY = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())
README = (REPOSITORY / "README.md").read_text()
CONFIGURATION = (REPOSITORY / "docs" / "configuration.md").read_text()
FLOW = (
    "simulator",
    "models",
    "resources",
    "neurovision_assets",
    "jobs",
    "sensors",
    "neurovision_assets.definitions",
    "commands",
    "benchmarks",
)
"""A module may import from its own place and from those before it."""
DEFINITIONS = ("neurovision_assets.definitions", "neurovision_assets.marts.definitions")
"""What each code location loads; all of them stand at the same place."""
LONGEST_FILE = 400
MACHINE_PATH = re.compile(r"(?<![\w.])/(?:work|farm|root|home|Users)/|/tmp/[w]\b")
FORKS = re.compile(r"os\.fork|context\(\W?fork|ProcessPoolExecutor\((?!.*mp_context)|multiprocessing\.(Process|Pool)")
REGISTRY_HOST = re.compile(r"py" r"pi\.org|python" r"hosted\.org|registry\.npm" r"js")


def tracked(pattern: str) -> list[Path]:
    """Files that git knows or would add."""
    listing = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard", "--", pattern],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=True,
    )
    paths = [REPOSITORY / line for line in listing.stdout.splitlines()]
    return [path for path in paths if path.is_file()]


MODULES = {path.relative_to(REPOSITORY): path.read_text() for path in tracked("*.py")}


def module_name(path: Path) -> str:
    return ".".join(path.with_suffix("").parts).removesuffix(".__init__")


def place(module: str) -> int | None:
    """Where in the flow a module stands; None for what is not ours or, like tests, is outside of it."""
    if module.startswith(DEFINITIONS):
        return FLOW.index(DEFINITIONS[0])
    root = module.partition(".")[0]
    return FLOW.index(root) if root in FLOW else None


def imports(source: str) -> Iterator[tuple[int, str]]:
    """Line and full name of everything that a module imports, inside functions too."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            prefix = "." * node.level + (node.module or "")
            yield from ((node.lineno, f"{prefix}.{alias.name}") for alias in node.names)


def wrong_imports(path: Path, source: str) -> list[str]:
    """Imports against the flow, and relative ones, which hide where they lead."""
    here = place(module_name(path))
    if here is None:
        return []
    found = []
    for line, name in imports(source):
        there = place(name)
        if name.startswith(".") or (there is not None and there > here):
            found.append(f"{path}:{line} imports {name}")
    return found


def test_imports_run_one_way() -> None:
    assert [problem for path, source in MODULES.items() for problem in wrong_imports(path, source)] == []


@pytest.mark.parametrize(
    ("path", "line"),
    [
        ("simulator/a.py", "import models.labels"),
        ("resources/a.py", "from neurovision_assets import tables"),
        ("jobs/a.py", "from neurovision_assets.definitions import defs"),
        ("neurovision_assets/a.py", "def f():\n    import sensors"),
        ("neurovision_assets/a.py", "from neurovision_assets.marts.definitions import defs"),
        ("neurovision_assets/marts/a.py", "from jobs.marts import marts_job"),
        ("models/a.py", "from . import labels"),
    ],
)
def test_an_import_against_the_flow_is_found(path: str, line: str) -> None:
    assert wrong_imports(Path(path), line)


def test_every_module_says_what_belongs_in_it() -> None:
    assert [str(path) for path, source in MODULES.items() if not ast.get_docstring(ast.parse(source))] == []


def test_no_file_has_two_tenants() -> None:
    lengths = {str(path): source.count("\n") for path, source in MODULES.items()}
    assert {path: lines for path, lines in lengths.items() if lines > LONGEST_FILE} == {}


def test_no_process_is_forked() -> None:
    """A fork of a process with threads may wait for ever for a lock that one of them held."""
    found = [str(path) for path, source in MODULES.items() if FORKS.search(source) and path.name != "test_house.py"]
    assert found == []


def test_nothing_names_a_machine_or_a_registry() -> None:
    found = []
    for path in tracked("."):
        try:
            lines = path.read_text(encoding="utf-8").splitlines()
        except UnicodeDecodeError:
            continue
        found += [
            f"{path.relative_to(REPOSITORY)}:{number}"
            for number, line in enumerate(lines, 1)
            if MACHINE_PATH.search(line) or REGISTRY_HOST.search(line)
        ]
    assert found == []


def test_the_code_location_loads_without_heavy_libraries() -> None:
    """What this imports, every run pays for; the lint rule sees module by module, this sees what is drawn in."""
    banned = PROJECT["tool"]["ruff"]["lint"]["flake8-tidy-imports"]["banned-module-level-imports"]
    code = f"import sys, neurovision_assets.definitions; print(*sorted(set({banned!r}) & set(sys.modules)))"
    loaded = subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True, check=True)
    assert loaded.stdout.split() == []


def pins(lock: str) -> dict[str, str]:
    lines = (REPOSITORY / lock).read_text().splitlines()
    return dict(line.split("==") for line in lines if line and not line.startswith("#"))


def test_the_locks_hold_what_the_project_asks_for() -> None:
    wanted = {
        "requirements.lock": PROJECT["project"]["dependencies"] + PROJECT["build-system"]["requires"],
        "requirements-test.lock": PROJECT["project"]["optional-dependencies"]["test"],
        "requirements-train.lock": PROJECT["project"]["optional-dependencies"]["train"],
    }
    missing = []
    for lock, lines in wanted.items():
        pinned = {name.lower().replace("_", "-"): version for name, version in pins(lock).items()}
        for requirement in map(Requirement, lines):
            version = pinned.get(requirement.name.lower().replace("_", "-"))
            if version is None or not requirement.specifier.contains(version):
                missing.append(f"{lock}: {requirement} ({version})")
    assert missing == []


def test_every_package_is_named() -> None:
    """Packages are named explicitly, so a forgotten one would be missing from a wheel."""
    outside = {"tests", "benchmarks"}
    packages = {module_name(path) for path in MODULES if path.name == "__init__.py"}
    assert set(PROJECT["tool"]["setuptools"]["packages"]) == {p for p in packages if p.partition(".")[0] not in outside}


def test_every_make_target_is_listed_and_phony() -> None:
    makefile = (REPOSITORY / "Makefile").read_text()
    targets = set(re.findall(r"^([a-z-]+):", makefile, re.MULTILINE))
    assert targets == set(re.findall(r"^([a-z-]+):.*## ", makefile, re.MULTILINE))
    assert targets == set(re.search(r"^\.PHONY: (.*)$", makefile, re.MULTILINE)[1].split())  # type: ignore[index]


@pytest.mark.parametrize("document", [path.relative_to(REPOSITORY).as_posix() for path in tracked("*.md")])
def test_documents_name_only_what_exists(document: str) -> None:
    text = (REPOSITORY / document).read_text()
    targets = set(re.findall(r"^([a-z-]+):", (REPOSITORY / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"`make ([a-z-]+)", text)) - targets == set()
    links = {link.partition("#")[0] for link in re.findall(r"\]\(([^)]+)\)", text) if "://" not in link}
    assert [link for link in links if link and not (REPOSITORY / document).parent.joinpath(link).exists()] == []


def test_the_readme_names_the_two_commands() -> None:
    assert "make process" in README
    assert "make test" in README


def test_every_setting_is_documented_as_it_is() -> None:
    rows = re.findall(r"^\| `([A-Z0-9_]+)` \| (.*?) \| (.*) \|$", CONFIGURATION, re.MULTILINE)
    told = {name: (default.strip("`"), meaning) for name, default, meaning in rows}
    fields = {f"NEUROVISION_{name.upper()}": field for name, field in Settings.model_fields.items()}
    fields |= {name.upper(): field for name, field in Secrets.model_fields.items()}
    assert told == {name: (default_of(field), field.description) for name, field in fields.items()}


def default_of(field: FieldInfo) -> str:
    """A default in words: of a folder its name, since the rest is this checkout's."""
    if isinstance(field.default, Path):
        return field.default.name
    if isinstance(field.default, bool):
        return str(field.default).lower()
    return {"": "empty", "None": "none"}.get(str(field.default), str(field.default))
