"""Writes the locks from ``pyproject.toml``: what runs need, what tests add, what training and the learning loop add.

Belongs here: resolving, with today's pins as constraints, so that only what must move moves. Does not belong here:
installing (``scripts/setup.sh``). Use: ``.venv/bin/python -m scripts.lock``; to move a pin, delete its line first.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
LOCKS = {
    "base": "requirements.lock",
    **{name: f"requirements-{name}.lock" for name in ("test", "train", "learn", "services")},
}
PURPOSES = {
    "base": "What `make process` and `make up` need.",
    "test": "What `make test` adds to requirements.lock.",
    "train": "What `make models` adds: PyTorch and the ONNX exporter.",
    "learn": "What the learning loop adds: DVC, Great Expectations, MLflow, dbt.",
    "services": "What production's services add: clients of PostgreSQL, S3, Triton, Kubernetes, and metrics.",
}
HEADER = """# {purpose}
# Written by scripts/lock.py from pyproject.toml for Python 3.11, Linux x86_64; complete, so that pip resolves nothing.
"""
LEFT_OUT = {"opencv-python"}
"""TrackEval asks for it; it has the same files as opencv-python-headless and needs a screen's libraries."""
RESOLVE = ("install", "--quiet", "--dry-run", "--ignore-installed", "--report", "-")


def resolve(requirements: list[str], pins: list[str]) -> dict[str, str]:
    """Names and versions that pip would install into an empty environment; local version labels (+cpu) are dropped."""
    with tempfile.TemporaryDirectory() as folder:
        wanted, constraints = Path(folder, "wanted.txt"), Path(folder, "constraints.txt")
        wanted.write_text("\n".join(requirements))
        constraints.write_text("\n".join(pins))
        command = [sys.executable, "-m", "pip", *RESOLVE, "-c", str(constraints), "-r", str(wanted)]
        output = subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout
    installs = [item["metadata"] for item in json.loads(output)["install"]]
    return {
        item["name"]: item["version"].partition("+")[0] for item in installs if item["name"].lower() not in LEFT_OUT
    }


def main() -> None:
    """Resolve each set on top of the base and write what it adds; sets may share packages, in one version."""
    with (ROOT / "pyproject.toml").open("rb") as file:
        content = tomllib.load(file)
    project, build = content["project"], content["build-system"]["requires"]
    sets = {"base": project["dependencies"] + build, **project["optional-dependencies"]}
    pins = [line for name in LOCKS.values() for line in _pins(ROOT / name)]
    base: dict[str, str] = {}
    for name, lock in LOCKS.items():
        resolved = resolve([*sets["base"], *sets[name]], pins)
        base = base or resolved
        own = [f"{key}=={version}" for key, version in resolved.items() if name == "base" or key not in base]
        (ROOT / lock).write_text(HEADER.format(purpose=PURPOSES[name]) + "\n".join(sorted(own, key=str.lower)) + "\n")
        pins += own


def _pins(lock: Path) -> list[str]:
    return [line for line in lock.read_text().splitlines() if "==" in line] if lock.is_file() else []


if __name__ == "__main__":
    main()
