"""What a user may choose about events.

Belongs here: settings and their defaults, and where the chosen files lie. Does not belong here: rules and thresholds,
which are data (``rules.yaml``).
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, computed_field, field_validator

BUILT_IN = "default"
RULES_FILE = Path(__file__).parent / "rules.yaml"
REFERENCE_FILE = Path(__file__).parent / "phase_reference.yaml"


class EventsConfig(BaseModel):
    """Settings of the events stage.

    The contents of both files count into the configuration's hash, so that results of other rules are stale.

    Attributes:
        rules: ``default``, or the path of a user's own file in the form of ``rules.yaml``.
        reference: ``default``, or the path of a file with a hospital's own phases in the form of
            ``phase_reference.yaml``.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    rules: str = Field(default=BUILT_IN, min_length=1)
    reference: str = Field(default=BUILT_IN, min_length=1)

    @field_validator("rules", "reference")
    @classmethod
    def _is_there(cls, choice: str) -> str:
        if choice != BUILT_IN and not Path(choice).is_file():
            raise ValueError(f"there is no file {choice}; use '{BUILT_IN}' or the path of a file")
        return choice

    @property
    def rules_path(self) -> Path:
        """The chosen rules."""
        return RULES_FILE if self.rules == BUILT_IN else Path(self.rules)

    @property
    def reference_path(self) -> Path:
        """The chosen reference."""
        return REFERENCE_FILE if self.reference == BUILT_IN else Path(self.reference)

    @computed_field  # type: ignore[prop-decorator]
    @property
    def rules_digest(self) -> str:
        """SHA-256 of the rules."""
        return hashlib.sha256(self.rules_path.read_bytes()).hexdigest()

    @computed_field  # type: ignore[prop-decorator]
    @property
    def reference_digest(self) -> str:
        """SHA-256 of the reference."""
        return hashlib.sha256(self.reference_path.read_bytes()).hexdigest()
