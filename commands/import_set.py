"""``make import DATASET=… PATH_TO=…``: an annotated set comes into the data sets' repository.

Belongs here: the command line, and telling Dagster what came. Does not belong here: reading layouts.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from commands.platform import prepare_dagster_home
from resources.errors import NeuroVisionError
from resources.settings import load_settings


def main(arguments: Sequence[str] | None = None) -> int:
    """Import one set and print what came.

    Returns:
        0, or 1 when nothing was imported; one line on standard error says why.
    """
    parser = argparse.ArgumentParser(prog="make import", description="Import an annotated set.")
    parser.add_argument("dataset", help="layout: cholec80, m2cai16, cholect50, cholecseg8k, simulator")
    parser.add_argument("path", type=Path, help="the set's folder")
    parser.add_argument("--name", help="what it is called here; the layout's name without it")
    chosen = parser.parse_args(arguments)
    try:
        lines = import_and_tell(chosen.dataset, chosen.path, chosen.name)
    except NeuroVisionError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print("\n".join(lines))
    return 0


def import_and_tell(dataset: str, path: Path, name: str | None) -> list[str]:
    """Import a set, record it, tell Dagster; gives lines for the terminal.

    Raises:
        NeuroVisionError: it cannot be imported; nothing has changed.
    """
    settings = load_settings()
    os.environ["DAGSTER_HOME"] = str(prepare_dagster_home(settings))
    import dagster as dg

    from neurovision_assets.training.annotations.importing import import_set
    from neurovision_assets.training.dataset.layout import TRACKED, Layout
    from neurovision_assets.training.dataset.told import dataset_metadata, told_source
    from resources.datasets import DatasetRepository

    datasets = DatasetRepository.of(settings)
    with datasets.lock():
        layout = Layout(datasets.root)
        imported = import_set(dataset, path, layout, name)
        version = datasets.add(TRACKED, f"Import {dataset} as {imported.name}")
        folder = layout.imported(imported.name)
        metadata = {**dataset_metadata(folder), "name": imported.name, "notes": dg.MetadataValue.json(imported.notes)}
        event = told_source(dataset, folder.content_hash(), version, metadata)
    with dg.DagsterInstance.get() as instance:
        instance.report_runless_asset_event(event)
    counts = ", ".join(f"{count} {table}" for table, count in imported.rows.items() if count)
    return [f"imported: {imported.name} ({counts})", *imported.notes, f"revision: {version.revision}"]


if __name__ == "__main__":
    sys.exit(main())
