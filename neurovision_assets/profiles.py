"""Analysis profiles: which stages run, with what parameters, and what may fail (RS-026…029, MS-015…017).

Belongs here: reading profiles, ours and the user's, and their canonical hash. Does not belong here: the stages'
parameters themselves (each room has its config). A profile is a YAML file; a user's file of the same name wins.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import dagster as dg
import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from neurovision_assets.provenance import config_hash
from resources.errors import ConfigurationError

BUILT_IN_PROFILES = Path(__file__).parent / "analysis_profiles"
PROFILE_NAME = re.compile(r"\w[\w-]{0,63}")
"""Letters of any script, digits, '_' and '-': a file's name and never a path."""
DEFAULT_CACHE_TTL_DAYS = 3.0
LONGEST_CACHE_TTL_DAYS = 36_500.0


class AnalysisProfile(BaseModel):
    """One way to analyse a video.

    Attributes:
        name: the file's name.
        description: for people.
        cache_ttl_days: how long a result may answer a repeated request (RS-018).
        disabled: stages that do not run.
        optional: stages whose failure leaves a report without them; every other stage is required (RS-028).
        stages: parameters by stage; what is not named has the stage's default.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    description: str = ""
    cache_ttl_days: float = Field(default=DEFAULT_CACHE_TTL_DAYS, gt=0, le=LONGEST_CACHE_TTL_DAYS)
    disabled: frozenset[str] = frozenset()
    optional: frozenset[str] = frozenset()
    stages: dict[str, dict[str, Any]] = Field(default_factory=dict)

    def is_enabled(self, stage: str) -> bool:
        """Whether the stage runs at all."""
        return stage not in self.disabled

    def is_required(self, stage: str) -> bool:
        """Whether the report fails when the stage fails."""
        return self.is_enabled(stage) and stage not in self.optional


class ResolvedProfile(BaseModel):
    """A profile with every default filled in and every parameter checked.

    Attributes:
        profile: as it was written.
        configs: the stages' configurations by stage, disabled stages included.
        hash: canonical hash of enabled stages, their parameters and the policy versions (RS-013).
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    profile: AnalysisProfile
    configs: dict[str, BaseModel]
    hash: str


class ProfileCatalog(dg.ConfigurableResource):  # type: ignore[type-arg]
    """Finds profiles by name.

    Args:
        user_folder: folder of the user's own profiles; it need not exist.
        default: profile of an upload that names none.
    """

    user_folder: str
    default: str

    @cached_property
    def _read(self) -> dict[str, AnalysisProfile]:
        return {}

    def names(self) -> list[str]:
        """Profiles that can be asked for, sorted."""
        found = {path.stem for folder in self._folders() for path in folder.glob("*.yaml")}
        return sorted(name for name in found if PROFILE_NAME.fullmatch(name))

    def get(self, name: str) -> AnalysisProfile:
        """A profile as it is written; it is read once a run, so that a run never mixes two spellings.

        Raises:
            ConfigurationError: there is none of that name, or the file is broken.
        """
        if name not in self._read:
            self._read[name] = self._load(name)
        return self._read[name]

    def resolve(
        self, name: str, config_types: Mapping[str, type[BaseModel]], policies: Mapping[str, str]
    ) -> ResolvedProfile:
        """A profile made complete.

        Args:
            name: the profile.
            config_types: configuration class of every stage.
            policies: versions of policies that count into the hash.

        Raises:
            ConfigurationError: it names an unknown stage or parameter, or a value that is not allowed.
        """
        profile = self.get(name)
        unknown = (profile.stages.keys() | profile.disabled | profile.optional) - config_types.keys()
        if unknown:
            raise ConfigurationError(
                f"It names stages that do not exist: {', '.join(sorted(unknown))}.",
                subject=f"profile {name}",
                remedy=f"Stages are {', '.join(config_types)}.",
            )
        configs = {stage: _checked(name, stage, kind, profile) for stage, kind in config_types.items()}
        spelling = {
            "stages": {stage: configs[stage].model_dump(mode="json") for stage in configs if profile.is_enabled(stage)},
            "required": sorted(stage for stage in configs if profile.is_required(stage)),
            "policies": dict(policies),
        }
        return ResolvedProfile(profile=profile, configs=configs, hash=config_hash(spelling))

    def _folders(self) -> list[Path]:
        return [folder for folder in (Path(self.user_folder), BUILT_IN_PROFILES) if folder.is_dir()]

    def _load(self, name: str) -> AnalysisProfile:
        for folder in self._folders():
            path = folder / f"{name}.yaml"
            if PROFILE_NAME.fullmatch(name) and path.is_file():
                return _parse(name, path)
        raise ConfigurationError(
            "There is no such profile.",
            subject=f"profile {name[:80]!r}",
            remedy=f"Profiles are {', '.join(self.names())}.",
        )


def _parse(name: str, path: Path) -> AnalysisProfile:
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigurationError(
            f"The file cannot be read: {' '.join(str(error).split())}.",
            subject=f"profile {name}",
            remedy="Correct the file.",
        ) from error
    if not isinstance(content, dict):
        raise ConfigurationError(
            "The file is not a YAML mapping.", subject=f"profile {name}", remedy="Write `field: value` lines."
        )
    try:
        return AnalysisProfile.model_validate({**content, "name": name})
    except ValidationError as error:
        raise ConfigurationError(
            _first_problem(error), subject=f"profile {name}", remedy="Correct the file."
        ) from error


def _checked(name: str, stage: str, kind: type[BaseModel], profile: AnalysisProfile) -> BaseModel:
    try:
        return kind.model_validate(profile.stages.get(stage, {}))
    except ValidationError as error:
        raise ConfigurationError(
            f"Stage {stage}, {_first_problem(error)}", subject=f"profile {name}", remedy="Correct the profile."
        ) from error


def _first_problem(error: ValidationError) -> str:
    first = error.errors()[0]
    field = ".".join(str(part) for part in first["loc"])
    return f"parameter '{field}': {first['msg']}."
