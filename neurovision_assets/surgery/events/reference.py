"""The usual course of an operation: in what order phases come and how long they take.

Belongs here: the form of the reference. Does not belong here: its figures (``phase_reference.yaml``), the rules that
use them.
"""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from neurovision_assets.surgery.events.ruleset import read_yaml


class Durations(BaseModel):
    """How long a phase took in labelled operations.

    Attributes:
        operations: how many had the phase.
        median_s: half of them took longer.
        p95_s: one in twenty took longer.
        limit_s: the next operation takes longer with a chance of 5 %.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    operations: int = Field(ge=1)
    median_s: float = Field(gt=0)
    p95_s: float = Field(gt=0)
    limit_s: float = Field(gt=0)


class ReferencePhase(BaseModel):
    """One phase.

    Attributes:
        name: as in the taxonomy.
        rank: phases come with ranks that never fall; the same rank means either order.
        durations: None where nobody has measured.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    rank: int = Field(ge=0)
    durations: Durations | None = None


class PhaseReference(BaseModel):
    """The whole reference.

    Attributes:
        version: raised with every change.
        source: where the figures come from.
        phases: names are unique; phases that are not in it are never judged.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: str
    source: str
    phases: tuple[ReferencePhase, ...]

    def phase(self, name: str) -> ReferencePhase | None:
        """The phase of that name."""
        return next((phase for phase in self.phases if phase.name == name), None)


def load_reference(path: Path) -> PhaseReference:
    """Read a reference.

    Args:
        path: `EventsConfig.reference_path`.

    Raises:
        ConfigurationError: the file is missing or not a reference.
    """
    return read_yaml(path, PhaseReference)
