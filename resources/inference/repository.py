"""The runtime model repository: version folders in Triton's layout, filled from the seed at first start.

Belongs here: which versions exist, which are served, what each one is. Does not belong here: running models. Promotion
writes here and never into the seed.
"""

from __future__ import annotations

import re
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from filelock import FileLock

from resources.errors import ConfigurationError, TransientFailure
from resources.inference.notes import RELEASE_PARAMETER, read_note
from resources.inference.spec import ModelIdentity, ModelSpec, parse_config, tensors_of
from resources.object_store import sha256_of_file

MODEL_FILE = "model.onnx"
CONFIG_FILE = "config.pbtxt"
LABELS_FILE = "labels.txt"
VERSION_FOLDER = re.compile(r"[1-9][0-9]*")
"""Triton's rule: folders that are no numbers, or start with 0, are no versions."""
DEFAULT_VERSIONS_SERVED = 1
SEEDED_FILES = (CONFIG_FILE, LABELS_FILE, "MODEL_CARD.md", "scores.json")
SEEDED_FOLDERS = ("taxonomies", "configs")


class Outside(Protocol):
    """Who else has the repository: a bucket that holds it, a server that serves it."""

    def store(self, name: str, version: int, folder: Path) -> None:
        """Take a new version before it appears here.

        Raises:
            ConfigurationError: the bucket refuses.
            TransientFailure: the bucket does not answer; the version does not appear.
        """

    def share(self, root: Path, path: Path) -> None:
        """Take a file that was added to a version after it appeared.

        Raises:
            TransientFailure: the bucket does not answer.
        """

    def announce(self, repository: ModelRepository, name: str) -> None:
        """Hear of a version that has appeared; never raises, since whoever asks for the version tells it again."""


