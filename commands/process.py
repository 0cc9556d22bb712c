"""``make process``: the main job on one file, started at once and waited for.

Belongs here: registering the file, starting the run, telling how it ended. Does not belong here: anything that the
platform does with a video; the graph, the run configuration and the resources are those of ``make up``.
"""

from __future__ import annotations

import argparse
import gc
import json
import logging
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn

from commands.checks import require_answers
from commands.platform import prepare_dagster_home
from resources.errors import NeuroVisionError
from resources.settings import Settings, load_settings

SAMPLE_NAME = "operation_001.mp4"
SAMPLE_DEPARTMENT = "Simulated surgery"
QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


def main(arguments: Sequence[str] | None = None) -> int:
    """Process one video and print where its report is.

    Returns:
        0 when there is a report, 1 when there is none; one line on standard error says why.
    """
    parser = argparse.ArgumentParser(prog="make process", description="Process one surgical video.")
    parser.add_argument("video", nargs="?", type=Path, help="the video; a simulated operation without it")
    parser.add_argument("--profile", help="analysis profile; the video's own or the deployment's default without it")
    chosen = parser.parse_args(arguments)
    console = Console(highlight=False)
    try:
        report = process(chosen.video, chosen.profile, console)
    except NeuroVisionError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    console.print(f"report: {report}", soft_wrap=True)
    return 0


def process(video: Path | None, profile: str | None, console: Console) -> str:
    """The report of a video, computed where it is not up to date.

    Raises:
        NeuroVisionError: there can be no report; the text says why and what to do.
    """
    settings = load_settings()
    require_answers(settings)
    os.environ["DAGSTER_HOME"] = str(prepare_dagster_home(settings))
    from commands.run import VideoRun  # Dagster is imported only after DAGSTER_HOME is there

    run = VideoRun(settings, console)
    record = run.register(video or sample_video(settings, console), profile)
    console.print(f"video_id: {record.video_id}")
    if run.is_up_to_date(record):
        console.print("everything is up to date")
    else:
        collect_no_libraries()
        run.execute(record, run_config=QUIET)
    return run.report_of(record)


def sample_video(settings: Settings, console: Console) -> Path:
    """The bundled sample, a simulated operation with its sidecar, rendered at its first use."""
    path = settings.home / "sample" / SAMPLE_NAME
    if not path.is_file():
        from simulator.sample import write_sample
        from simulator.truth import sidecar

        path.parent.mkdir(parents=True, exist_ok=True)
        bar = Progress(TextColumn("rendering the sample, a simulated operation"), BarColumn(30), console=console)
        with bar:
            task = bar.add_task("sample")
            plan = write_sample(path, lambda done, total: bar.update(task, completed=done, total=total))
        told = sidecar(plan, path.stem, SAMPLE_DEPARTMENT)
        path.with_suffix(".json").write_text(json.dumps(told, indent=1), encoding="utf-8")
    return path


def collect_no_libraries() -> None:
    """Let the garbage collector pass by all that exists: walking what libraries made costs a second, frees nothing."""
    gc.freeze()
    gc.enable()


def quiet_libraries() -> None:
    """Leave the terminal to the progress; everything else is in Dagster's event log."""
    logging.getLogger().setLevel(logging.ERROR)


if __name__ == "__main__":
    gc.disable()  # until the libraries are loaded
    quiet_libraries()
    code = main()
    collect_no_libraries()  # nor while the interpreter ends
    sys.exit(code)
