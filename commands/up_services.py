"""``make up-services``: the real servers of production on this machine, and the platform on them.

Belongs here: the order of a start, what is said about it. Does not belong here: the servers (``services``), the
platform's own start (``up``), which is called with the settings that lead to them.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import uuid
from collections.abc import Sequence

from filelock import FileLock

from commands.platform import MARK, PlatformRecord, living_servers
from commands.services.server import LocalServer
from commands.services.stack import BUCKET, DATABASES, Stack
from resources.errors import ConfigurationError, NeuroVisionError
from resources.settings import PREFIX, REPOSITORY_ROOT, Settings, load_settings

FOLDER = "services"
RECORD_FILE = "servers.json"


def main(arguments: Sequence[str] | None = None) -> int:
    """Start what does not run yet, say where everything is; the exit code says whether all of it works."""
    parser = argparse.ArgumentParser(prog="make up-services", description="Start servers and the platform on them.")
    parser.add_argument("--port", help="port of the Dagster UI")
    parser.add_argument("--servers-only", action="store_true", help="do not start the platform")
    chosen = parser.parse_args(arguments)
    try:
        stack = stack_of(load_settings())
        start_servers(stack)
    except NeuroVisionError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    code = 0 if chosen.servers_only else run_with(stack, "up", *(("--port", chosen.port) if chosen.port else ()))
    if code == 0:
        say(stack)
    return code


def stack_of(settings: Settings) -> Stack:
    """The servers of a data home."""
    return Stack(settings.home / FOLDER)


def start_servers(stack: Stack) -> None:
    """Start each server that does not run, with all that the platform expects in it.

    Raises:
        NeuroVisionError: one is not installed or does not start; those before it go on running.
    """
    stack.folder.mkdir(parents=True, exist_ok=True)
    with FileLock(stack.folder / ".lock"):
        record = read_servers(stack) or PlatformRecord(token=uuid.uuid4().hex, url="")
        alive = living_servers(record)
        for server in stack.servers:
            if server.name not in alive:
                record = start_one(stack, server, record)
                print(f"started:     {server.name}")
            _prepare(stack, server)


def start_one(stack: Stack, server: LocalServer, record: PlatformRecord) -> PlatformRecord:
    """Start a server and note it, so that it is found again."""
    os.environ[MARK] = record.token  # its children inherit it: that is how they are found again
    try:
        process = server.start().process
    finally:
        del os.environ[MARK]
    pids = {**record.pids, server.name: process.pid if process else 0}
    record = record.model_copy(update={"pids": pids})
    (stack.folder / RECORD_FILE).write_text(record.model_dump_json())
    return record


def _prepare(stack: Stack, server: LocalServer) -> None:
    """Databases, the bucket, the models in it; those that are there stay."""
    if server is stack.postgres:
        for name in DATABASES:
            stack.postgres.database(name)
    elif server is stack.store:
        stack.store.make_bucket(BUCKET)
        stack.write_settings()
        if code := run_with(stack, "seed_models"):
            raise ConfigurationError(
                f"The models cannot be put into the bucket (exit code {code}).",
                subject=server.name,
                remedy="The line before says why.",
            )


def read_servers(stack: Stack) -> PlatformRecord | None:
    """Which servers were started, None where none were."""
    path = stack.folder / RECORD_FILE
    return PlatformRecord.model_validate_json(path.read_bytes()) if path.is_file() else None


def run_with(stack: Stack, command: str, *words: str) -> int:
    """Run a command of ours on these servers; its exit code."""
    program = [sys.executable, "-m", f"commands.{command}", *words]
    return subprocess.run(program, cwd=REPOSITORY_ROOT, env=environment_on(stack), check=False).returncode


def environment_on(stack: Stack) -> dict[str, str]:
    """The environment of a command that is to use these servers, and nothing else's settings."""
    own = {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}
    return {**own, f"{PREFIX}SETTINGS_FILE": str(stack.settings_file)}


def say(stack: Stack) -> None:
    """Where everything is; no secret."""
    print(f"PostgreSQL:  127.0.0.1:{stack.postgres.port}  databases {', '.join(DATABASES)}")
    print(f"S3:          {stack.store.url}  bucket {BUCKET}")
    print(f"MLflow:      {stack.mlflow.url}")
    print(f"Triton:      {stack.triton.grpc_url}  {stack.triton.http_url}")
    print(f"settings:    {stack.settings_file}  (secrets; every command takes SETTINGS={stack.settings_file})")
    print("stop:        make down-services")


if __name__ == "__main__":
    sys.exit(main())
