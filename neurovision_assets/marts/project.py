"""The dbt project ``dbt/``: where it works, how it is called, and its manifest.

Belongs here: everything that dbt needs to run without writing into the repository or asking a network. Does not belong
here: what Dagster makes of it (``assets``), SQL (``dbt/``).

dbt's profile and all that it writes lie in the warehouse's folder: ``dbt/profiles.yml``, ``dbt/run/`` of builds, and
``dbt/manifest-…/``, which is parsed once for a state of the project (15 s) and read by every process that loads the
code location.
"""

import hashlib
import shutil
import sys
import uuid
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Final

import yaml
from dagster_dbt import DbtCliResource
from filelock import FileLock

from resources.errors import ConfigurationError
from resources.settings import REPOSITORY_ROOT
from resources.warehouse import NO_DOWNLOADS, Warehouse

PROJECT_FOLDER: Final = REPOSITORY_ROOT / "dbt"
PROFILE: Final = "neurovision"
TARGET: Final = "duckdb"
MANIFEST_FILE: Final = "manifest.json"
READERS_PATIENCE: Final = 5
"""Tries to open the file, with growing pauses: somebody may be reading it."""
DISTRIBUTIONS: Final = ("dbt-core", "dbt-duckdb", "dagster-dbt")


@dataclass(frozen=True)
class MartsProject:
    """The project with one warehouse.

    Attributes:
        warehouse: what it builds in.
        folder: the project's own, with ``dbt_project.yml``.
    """

    warehouse: Warehouse
    folder: Path = PROJECT_FOLDER

    @property
    def home(self) -> Path:
        """Where dbt writes."""
        return self.warehouse.root / "dbt"

    @property
    def run_target(self) -> Path:
        """Target folder of dbt's builds; the writer's turn keeps two of them apart."""
        return self.home / "run"

    def cli(self) -> DbtCliResource:
        """dbt, called through this environment's own program, whatever the PATH says."""
        self._write_profile()
        return DbtCliResource(
            project_dir=str(self.folder),
            profiles_dir=str(self.home),
            profile=PROFILE,
            target=TARGET,
            dbt_executable=str(Path(sys.executable).parent / "dbt"),
        )

    def manifest(self) -> Path:
        """The manifest of the project as it is now; parsed where no process has done it yet.

        Raises:
            ConfigurationError: dbt cannot understand the project, or the folder cannot be written.
        """
        folder = self.home / f"manifest-{self._fingerprint()}"
        path = folder / MANIFEST_FILE
        if path.is_file():
            return path
        try:
            self.home.mkdir(parents=True, exist_ok=True)
            with FileLock(self.home / ".parsing.lock"):  # webserver and daemon load the location at the same time
                if not path.is_file():
                    self._parse(folder)
        except OSError as error:
            raise ConfigurationError(
                f"The folder cannot be written ({error.strerror}).",
                subject=str(self.home),
                remedy="Give this user the right to write there.",
            ) from error
        return path

    def _parse(self, folder: Path) -> None:
        """Parse beside the place and rename, so that a manifest is whole or not there; older ones go."""
        partial = folder.with_name(".manifest.parsing")
        shutil.rmtree(partial, ignore_errors=True)
        done = self.cli().cli(["parse", "--quiet"], target_path=partial, raise_on_error=False).wait()
        if not done.is_successful() or not (partial / MANIFEST_FILE).is_file():
            error = done.get_error()
            raise ConfigurationError(
                f"dbt cannot understand the project: {error}.",
                subject=str(self.folder),
                remedy=f"Correct it; the log is {partial / 'dbt.log'}.",
            )
        for older in self.home.glob("manifest-*"):
            shutil.rmtree(older, ignore_errors=True)
        partial.rename(folder)

    def _fingerprint(self) -> str:
        """Of all files of the project and of the programs that read them."""
        digest = hashlib.sha256(" ".join(f"{name}=={version(name)}" for name in DISTRIBUTIONS).encode())
        for path in sorted(path for path in self.folder.rglob("*") if path.is_file()):
            digest.update(f"{path.relative_to(self.folder)}\n".encode() + path.read_bytes())
        return digest.hexdigest()[:16]

    def _write_profile(self) -> None:
        """A profile is a deployment's: the path of its warehouse."""
        output = {
            "type": "duckdb",
            "path": str(self.warehouse.file),
            "schema": "main",
            "threads": 1,
            "settings": dict(NO_DOWNLOADS),
            "retries": {"connect_attempts": READERS_PATIENCE},
        }
        text = yaml.safe_dump({PROFILE: {"target": TARGET, "outputs": {TARGET: output}}}, sort_keys=False)
        path = self.home / "profiles.yml"
        if path.is_file() and path.read_text(encoding="utf-8") == text:
            return
        self.home.mkdir(parents=True, exist_ok=True)
        partial = path.with_name(f".profiles.yml.{uuid.uuid4().hex}")
        partial.write_text(text, encoding="utf-8")
        partial.replace(path)
