"""The data sets' repository: git for what is small, DVC for the rest.

Belongs here: making the repository, recording, versions, fetching one. Does not belong here: what lies in it
(``neurovision_assets/training/dataset``), running the programs (``dvc``). The repository is the data home's, never the
code's.
"""

import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import dagster as dg
import yaml
from filelock import FileLock
from pydantic import BaseModel, ConfigDict

from resources.dvc import AUTHOR, CLONE_CONFIG, REPOSITORY_CONFIG, CommandLine, Remote
from resources.errors import PermanentFailure
from resources.settings import Settings

FIRST_VERSION: Final = (1, 0)
LOCK_FILE: Final = "neurovision.lock"


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
        s3_endpoint_url: of the S3 server, empty for Amazon's.
        s3_region: that requests to it are signed for.
        s3_ca_file: certificates that its own is checked with, empty for the usual ones.
    """

    folder: str
    remote_url: str
    s3_endpoint_url: str = ""
    s3_region: str = ""
    s3_ca_file: str = ""

    @classmethod
    def of(cls, settings: Settings) -> "DatasetRepository":
        """The one of a deployment."""
        return cls(
            folder=str(settings.datasets),
            remote_url=settings.dataset_remote,
            s3_endpoint_url=settings.s3_endpoint_url,
            s3_region=settings.s3_region,
            s3_ca_file=settings.s3_ca_file,
        )

    @property
    def root(self) -> Path:
        """The repository's folder."""
        return Path(self.folder)

    @property
    def _is_made(self) -> bool:
        return (self.root / ".git" / "HEAD").is_file() and (self.root / ".dvc" / "config").is_file()

    def ensure(self) -> None:
        """Make the repository where there is none, and let its remote be the one of the settings.

        Raises:
            ConfigurationError: git or DVC is not installed.
        """
        self.root.mkdir(parents=True, exist_ok=True)
        if not (self.root / ".git" / "HEAD").is_file():
            self._line.git("init", "--quiet", "--initial-branch=main")
        if not (self.root / ".dvc").is_dir():
            self._line.dvc("init", "--quiet")
        config = REPOSITORY_CONFIG.format(root=self.root, remote=self._remote.section)
        path = self.root / ".dvc" / "config"
        if path.read_text(encoding="utf-8") != config:
            path.write_text(config, encoding="utf-8")
            self._commit_all("Name the remote")

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Hold the repository: an import and a run never write to it at once."""
        inside = self.root / ".git"  # where machines that share the repository all see it, and git records nothing
        inside.mkdir(parents=True, exist_ok=True)
        with FileLock(inside / LOCK_FILE):
            self.ensure()
            yield

    def add(self, paths: Sequence[str], message: str) -> DatasetVersion:
        """Put files or folders under DVC as they are now (NV-030), and record that; nothing changed, nothing recorded.

        Args:
            paths: relative to the repository.
            message: what changed, for the history.
        """
        if present := [path for path in paths if (self.root / path).exists()]:
            self._line.dvc("add", "--quiet", *present)
        return self._commit_all(message)

    def record(self, stages: Sequence[str], message: str) -> DatasetVersion:
        """Record the outputs of stages as they are now, without running them: Dagster has.

        Args:
            stages: names in ``dvc.yaml``.
            message: what changed, for the history.
        """
        self._line.dvc("commit", "--quiet", "--force", *stages)
        return self._commit_all(message)

    def publish(self) -> DatasetVersion:
        """Give the present state the next version's tag, unless it has one, and copy the data to the remote.

        Raises:
            TransientFailure: the remote cannot be reached.
        """
        head = self.head()
        if head.tag is None:
            head = DatasetVersion(revision=head.revision, tag=self._next_tag())
            self._line.git("tag", str(head.tag))
        self._line.dvc("push")  # a quiet one would not say why it failed
        return head

    def head(self) -> DatasetVersion:
        """The present state.

        Raises:
            PermanentFailure: nothing was recorded yet.
        """
        if not self._is_made:
            raise PermanentFailure(
                "There are no data sets yet.", subject=self.folder, remedy="Import one: make import DATASET=…"
            )
        tags = self._line.git("tag", "--points-at", "HEAD", "--list", "v*").split()
        return DatasetVersion(
            revision=self._line.git("rev-parse", "HEAD").strip(), tag=max(tags, key=_number, default=None)
        )

    def versions(self) -> list[DatasetVersion]:
        """All tagged versions, oldest first; none without a repository."""
        if not self._is_made:
            return []
        lines = self._line.git("for-each-ref", "--format=%(refname:short) %(objectname)", "refs/tags/v*").splitlines()
        found = [DatasetVersion(tag=tag, revision=revision) for tag, revision in (line.split() for line in lines)]
        return sorted(found, key=lambda version: _number(version.tag or ""))

    def commit_of(self, revision: str) -> str:
        """The commit of a tag, a branch or a revision; a branch names another one tomorrow.

        Raises:
            PermanentFailure: there is none.
        """
        words = ("rev-parse", "--verify", "--quiet", f"{revision}^{{commit}}")
        known = self._line.try_git(*words) if self._is_made else None
        if known is None or known.returncode:
            tags = ", ".join(str(version.tag) for version in self.versions())
            raise PermanentFailure(
                "There is no such version of the data.",
                subject=revision,
                remedy=f"Known are {tags}." if tags else "None was made yet: make dataset.",
            )
        return known.stdout.strip()

    def fetch(self, revision: str, path: str, into: Path) -> Path:
        """One version of a folder, from the cache or the remote (there is no ``dvc pull --rev``; NV-061, T16).

        A clone of that revision is pulled and the folder taken out of it. ``dvc get`` would do that too, but it fails
        on a folder that holds the output of a stage that never ran.

        Args:
            revision: commit or tag.
            path: relative to the repository.
            into: where to; must not exist yet.

        Raises:
            PermanentFailure: there is no such revision, or the path is not in it.
            TransientFailure: the remote cannot be reached.
        """
        commit = self.commit_of(revision)
        into.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{into.name}-", dir=into.parent) as folder:
            clone = Path(folder) / "clone"
            self._line.git("clone", "--quiet", "--shared", "--no-checkout", str(self.root), str(clone))
            at_clone = CommandLine(clone, self.remote_url)
            at_clone.git("checkout", "--quiet", "--detach", commit)
            cache = CLONE_CONFIG.format(root=self.root, remote=self._remote.section)
            (clone / ".dvc" / "config.local").write_text(cache, encoding="utf-8")
            at_clone.dvc("pull", *_recorded_outputs(clone, path))
            if not (clone / path).exists():
                raise PermanentFailure(
                    "The version does not hold it.", subject=f"{revision}:{path}", remedy="Take another."
                )
            shutil.move(clone / path, into)
        return into

    def show(self, revision: str, path: str) -> str | None:
        """A small file, as git has it in a revision; None where it is not in it."""
        shown = self._line.try_git("show", f"{revision}:{path}")
        return None if shown.returncode else shown.stdout

    def _next_tag(self) -> str:
        versions = self.versions()
        major, minor = _number(str(versions[-1].tag)) if versions else (FIRST_VERSION[0], FIRST_VERSION[1] - 1)
        return f"v{major}.{minor + 1}"

    def _commit_all(self, message: str) -> DatasetVersion:
        """Commit what changed; DVC has written .gitignore, so that git sees small files only."""
        self._line.git("add", "--all")
        if self._line.try_git("diff", "--cached", "--quiet").returncode:
            self._line.git(*AUTHOR, "commit", "--quiet", "--no-verify", "--message", message)
        return self.head()

    @property
    def _remote(self) -> Remote:
        return Remote(self.remote_url, self.s3_endpoint_url, self.s3_region, self.s3_ca_file)

    @property
    def _line(self) -> CommandLine:
        return CommandLine(self.root, self.remote_url)


def _recorded_outputs(clone: Path, path: str) -> list[str]:
    """What DVC has recorded below a path: outputs of stages that ran; the path itself where there are none."""
    lock = clone / "dvc.lock"
    stages = yaml.safe_load(lock.read_text(encoding="utf-8"))["stages"] if lock.is_file() else {}
    outs = [out["path"] for stage in stages.values() for out in stage.get("outs", [])]
    return [out for out in outs if out.startswith(f"{path}/")] or [path]


def _number(tag: str) -> tuple[int, int]:
    """``v1.10`` as (1, 10); other tags that begin with v count before all."""
    major, _, minor = tag.removeprefix("v").partition(".")
    return (int(major), int(minor)) if major.isdecimal() and minor.isdecimal() else (-1, -1)
