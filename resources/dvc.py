"""git and DVC by their command lines, in one folder.

Belongs here: running them, their settings, the words of a failure. Does not belong here: what they are run for
(``datasets``). DVC is a program that is run, not a library: some of what it needs is copyleft (NOTICE).
"""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import urlparse

from resources.errors import ConfigurationError, NeuroVisionError, TransientFailure

REMOTE: Final = "storage"
AUTHOR: Final = ("-c", "user.name=NeuroVision", "-c", "user.email=neurovision@localhost", "-c", "commit.gpgsign=false")
SHOWN_LINES: Final = 6
CHATTER: Final = "Having any troubles?"
REPOSITORY_CONFIG: Final = """[core]
    analytics = false
    check_update = false
    autostage = true
    site_cache_dir = {root}/.dvc/tmp/site
    remote = storage
[cache]
    type = reflink,hardlink,copy
{remote}"""
CLONE_CONFIG: Final = """[core]
    site_cache_dir = {root}/.dvc/tmp/site
[cache]
    dir = {root}/.dvc/cache
    type = reflink,copy
{remote}"""
"""What is taken out of a clone is a copy, or changing it would change the cache."""


@dataclass(frozen=True)
class Remote:
    """Where the data is copied to, and fetched from.

    Attributes:
        url: a folder or ``s3://bucket/prefix``.
        endpoint_url: of the S3 server, empty for Amazon's.
        region: that requests to it are signed for.
        ca_file: certificates that its own is checked with, empty for the usual ones.
    """

    url: str
    endpoint_url: str = ""
    region: str = ""
    ca_file: str = ""

    @property
    def section(self) -> str:
        """Its part of DVC's configuration; keys stay in the environment."""
        lines = [f"['remote \"{REMOTE}\"']", f"url = {self.url}"]
        if self.url.startswith("s3://"):
            told = {"endpointurl": self.endpoint_url, "region": self.region, "ssl_verify": self.ca_file}
            lines += [f"{name} = {value}" for name, value in told.items() if value]
        return "\n    ".join(lines) + "\n"


@dataclass(frozen=True)
class CommandLine:
    """git and DVC in a folder.

    Attributes:
        folder: where they are run.
        remote_url: of DVC's remote, for the words of a failure.
    """

    folder: Path
    remote_url: str

    def git(self, *words: str) -> str:
        """Run git; what it prints.

        Raises:
            ConfigurationError: it is not installed.
            TransientFailure: it failed; its last words are given.
        """
        return self._checked("git", self._run(["git", *words]), words[0])

    def try_git(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run git where a failure is an answer."""
        return self._run(["git", *words])

    def dvc(self, *words: str) -> str:
        """Run DVC; what it prints.

        Raises:
            ConfigurationError: it is not installed.
            TransientFailure: it failed; its last words are given.
        """
        return self._checked("dvc", self._run([sys.executable, "-m", "dvc", *words]), words[0])

    def _run(self, command: list[str]) -> subprocess.CompletedProcess[str]:
        try:
            return subprocess.run(
                command, cwd=self.folder, env=self._environment(), capture_output=True, text=True, check=False
            )
        except FileNotFoundError as error:
            raise ConfigurationError(
                f"{command[0]} is not installed.", subject=str(self.folder), remedy=f"Install {command[0]}."
            ) from error

    def _environment(self) -> dict[str, str]:
        """Ours, without what would point git elsewhere (a hook of another repository sets it)."""
        own = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
        settings = {"DVC_NO_ANALYTICS": "1", "DVC_GLOBAL_CONFIG_DIR": str(self.folder / ".dvc" / "tmp")}
        return {**own, **settings, "GIT_CEILING_DIRECTORIES": str(self.folder.parent)}

    def _checked(self, program: str, done: subprocess.CompletedProcess[str], verb: str) -> str:
        if done.returncode:
            raise self._refused(f"{program} {verb}", done.stderr or done.stdout)
        return done.stdout

    def _refused(self, name: str, words: str) -> NeuroVisionError:
        if "No module named dvc" in words:
            return ConfigurationError(
                "DVC is not installed.", subject=str(self.folder), remedy="Install it: sh scripts/setup.sh learn."
            )
        lines = [line.strip() for line in words.splitlines() if line.strip() and not line.startswith(CHATTER)]
        said = "; ".join(lines[-SHOWN_LINES:]).rstrip(".")
        is_remote = urlparse(self.remote_url).scheme not in {"", "file"}
        remedy = f"Check the remote {self.remote_url} and try again." if is_remote else "Remove the cause."
        return TransientFailure(f"{name} failed: {said}.", subject=str(self.folder), remedy=remedy)