@dataclass(frozen=True)
class ModelRepository:
    """A folder of models in Triton's layout.

    Args:
        root: the runtime repository that engines read.
        outside: who else has it; None for nobody.
    """

    root: Path
    outside: Outside | None = field(default=None, compare=False)

    def names(self) -> list[str]:
        """Models that are installed, sorted."""
        return [path.name for path in _model_folders(self.root)]

    def is_installed(self, name: str) -> bool:
        """Whether the model has a configuration and at least one version."""
        return name in self.names() and bool(self.versions_on_disk(name))

    def served_versions(self, name: str) -> list[int]:
        """Version numbers that the version policy serves, ascending.

        Raises:
            ConfigurationError: the model is not installed, or the policy leaves nothing to serve.
        """
        policy = parse_config(self._config_path(name)).version_policy
        on_disk = self.versions_on_disk(name)
        match policy.WhichOneof("policy_choice"):
            case "all":
                served = on_disk
            case "specific":
                served = [version for version in on_disk if version in set(policy.specific.versions)]
            case _:
                served = on_disk[-(policy.latest.num_versions or DEFAULT_VERSIONS_SERVED) :]
        if not served:
            raise ConfigurationError(
                "The version policy serves none of the versions on disk.",
                subject=f"model {name}",
                remedy=f"Versions on disk: {on_disk or 'none'}; install one or change version_policy.",
            )
        return served

    def versions_on_disk(self, name: str) -> list[int]:
        """Numbers of all versions, served or kept for a rollback, ascending."""
        folders = (self.root / name).iterdir()
        return sorted(int(path.name) for path in folders if VERSION_FOLDER.fullmatch(path.name) and path.is_dir())

    def configured(self, name: str) -> dict[str, str]:
        """The string parameters of ``config.pbtxt``, which hold for versions without a note of their own.

        Raises:
            ConfigurationError: the model is not installed.
        """
        config = parse_config(self._config_path(name))
        return {key: value.string_value for key, value in config.parameters.items()}

    def describe(self, name: str, version: int | None = None) -> ModelSpec:
        """What a version promises; the newest served one when none is named.

        Raises:
            ConfigurationError: the model or the version is not there, or its configuration is broken.
        """
        served = self.served_versions(name)
        chosen = served[-1] if version is None else version
        if chosen not in served:
            raise ConfigurationError(
                f"Version {chosen} is not served.", subject=f"model {name}", remedy=f"Served versions: {served}."
            )
        config = parse_config(self._config_path(name))
        note = read_note(self.root / name / str(chosen))
        parameters = {key: value.string_value for key, value in config.parameters.items()}
        parameters |= note.parameters if note else {}
        return ModelSpec(
            identity=ModelIdentity(
                name, chosen, parameters.get(RELEASE_PARAMETER, str(chosen)), self.digest(name, chosen)
            ),
            max_batch_size=config.max_batch_size,
            inputs=tensors_of(name, config.input),
            outputs=tensors_of(name, config.output),
            labels=self._labels(name),
            parameters=parameters,
        )

    def file(self, name: str, version: int) -> Path:
        """The model file of a version.

        Raises:
            ConfigurationError: it is missing.
        """
        path = self.root / name / str(version) / MODEL_FILE
        if not path.is_file():
            raise ConfigurationError(
                f"The model file {MODEL_FILE} is missing.",
                subject=f"model {name} version {version}",
                remedy=f"Put the file back, or remove the folder {path.parents[1]} to have the model seeded again.",
            )
        return path

    def share(self, path: Path) -> None:
        """Give others a file that was added to a version after it appeared, such as what it is compared with.

        Raises:
            TransientFailure: the bucket that holds the repository does not answer.
        """
        if self.outside is not None:
            self.outside.share(self.root, path)

    def install_seed(self, seed: Path) -> list[str]:
        """Copy models that the runtime repository does not have yet; what is there is never touched.

        Returns:
            Names of the models that were installed now.

        Raises:
            TransientFailure: the repository's folder cannot be written.
        """
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            with FileLock(self.root / ".seeding.lock"):
                missing = [source for source in _model_folders(seed) if not (self.root / source.name).exists()]
                for source in missing:
                    _copy_model(source, self.root / source.name)
        except OSError as error:
            raise TransientFailure(
                f"The model repository cannot be filled ({error.strerror}).",
                subject=str(self.root),
                remedy="Check the disk and its free space, and start it again.",
            ) from error
        return [source.name for source in missing]

    def _config_path(self, name: str) -> Path:
        installed = self.names()
        if name not in installed:
            raise ConfigurationError(
                "The model is not installed.",
                subject=f"model {name}",
                remedy=f"Installed: {', '.join(installed) or 'none'}; install it or name another in the profile.",
            )
        return self.root / name / CONFIG_FILE

    def digest(self, name: str, version: int) -> str:
        """SHA-256 of a version's model file.

        Raises:
            ConfigurationError: it is missing or cannot be read.
        """
        path = self.file(name, version)
        try:
            return sha256_of_file(path)
        except OSError as error:
            raise ConfigurationError(
                f"The model file cannot be read ({error.strerror}).",
                subject=f"model {name} version {version}",
                remedy="Check the disk and the file's rights.",
            ) from error

    def _labels(self, name: str) -> tuple[str, ...]:
        """One label a line, as Triton reads them."""
        path = self.root / name / LABELS_FILE
        if not path.is_file():
            return ()
        try:
            lines = path.read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigurationError(
                f"The labels cannot be read ({error}).", subject=f"model {name}", remedy=f"Correct {LABELS_FILE}."
            ) from error
        return tuple(line.strip() for line in lines if line.strip())


def _model_folders(root: Path) -> list[Path]:
    """Folders with a configuration, by name; hidden ones are copies that another process has not finished."""
    return sorted(path.parent for path in root.glob(f"*/{CONFIG_FILE}") if not path.parent.name.startswith("."))


def _copy_model(source: Path, target: Path) -> None:
    """Copy what engines and people need; a rename at the end makes it appear whole."""
    temporary = target.with_name(f".{target.name}.seeding")
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(parents=True)
    for name in SEEDED_FILES:
        if (source / name).is_file():
            shutil.copyfile(source / name, temporary / name)
    for folder in source.iterdir():
        if folder.is_dir() and (folder.name.isdigit() or folder.name in SEEDED_FOLDERS):
            shutil.copytree(folder, temporary / folder.name)
    temporary.rename(target)
