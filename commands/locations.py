"""Which code locations ``make up`` loads: those whose libraries are installed.

Belongs here: leaving a location out, and saying how to get it. Does not belong here: the locations themselves
(``workspace.yaml``), starting servers (``up``).
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

import yaml

from resources.settings import Settings

NEEDS: Final = {"marts": ("dagster_dbt", "learn")}
"""By code location: a library that only some sets install, and the set."""


def usable_workspace(workspace: Path, settings: Settings) -> tuple[Path, list[str]]:
    """The workspace to start with.

    Args:
        workspace: as it is in the repository.
        settings: where a shorter one may be written.

    Returns:
        Its path, the given one where nothing is left out; and a line for each location that is.
    """
    content: dict[str, Any] = yaml.safe_load(workspace.read_text(encoding="utf-8"))
    missing = {name: of_set for name, (library, of_set) in NEEDS.items() if find_spec(library) is None}
    kept = [entry for entry in content["load_from"] if _name(entry) not in missing]
    left_out = [str(_name(entry)) for entry in content["load_from"] if _name(entry) in missing]
    if not left_out:
        return workspace, []
    shorter = settings.home.absolute() / "run" / "workspace.yaml"
    shorter.parent.mkdir(parents=True, exist_ok=True)
    shorter.write_text(yaml.safe_dump({**content, "load_from": kept}), encoding="utf-8")
    return shorter, [f"{name}: left out; sh scripts/setup.sh base {missing[name]} installs it" for name in left_out]


def _name(entry: dict[str, Any]) -> str | None:
    """A location's name, None where the entry gives none."""
    module = entry.get("python_module")
    return module.get("location_name") if isinstance(module, dict) else None
