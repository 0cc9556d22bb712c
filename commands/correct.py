"""``make correct FILE=…``: reviewers' corrections become annotations of the next version.

Belongs here: the command line, and telling Dagster what was said. Does not belong here: the form of the file.
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
    """Take one file of corrections.

    Returns:
        0, or 1 when nothing was taken; one line on standard error says why.
    """
    parser = argparse.ArgumentParser(prog="make correct", description="Take reviewers' corrections.")
    parser.add_argument("file", type=Path, help="JSON; docs/operations.md shows one")
    chosen = parser.parse_args(arguments)
    try:
        lines = correct_and_tell(chosen.file)
    except NeuroVisionError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print("\n".join(lines))
    return 0


def correct_and_tell(path: Path) -> list[str]:
    """Take the corrections of a file, record them, tell Dagster; gives lines for the terminal.

    All is read and checked before anything is written. What a killed command has written but not recorded or told is
    recorded and told by the next one.

    Raises:
        NeuroVisionError: something in it, or in what was kept before, is wrong; nothing was taken.
    """
    settings = load_settings()
    os.environ["DAGSTER_HOME"] = str(prepare_dagster_home(settings))
    import dagster as dg

    from neurovision_assets.training.dataset.corrections import read_corrections
    from neurovision_assets.training.dataset.kept import count_words, kept_corrections
    from neurovision_assets.training.dataset.layout import TRACKED, Layout
    from neurovision_assets.training.dataset.reviewed import take_corrections
    from neurovision_assets.training.dataset.told import CORRECTIONS_NAME, corrections_metadata, told_source, told_words
    from neurovision_assets.training.evaluation.reviewed import by_model, reviewed_videos
    from resources.datasets import DatasetRepository
    from resources.object_store import ObjectStore

    corrections = read_corrections(path)
    datasets = DatasetRepository.of(settings)
    with datasets.lock(), dg.DagsterInstance.get() as instance:
        layout = Layout(datasets.root)
        before = count_words(kept_corrections(layout))
        new = take_corrections(corrections, path, layout, ObjectStore.of(settings))
        version = datasets.add(TRACKED, f"Take {len(new)} corrections")
        reviewed = reviewed_videos(layout)
        told = told_words(instance, or_else=before)
        metadata = corrections_metadata(kept_corrections(layout), len(new), told, reviewed)
        event = told_source(CORRECTIONS_NAME, layout.corrections_hash(), version, metadata)
        instance.report_runless_asset_event(event)
    said = f"taken: {len(new)} new of {len(corrections)} corrections"
    known = [
        f"{model}: {figures['accuracy']:.0%} of the time of corrected videos was right, as far as somebody looked"
        for model, figures in by_model(reviewed).items()
    ]
    return [said, *known, f"revision: {version.revision}"]


if __name__ == "__main__":
    sys.exit(main())
