"""``make docs``: dbt's own pages about the marts, as one file that opens without a server.

Belongs here: the command. Does not belong here: the texts (``dbt/models``), how dbt is called
(``neurovision_assets/marts/project.py``).
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from resources.errors import ConfigurationError, NeuroVisionError
from resources.settings import Settings, load_settings
from resources.warehouse import Warehouse

STATIC_PAGE = "static_index.html"


def main() -> int:
    """Print where the page is; 1 where it cannot be built."""
    try:
        page = build_docs(load_settings())
    except NeuroVisionError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(f"docs: {page}")
    return 0


def build_docs(settings: Settings) -> Path:
    """Build the page below the warehouse; types and sizes of tables are in it once the marts were built.

    Raises:
        ConfigurationError: dbt cannot understand the project.
        TransientFailure: the marts are being built for too long.
    """
    from neurovision_assets.marts.project import MartsProject  # four seconds

    project = MartsProject(Warehouse(folder=str(settings.warehouse)))
    target = project.home / "docs"
    with project.warehouse.turn():
        done = project.cli().cli(["docs", "generate", "--static"], target_path=target, raise_on_error=False).wait()
    if not done.is_successful():
        raise ConfigurationError(
            f"dbt cannot build its docs: {done.get_error()}.",
            subject=str(project.folder),
            remedy=f"Correct it; the log is {target / 'dbt.log'}.",
        )
    page = settings.warehouse / "docs" / "index.html"
    page.parent.mkdir(exist_ok=True)
    shutil.copyfile(target / STATIC_PAGE, page)
    return page


if __name__ == "__main__":
    sys.exit(main())
