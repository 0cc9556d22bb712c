"""``make dataset``: a new version of the data, made in this process, by the job that the UI has.

Belongs here: the command line and the outcome. Does not belong here: the assets.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from commands.platform import prepare_dagster_home
from commands.process import QUIET, quiet_libraries
from resources.errors import NeuroVisionError, PermanentFailure
from resources.settings import load_settings


def main(arguments: Sequence[str] | None = None) -> int:
    """Make a version, or fetch one.

    Returns:
        0, or 1 when there is none; one line on standard error says why.
    """
    parser = argparse.ArgumentParser(prog="make dataset", description="Make a version of the data, or fetch one.")
    parser.add_argument("--fetch", metavar="VERSION", help="tag or revision to fetch instead")
    parser.add_argument("--out", type=Path, help="where a fetched version goes; a new folder")
    chosen = parser.parse_args(arguments)
    try:
        print(fetch(chosen.fetch, chosen.out) if chosen.fetch else make())
    except NeuroVisionError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def make() -> str:
    """Merge, validate and divide all that was imported; gives a line for the terminal.

    Raises:
        PermanentFailure: a step failed, or the data failed the checkpoint.
    """
    os.environ["DAGSTER_HOME"] = str(prepare_dagster_home(load_settings()))
    import dagster as dg

    from commands.run_log import failure_of
    from jobs.dataset import MAKE_DATASET
    from neurovision_assets.definitions import build_defs

    with dg.DagsterInstance.get() as instance:
        job = build_defs().resolve_job_def(MAKE_DATASET)
        result = job.execute_in_process(instance=instance, run_config=QUIET, raise_on_error=False)
    if not result.success:
        raise failure_of(result, MAKE_DATASET)
    checks = result.get_asset_check_evaluations()
    warned = [check.description or "" for check in checks if not check.passed]
    version = _version()
    return "\n".join([*warned, f"version: {version.tag} (revision {version.revision})"])


def fetch(wanted: str, out: Path | None) -> str:
    """Fetch a version into a new folder; gives a line for the terminal.

    Raises:
        PermanentFailure: there is no such version.
    """
    from neurovision_assets.training.dataset.layout import PROCESSED

    target = out or Path(f"dataset-{wanted}")
    if target.exists():
        raise PermanentFailure("The folder is there already.", subject=str(target), remedy="Name another: OUT=folder.")
    return f"fetched: {_datasets().fetch(wanted, PROCESSED, target)}"


def _datasets() -> Any:
    from resources.datasets import DatasetRepository

    settings = load_settings()
    return DatasetRepository.of(settings)


def _version() -> Any:
    return _datasets().head()


if __name__ == "__main__":
    quiet_libraries()
    sys.exit(main())
