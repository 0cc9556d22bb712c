"""What a container of ours starts with: ``python -m commands.container PROGRAM ARGUMENTS``.

Belongs here: secrets from files, DAGSTER_HOME where none is given, the database's tables, then the program itself in
place of this one, so that signals reach it. Does not belong here: what is started (compose, Kubernetes), and anything
that loads Dagster: a run's process pays for every second here.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path

from commands.platform import prepare_dagster_home
from resources.errors import ConfigurationError, NeuroVisionError
from resources.settings import load_settings

DAGSTER_PROGRAMS = ("dagster", "dagster-daemon", "dagster-webserver", "python")
"""What needs an instance; MLflow's server, for one, does not."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Prepare and become the program; returns only when that cannot be."""
    command = list(sys.argv[1:] if arguments is None else arguments)
    try:
        become(command)
    except NeuroVisionError as error:
        print(f"error: {error}", file=sys.stderr)
    return 1


def become(command: Sequence[str]) -> None:
    """Replace this process by a program that has its settings and secrets in the environment.

    Args:
        command: program and arguments.

    Raises:
        ConfigurationError: a setting or a secret's file cannot be used, or there is no such program.
    """
    if not command:
        raise ConfigurationError("There is nothing to start.", subject="container", remedy="Name a program.")
    settings = load_settings()  # what files hold is in the environment from here on
    if home := os.environ.get(
        "DAGSTER_HOME"
    ):  # Dagster's chart names one, and puts its dagster.yaml there for some pods
        Path(home).mkdir(parents=True, exist_ok=True)
    elif command[0] in DAGSTER_PROGRAMS:
        os.environ["DAGSTER_HOME"] = str(prepare_dagster_home(settings))
    sys.stdout.flush()
    beside = Path(sys.executable).with_name(command[0])  # outside of a container they need not be on the PATH
    program = str(beside) if beside.is_file() else command[0]
    try:
        os.execvp(program, list(command))  # noqa: S606 - the program is what the deployment names
    except OSError as error:
        raise ConfigurationError(
            f"It cannot be started ({error.strerror}).", subject=command[0], remedy="Correct the container's command."
        ) from error


if __name__ == "__main__":
    sys.exit(main())
