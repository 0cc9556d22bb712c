"""The data sets' repository: git for what is small, DVC for the rest, both by their command lines.

Belongs here: making the repository, recording, versions, fetching one, the remote. Does not belong here: what lies in
it (``neurovision_assets/training/dataset``). DVC is a program that is run, not a library: some of what it needs is
copyleft (NOTICE). The repository is the data home's, never the code's.
"""

import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final
from urllib.parse import urlparse

import dagster as dg
from filelock import FileLock
from pydantic import BaseModel, ConfigDict

from resources.errors import ConfigurationError, PermanentFailure, TransientFailure

REMOTE: Final = "storage"
AUTHOR: Final = ("-c", "user.name=NeuroVision", "-c", "user.email=neurovision@localhost", "-c", "commit.gpgsign=false")
FIRST_VERSION: Final = (1, 0)
SHOWN_LINES: Final = 6
DVC_CONFIG: Final = """[core]
    analytics = false
    check_update = false
    autostage = true
    site_cache_dir = {root}/.dvc/tmp/site
    remote = {remote}
[cache]
    type = reflink,hardlink,copy
['remote "{remote}"']
    url = {url}
"""


class DatasetVersion(BaseModel):
    """A state of the repository.

    Attributes:
        revision: git commit, 40 hex digits; with it DVC finds the data.
        tag: its version, ``v1.0``; None where the state is not a whole version.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    revision: str
    tag: str | None = None


class DatasetRepository(dg.ConfigurableResource):  # type: ignore[type-arg]
    """git and DVC on one folder.

    Args:
        folder: the repository; made at its first use.
        remote_url: where DVC's remote ``storage`` lies, a folder or ``s3://bucket/prefix``; its credentials are
            AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY of the environment, written down nowhere.
    """

    folder: str
    remote_url: str

    @property
    def root(self) -> Path:
        """The repository's folder."""
        return Path(self.folder)

    def ensure(self) -> None:
        """Make the repository where there is none, and let its remote be the one of the settings.

        Raises:
            ConfigurationError: git or DVC is not installed.
        """
        self.root.mkdir(parents=True, exist_ok=True)
        if not (self.root / ".git").exists():
            self._git("init", "--quiet", "--initial-branch=main")
        if not (self.root / ".dvc").is_dir():
            self._dvc("init", "--quiet")
        config = DVC_CONFIG.format(root=self.root, remote=REMOTE, url=self.remote_url)
        path = self.root / ".dvc" / "config"
        if path.read_text(encoding="utf-8") != config:
            path.write_text(config, encoding="utf-8")
            self._commit_all("Name the remote")

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Hold the repository: an import and a run never write to it at once."""
        self.root.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(self.root.parent / f".{self.root.name}.lock"):
            self.ensure()
            yield

    def add(self, paths: Sequence[str], message: str) -> DatasetVersion:
        """Put files or folders under DVC as they are now (NV-030), and record that; nothing changed, nothing recorded.

        Args:
            paths: relative to the repository.
            message: what changed, for the history.
        """
        if present := [path for path in paths if (self.root / path).exists()]:
            self._dvc("add", "--quiet", *present)
        return self._commit_all(message)

    def record(self, stages: Sequence[str], message: str) -> DatasetVersion:
        """Record the outputs of stages as they are now, without running them: Dagster has.

        Args:
            stages: names in ``dvc.yaml``.
            message: what changed, for the history.
        """
        self._dvc("commit", "--quiet", "--force", *stages)
        return self._commit_all(message)

    def publish(self) -> DatasetVersion:
        """Give the present state the next version's tag, unless it has one, and copy the data to the remote.

        Raises:
            TransientFailure: the remote cannot be reached.
        """
        head = self.head()
        if head.tag is None:
            head = DatasetVersion(revision=head.revision, tag=self._next_tag())
            self._git("tag", str(head.tag))
        self._dvc("push", "--quiet")
        return head

    def head(self) -> DatasetVersion:
        """The present state.

        Raises:
            PermanentFailure: nothing was recorded yet.
        """
        if self._run(["git", "rev-parse", "--verify", "--quiet", "HEAD"], check=False).returncode:
            raise PermanentFailure(
                "There are no data sets yet.", subject=self.folder, remedy="Import one: make import DATASET=…"
            )
        tags = self._git("tag", "--points-at", "HEAD", "--list", "v*").split()
        return DatasetVersion(revision=self._git("rev-parse", "HEAD").strip(), tag=max(tags, key=_number, default=None))

    def versions(self) -> list[DatasetVersion]:
        """All tagged versions, oldest first; none without a repository."""
        if not (self.root / ".git").exists():
            return []
        lines = self._git("for-each-ref", "--format=%(refname:short) %(objectname)", "refs/tags/v*").splitlines()
        found = [DatasetVersion(tag=tag, revision=revision) for tag, revision in (line.split() for line in lines)]
        return sorted(found, key=lambda version: _number(version.tag or ""))

    def fetch(self, revision: str, path: str, into: Path) -> Path:
        """One version of a file or folder, from the cache or the remote (there is no ``dvc pull --rev``; NV-061).

        Args:
            revision: commit or tag.
            path: relative to the repository.
            into: where to; must not exist yet.

        Raises:
            PermanentFailure: there is no such revision, or the path is not in it.
        """
        known = self._run(["git", "rev-parse", "--verify", "--quiet", f"{revision}^{{commit}}"], check=False)
        if known.returncode:
            tags = ", ".join(str(version.tag) for version in self.versions())
            raise PermanentFailure(
                "There is no such version of the data.", subject=revision, remedy=f"Known are {tags or 'none'}."
            )
        into.parent.mkdir(parents=True, exist_ok=True)
        self._dvc("get", "--quiet", str(self.root), path, "--rev", known.stdout.strip(), "--out", str(into.absolute()))
        return into

    def show(self, revision: str, path: str) -> str | None:
        """A small file, as git has it in a revision; None where it is not in it."""
        shown = self._run(["git", "show", f"{revision}:{path}"], check=False)
        return None if shown.returncode else shown.stdout

    def _next_tag(self) -> str:
        versions = self.versions()
        major, minor = _number(str(versions[-1].tag)) if versions else (FIRST_VERSION[0], FIRST_VERSION[1] - 1)
        return f"v{major}.{minor + 1}"

    def _commit_all(self, message: str) -> DatasetVersion:
        """Commit what changed; DVC has written .gitignore, so that git sees small files only."""
        self._git("add", "--all")
        if self._run(["git", "diff", "--cached", "--quiet"], check=False).returncode:
            self._git(*AUTHOR, "commit", "--quiet", "--no-verify", "--message", message)
        return self.head()

    def _git(self, *words: str) -> str:
        return self._run(["git", *words]).stdout

    def _dvc(self, *words: str) -> str:
        return self._run([sys.executable, "-m", "dvc", *words]).stdout

    def _run(self, command: list[str], *, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run a command in the repository.

        Raises:
            ConfigurationError: the program is not installed.
            TransientFailure: it failed; its last words are given.
        """
        try:
            done = subprocess.run(
                command, cwd=self.root, env=self._environment(), capture_output=True, text=True, check=False
            )
        except FileNotFoundError as error:
            raise ConfigurationError(
                f"{command[0]} is not installed.", subject=self.folder, remedy=f"Install {command[0]}."
            ) from error
        if check and done.returncode:
            raise self._refused(command, done.stderr or done.stdout)
        return done

    def _environment(self) -> dict[str, str]:
        """Ours, without what would point git elsewhere (a hook of another repository sets it)."""
        own = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
        settings = {"DVC_NO_ANALYTICS": "1", "DVC_GLOBAL_CONFIG_DIR": str(self.root / ".dvc" / "tmp")}
        return {**own, **settings, "GIT_CEILING_DIRECTORIES": str(self.root.parent)}

    def _refused(self, command: list[str], words: str) -> Exception:
        said = "; ".join(line.strip() for line in words.strip().splitlines()[-SHOWN_LINES:] if line.strip())
        if "No module named dvc" in words:
            return ConfigurationError(
                "DVC is not installed.", subject=self.folder, remedy="Install the set learn: sh scripts/setup.sh learn."
            )
        name = " ".join(command[:2] if command[0] == "git" else ["dvc", command[3]])
        is_remote = urlparse(self.remote_url).scheme not in {"", "file"}
        remedy = f"Check the remote {self.remote_url} and try again." if is_remote else "Remove the cause."
        return TransientFailure(f"{name} failed: {said}.", subject=self.folder, remedy=remedy)


def _number(tag: str) -> tuple[int, int]:
    """``v1.10`` as (1, 10); other tags that begin with v count before all."""
    major, _, minor = tag.removeprefix("v").partition(".")
    return (int(major), int(minor)) if major.isdecimal() and minor.isdecimal() else (-1, -1)
