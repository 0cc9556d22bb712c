"""How long a newcomer waits for the first report: a fresh clone, packages in pip's cache.

Promised: under 3 minutes. ``python -m benchmarks.fresh_clone``
"""

from __future__ import annotations

import os
import subprocess
import time

from benchmarks.measure import REPOSITORY, machine, scratch


def main() -> None:
    """Print the time from ``git clone`` to the line that names the report."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("NEUROVISION_", "DAGSTER_"))}
    clean.pop("VIRTUAL_ENV", None)
    with scratch() as folder:
        started = time.monotonic()
        subprocess.run(["git", "clone", "-q", str(REPOSITORY), str(folder / "clone")], check=True)
        done = subprocess.run(
            ["make", "process"], cwd=folder / "clone", env=clean, capture_output=True, text=True, check=False
        )
        wall_s = time.monotonic() - started
    if done.returncode != 0:
        raise SystemExit(f"make process failed:\n{done.stdout}\n{done.stderr}")
    print(f"fresh clone to first report: {wall_s:.0f} s ({machine()})")


if __name__ == "__main__":
    main()
