"""What a promoted version says of itself: ``version.json`` in its folder of the runtime repository.

Belongs here: the note and its file. Does not belong here: who writes it (``releases``), what it is used for. A model's
``config.pbtxt`` is one for all of its versions, so what differs between them stands here and comes before it. Engines
pass by files that they do not know.
"""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Final

from pydantic import BaseModel, ConfigDict, ValidationError

from resources.errors import ConfigurationError

NOTE_FILE: Final = "version.json"
RELEASE_PARAMETER: Final = "model_version"
DATA_PARAMETER: Final = "data_revision"
EXTRACTOR_PARAMETER: Final = "feature_extractor_digest"


class VersionNote(BaseModel):
    """Where a version comes from.

    Attributes:
        release: semantic version.
        digest: SHA-256 of the model file.
        parameters: come before those of ``config.pbtxt``; the release and the revision of the data are among them.
        mlflow_run_id: the training.
        data_hash: SHA-256 of the training data's content.
        learned_from: operations that it was trained on.
        chosen_on: operations that chose its best epoch and calibrated it.
        restored_from: version that a rollback brought back, None for a promotion.
        installed: UTC.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    release: str
    digest: str
    parameters: dict[str, str]
    mlflow_run_id: str
    data_hash: str
    learned_from: tuple[str, ...]
    chosen_on: tuple[str, ...]
    restored_from: int | None = None
    installed: datetime


def read_note(version_folder: Path) -> VersionNote | None:
    """The note of a version; None for one that came with the code.

    Raises:
        ConfigurationError: it cannot be read.
    """
    path = version_folder / NOTE_FILE
    try:
        return VersionNote.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, ValidationError) as error:
        raise ConfigurationError(
            f"The note of the version cannot be read: {str(error).splitlines()[0]}.",
            subject=f"model {version_folder.parent.name} version {version_folder.name}",
            remedy=f"Put {NOTE_FILE} back, or remove the version's folder.",
        ) from error
