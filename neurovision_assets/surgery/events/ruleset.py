"""The form of rules: what may stand in ``rules.yaml`` and what each kind of rule needs to be run.

Belongs here: reading and checking rules. Does not belong here: thresholds (they are data), running rules.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from resources.errors import ConfigurationError

FormT = TypeVar("FormT", bound=BaseModel)

Need = Literal["pictures", "phases", "instruments", "anatomy"]
SignalName = Literal["outside", "haze", "blood_area"]
SIGNAL_NEEDS: dict[SignalName, Need] = {"outside": "pictures", "haze": "pictures", "blood_area": "anatomy"}


class _Rule(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9-]*$")


class Support(BaseModel):
    """What makes an event more plausible.

    Attributes:
        instruments: classes of which one should be in use.
        within_ms: at most this long before the event begins, or during it.
        score_without: factor of the score when none is.
        min_duration_without_ms: shorter events are dropped when none is.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    instruments: tuple[str, ...] = Field(min_length=1)
    within_ms: int = Field(ge=0)
    score_without: float = Field(ge=0, le=1)
    min_duration_without_ms: int = Field(default=0, ge=0)


class ThresholdRule(_Rule):
    """A signal rises above `enter` and stays above `leave`.

    Attributes:
        signal: which one.
        baseline_window_ms: the signal is taken over its usual level in a window of this length; absolute without.
        baseline_percentile: which percentile of the window is the usual level.
        enter: an event has at least one frame at or above this.
        leave: it lasts while frames are at or above this.
        full: where the rule is as sure as it can be.
        min_duration_ms: shorter events are dropped.
        merge_gap_ms: events closer than this are one.
        rise_ms: the event begins at the foot of the rise, looked for at most this long before `leave` is reached.
        end_share: the event ends with the last frame at or above this share of its peak: what lies there longer is what
            the event has left behind.
        uneven: least spread of the veil (`PictureSignals.spread`) as a share of its usual one; what lies evenly over
            the picture is on the lens.
        except_phases: phases in which the signal means something else; not looked up where phases are absent.
        supported_by: what makes it more plausible.
    """

    type: Literal["threshold"]
    kind: Literal["bleeding", "smoke", "out-of-body"]
    signal: SignalName
    baseline_window_ms: int | None = Field(default=None, gt=0)
    baseline_percentile: float = Field(default=50, ge=0, le=100)
    enter: float
    leave: float
    full: float
    min_duration_ms: int = Field(ge=0)
    merge_gap_ms: int = Field(ge=0)
    rise_ms: int = Field(default=0, ge=0)
    end_share: float = Field(default=0, ge=0, lt=1)
    uneven: float | None = Field(default=None, gt=0)
    except_phases: tuple[str, ...] = ()
    supported_by: Support | None = None

    @model_validator(mode="after")
    def _rises(self) -> ThresholdRule:
        if not self.leave <= self.enter < self.full:
            raise ValueError("leave must not be above enter, and enter must be below full")
        return self

    @property
    def needs(self) -> frozenset[Need]:
        """Inputs without which it cannot run."""
        also: set[Need] = set() if self.uneven is None else {"pictures"}
        return frozenset({SIGNAL_NEEDS[self.signal], *also})


class ClipRule(_Rule):
    """The clip applier was used and withdrawn; each closing of its jaws in that time is a clip.

    Attributes:
        instrument: the clip applier's class.
        phase: the phase in which clips are set.
        min_duration_ms: shorter uses are no uses.
        min_phase_share: least share of the use that lies in the phase.
        closing_share: the jaws are closed while the box around the tip has at most this share of its usual area.
        closing_window_ms: the usual area is the median in a window of this length.
        closing_margin_ms: not looked at after coming and before going: the picture's edge cuts the tip off then.
    """

    type: Literal["clip"]
    kind: Literal["clip-applied"]
    instrument: str
    phase: str
    min_duration_ms: int = Field(ge=0)
    min_phase_share: float = Field(ge=0, le=1)
    closing_share: float = Field(gt=0, lt=1)
    closing_window_ms: int = Field(gt=0)
    closing_margin_ms: int = Field(ge=0)

    @property
    def needs(self) -> frozenset[Need]:
        """Inputs without which it cannot run."""
        return frozenset({"phases", "instruments"})


class ExchangeRule(_Rule):
    """One instrument goes, another one comes."""

    type: Literal["exchange"]
    kind: Literal["instrument-exchange"]
    max_gap_ms: int = Field(ge=0)
    max_overlap_ms: int = Field(ge=0)

    @property
    def needs(self) -> frozenset[Need]:
        """Inputs without which it cannot run."""
        return frozenset({"instruments"})


class IdleRule(_Rule):
    """No instrument is in use inside the body."""

    type: Literal["idle"]
    kind: Literal["idle"]
    min_duration_ms: int = Field(gt=0)
    except_phases: tuple[str, ...] = ()

    @property
    def needs(self) -> frozenset[Need]:
        """Inputs without which it cannot run."""
        return frozenset({"pictures", "phases", "instruments"})


class OrderRule(_Rule):
    """A phase stands against the reference order."""

    type: Literal["order"]
    kind: Literal["phase-out-of-order"]
    min_confidence: float = Field(ge=0, le=1)
    min_duration_ms: int = Field(ge=0)

    @property
    def needs(self) -> frozenset[Need]:
        """Inputs without which it cannot run."""
        return frozenset({"phases"})


class LongPhaseRule(_Rule):
    """A phase takes longer than the reference's limit."""

    type: Literal["long-phase"]
    kind: Literal["unusually-long-phase"]
    min_confidence: float = Field(ge=0, le=1)

    @property
    def needs(self) -> frozenset[Need]:
        """Inputs without which it cannot run."""
        return frozenset({"phases"})


Rule = ThresholdRule | ClipRule | ExchangeRule | IdleRule | OrderRule | LongPhaseRule


class RuleSet(BaseModel):
    """All rules of an analysis.

    Attributes:
        name: of the set.
        version: stands in every row of the events table.
        rules: names are unique.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    version: str = Field(pattern=r"^\d+\.\d+\.\d+$")
    rules: tuple[Annotated[Rule, Field(discriminator="type")], ...]

    @model_validator(mode="after")
    def _names_are_unique(self) -> RuleSet:
        names = [rule.name for rule in self.rules]
        if len(set(names)) != len(names):
            raise ValueError("a name comes twice")
        return self


def load_rules(path: Path) -> RuleSet:
    """Read rules.

    Args:
        path: `EventsConfig.rules_path`.

    Raises:
        ConfigurationError: the file is missing or not a set of rules.
    """
    return read_yaml(path, RuleSet)


def read_yaml(path: Path, form: type[FormT]) -> FormT:
    """Read a file of a known form.

    Raises:
        ConfigurationError: the file is missing or has another form.
    """
    try:
        return form.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        problem = str(error)
    except ValidationError as error:
        problem = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors()[:3])
    raise ConfigurationError(
        f"The file cannot be used: {problem}.",
        subject=f"events, {path.name}",
        remedy="Correct it, or use 'default'; rules.yaml and phase_reference.yaml show the form.",
    )
