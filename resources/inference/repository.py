"""The runtime model repository: version folders in Triton's layout, filled from the seed at first start.

Belongs here: which versions exist, which are served, what each one is. Does not belong here: running models. Promotion
writes here and never into the seed.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock

from resources.errors import ConfigurationError
from resources.inference.spec import ModelIdentity, ModelSpec, parse_config, tensors_of
from resources.object_store import sha256_of_file

MODEL_FILE = "model.onnx"
CONFIG_FILE = "config.pbtxt"
LABELS_FILE = "labels.txt"
DEFAULT_VERSIONS_SERVED = 1
SEEDED_FILES = (CONFIG_FILE, LABELS_FILE, "MODEL_CARD.md", "scores.json")
SEEDED_FOLDERS = ("taxonomies", "configs")


@dataclass(frozen=True)
class ModelRepository:
    """A folder of models in Triton's layout.

    Args:
        root: the runtime repository that engines read.
    """

    root: Path

    def names(self) -> list[str]:
        """Models that are installed, sorted."""
        return sorted(path.parent.name for path in self.root.glob(f"*/{CONFIG_FILE}"))

    def is_installed(self, name: str) -> bool:
        """Whether the model has a configuration and at least one version."""
        return (self.root / name / CONFIG_FILE).is_file() and bool(self._versions_on_disk(name))

    def served_versions(self, name: str) -> list[int]:
        """Version numbers that the version policy serves, ascending.

        Raises:
            ConfigurationError: the model is not installed, or the policy leaves nothing to serve.
        """
        on_disk = self._versions_on_disk(name)
        policy = parse_config(self._config_path(name)).version_policy
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
        parameters = {key: value.string_value for key, value in config.parameters.items()}
        return ModelSpec(
            identity=ModelIdentity(
                name, chosen, parameters.get("model_version", str(chosen)), sha256_of_file(self.file(name, chosen))
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
                remedy="Put the file back, or remove the runtime repository to have it seeded again.",
            )
        return path

    def install_seed(self, seed: Path) -> list[str]:
        """Copy models that the runtime repository does not have yet; what is there is never touched.

        Returns:
            Names of the models that were installed now.
        """
        self.root.mkdir(parents=True, exist_ok=True)
        with FileLock(self.root / ".seeding.lock"):
            missing = [
                path.parent
                for path in sorted(seed.glob(f"*/{CONFIG_FILE}"))
                if not (self.root / path.parent.name).exists()
            ]
            for source in missing:
                _copy_model(source, self.root / source.name)
        return [source.name for source in missing]

    def _config_path(self, name: str) -> Path:
        path = self.root / name / CONFIG_FILE
        if not path.is_file():
            raise ConfigurationError(
                "The model is not installed.",
                subject=f"model {name}",
                remedy=f"Installed: {', '.join(self.names()) or 'none'}; install it or name another in the profile.",
            )
        return path

    def _versions_on_disk(self, name: str) -> list[int]:
        folder = self.root / name
        return sorted(int(path.name) for path in folder.iterdir() if path.name.isdigit()) if folder.is_dir() else []

    def _labels(self, name: str) -> tuple[str, ...]:
        path = self.root / name / LABELS_FILE
        return tuple(path.read_text(encoding="utf-8").split()) if path.is_file() else ()


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
