"""From a served version to its training, and from an operation to every model that learned from it.

Belongs here: reading the notes of the runtime repository's versions. Does not belong here: results and their provenance
(``stage``), erasing (a person's data in a model is found here, and removed by training again without it).
"""

from __future__ import annotations

from typing import Final, Literal

from pydantic import BaseModel, ConfigDict

from resources.inference.notes import DATA_PARAMETER, VersionNote, read_note
from resources.inference.repository import ModelRepository

Role = Literal["learned_from", "chosen_on"]
ROLES: Final[tuple[Role, ...]] = ("learned_from", "chosen_on")


class LearnedFrom(BaseModel):
    """One version that an operation took part in.

    Attributes:
        model: name in the model repository.
        version: number there.
        release: semantic version.
        role: whether its weights were trained on the operation, or its epoch chosen by it.
        served: whether engines may still be asked for it.
        mlflow_run_id: the training.
        data_revision: with which DVC finds the data.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: str
    version: int
    release: str
    role: Role
    served: bool
    mlflow_run_id: str
    data_revision: str


def training_of(repository: ModelRepository, model: str, digest: str) -> VersionNote | None:
    """The note of the version with a file; None where it came with the code, or is on disk no more.

    Args:
        repository: the runtime repository.
        model: its name.
        digest: SHA-256 of its file, as a result's provenance has it.
    """
    if not repository.is_installed(model):
        return None
    notes = (read_note(repository.root / model / str(number)) for number in repository.versions_on_disk(model))
    return next((note for note in notes if note and note.digest == digest), None)


def models_that_saw(repository: ModelRepository, operation: str) -> list[LearnedFrom]:
    """Every version on disk that an operation took part in, by model and number.

    Args:
        repository: the runtime repository.
        operation: its name in the data, the ``video_id`` where it came through the platform.
    """
    return [
        LearnedFrom(
            model=model,
            version=version,
            release=note.release,
            role=role,
            served=version in repository.served_versions(model),
            mlflow_run_id=note.mlflow_run_id,
            data_revision=note.parameters.get(DATA_PARAMETER, ""),
        )
        for model in repository.names()
        for version in repository.versions_on_disk(model)
        if (note := read_note(repository.root / model / str(version)))
        for role in ROLES
        if operation in getattr(note, role)
    ]
