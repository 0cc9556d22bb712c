"""New versions in the runtime repository, and the way back (NV-056, version policy latest 2).

Belongs here: writing a version folder so that it appears whole, and the next number. Does not belong here: whether a
model deserves it (``neurovision_assets/training/gate``), reading (``repository``). Versions are only ever added: a run
that pinned the one before still finds it, and a rollback is the earlier file under a new number.
"""

from __future__ import annotations

import os
import shutil
from datetime import UTC, datetime
from pathlib import Path

from filelock import FileLock

from resources.errors import ConfigurationError, PermanentFailure
from resources.inference.notes import NOTE_FILE, RELEASE_PARAMETER, VersionNote, read_note
from resources.inference.repository import MODEL_FILE, ModelRepository
from resources.object_store import sha256_of_file


class ServedMeanwhile(PermanentFailure):
    """Another version was promoted since this one was compared with what was served."""


def publish(repository: ModelRepository, name: str, model_file: Path, note: VersionNote, *, instead_of: str) -> int:
    """Serve a model file as the next version.

    Args:
        repository: the runtime repository; the model is installed there.
        name: of the model.
        model_file: the ONNX file.
        note: what the version says of itself.
        instead_of: digest of the version that is served now, as whoever decides knows it.

    Returns:
        The new version's number.

    Raises:
        ServedMeanwhile: another version is served by now.
        PermanentFailure: the file is not the one that the note is about.
        TransientFailure: the bucket that holds the repository does not answer; nothing is served that was not before.
    """
    with FileLock(repository.root / f".{name}.publishing"):
        served = repository.describe(name).identity
        if served.digest != instead_of:
            raise ServedMeanwhile(
                f"Version {served.version} ({served.label}) is served by now, and nothing was compared with it.",
                subject=f"model {name}",
                remedy="Start the retraining again.",
            )
        return _add(repository, name, model_file, note)


def restore(repository: ModelRepository, name: str, version: int | None = None) -> int:
    """Serve an earlier version again, under a new number.

    Args:
        repository: the runtime repository.
        name: of the model.
        version: which one; the newest of another digest when none is named.

    Returns:
        The new number.

    Raises:
        ConfigurationError: there is none to go back to, or its file is served already.
    """
    with FileLock(repository.root / f".{name}.publishing"):
        served = repository.describe(name).identity
        earlier = version if version is not None else _before(repository, name, served.digest)
        if earlier is None or earlier not in repository.versions_on_disk(name):
            raise ConfigurationError(
                "There is no such earlier version to go back to.",
                subject=f"model {name}",
                remedy=f"Versions on disk: {repository.versions_on_disk(name)}, served is {served.version}.",
            )
        source = repository.file(name, earlier)
        if sha256_of_file(source) == served.digest:
            raise ConfigurationError(
                f"The file of version {earlier} is served already, as version {served.version} ({served.label}).",
                subject=f"model {name}",
                remedy="Name a version with another file; a second copy would push one out of the served ones.",
            )
        note = (read_note(source.parent) or _seed_note(repository, name, source)).model_copy(
            update={"restored_from": earlier, "installed": datetime.now(UTC)}
        )
        return _add(repository, name, source, note)


def _before(repository: ModelRepository, name: str, digest: str) -> int | None:
    """The newest version with another file than the served one."""
    for number in reversed(repository.versions_on_disk(name)):
        if sha256_of_file(repository.file(name, number)) != digest:
            return number
    return None


def _seed_note(repository: ModelRepository, name: str, source: Path) -> VersionNote:
    """What a version that came with the code would say of itself: what its configuration says."""
    config = repository.configured(name)
    return VersionNote(
        release=config.get(RELEASE_PARAMETER, source.parent.name),
        digest=sha256_of_file(source),
        parameters=config,
        mlflow_run_id="",
        data_hash="",
        learned_from=(),
        chosen_on=(),
        installed=datetime.now(UTC),
    )


def _add(repository: ModelRepository, name: str, model_file: Path, note: VersionNote) -> int:
    """Write the folder under a name that engines pass by; the rename at the end makes it a version."""
    number = max(repository.versions_on_disk(name)) + 1
    folder = repository.root / name
    for rest in folder.glob(".*.installing"):  # of a process that was killed
        shutil.rmtree(rest)
    temporary = folder / f".{number}.installing"
    temporary.mkdir()
    shutil.copyfile(model_file, temporary / MODEL_FILE)
    (temporary / NOTE_FILE).write_text(note.model_dump_json(indent=1), encoding="utf-8")
    if sha256_of_file(temporary / MODEL_FILE) != note.digest:
        shutil.rmtree(temporary)
        raise PermanentFailure(
            "The model file is not the one that was tested.", subject=str(model_file), remedy="Train it again."
        )
    for path in temporary.iterdir():
        _flush(path)
    if repository.outside is not None:
        repository.outside.store(name, number, temporary)
    temporary.rename(folder / str(number))
    if repository.outside is not None:
        repository.outside.announce(repository, name)
    return number


def _flush(path: Path) -> None:
    """A version that is there must survive a power failure."""
    with path.open("rb") as stream:
        os.fsync(stream.fileno())
